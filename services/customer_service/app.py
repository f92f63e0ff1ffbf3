"""Which real parts make up the service? The only place where they are chosen."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from prometheus_client import Counter
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.responses import Response
from starlette.types import Scope

from core.artifacts import Registry, Version
from core.db.engine import make_engine, ping, session_factory
from core.db.keys import StoredKeys
from core.db.migrations import ensure_current
from core.errors import NotReady, SettingsError, TrefoilError
from core.inference.slot import ModelSlot
from core.web import Check
from core.web import create_app as create_web_app
from core.web.app import Lifespan
from core.web.errors import Problem
from core.web.routes import joined
from services.customer_service.actions import Actions
from services.customer_service.admin import Admin, searcher_of
from services.customer_service.api import bound, public, router
from services.customer_service.budget import DailyBudget
from services.customer_service.candidates import CandidateStore, RegressionTests
from services.customer_service.channels import openai
from services.customer_service.channels.chatwoot import Courier, Desk
from services.customer_service.channels.openai import Completions
from services.customer_service.channels.rasa import Parser
from services.customer_service.content import ContentStore
from services.customer_service.dashboard_figures import Figures
from services.customer_service.dashboard_gaps import GapFinder
from services.customer_service.dashboard_promise import Promises
from services.customer_service.dashboard_store import DashboardStore
from services.customer_service.desk_cookie import DeskLogIns
from services.customer_service.desk_teaching import DeskTeacher
from services.customer_service.examples import ExampleStore
from services.customer_service.feedback import FeedbackStore
from services.customer_service.generate import Writer
from services.customer_service.language_model import LanguageModel
from services.customer_service.live import Live
from services.customer_service.pages import make_pages_router
from services.customer_service.people import People
from services.customer_service.prototypes import Taught
from services.customer_service.reader import Reader
from services.customer_service.reply import Replier
from services.customer_service.sessions import SessionTokens
from services.customer_service.settings import Settings
from services.customer_service.situation import Place
from services.customer_service.store import ConversationStore
from services.customer_service.stream import OpenSockets, SocketRules, error_events
from services.customer_service.tables import MIGRATIONS, api_keys, secrets
from services.customer_service.teach import Promoter, Teacher, model_of
from services.customer_service.understanding import KIND, IntentModel
from services.session_tokens import kept_secret

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parts:
    """What the service is made of, from the start of the process to its end."""

    engine: Engine
    sessions: sessionmaker[Session]
    readers: sessionmaker[Session]
    content: ContentStore
    conversations: ConversationStore
    live: Live
    models: ModelSlot[IntentModel]
    taught: Taught

    @classmethod
    def choose(cls, settings: Settings) -> _Parts:
        engine = make_engine(settings.database_url)
        sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
        content = ContentStore(sessions, readers)

        def load(version: Version) -> IntentModel:
            return IntentModel.load(version.path, threads=settings.threads)

        return cls(
            engine=engine,
            sessions=sessions,
            readers=readers,
            content=content,
            conversations=ConversationStore(sessions, readers),
            live=Live(content),
            models=ModelSlot(
                Registry(settings.models_dir, KIND), load, interval=settings.refresh_seconds
            ),
            taught=Taught(ExampleStore(sessions, readers), content),
        )


def create_app(
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """The service's app. It answers as soon as a model is live and refuses politely until then."""
    settings = settings or Settings()
    parts = _Parts.choose(settings)
    tokens = SessionTokens(now, timedelta(minutes=settings.session_minutes))
    people = People.choose(settings, parts.sessions, parts.readers, now)
    keys = StoredKeys(parts.readers, api_keys)

    def ready() -> Sequence[Check]:
        return [_model_check(parts.models), _database_check(parts.engine)]

    return create_web_app(
        "Trefoil customer service",
        settings=settings,
        router=router,
        bound=bound,
        public=joined(public, make_pages_router()),
        lifespan=_lifespan(parts, settings, tokens, people, now),
        ready=ready,
        keys=keys,
        tokens=tokens,
        logins=DeskLogIns(people.accounts),
        origins=keys,
        problem_shape=_problem_shape,
    )


def _problem_shape(scope: Scope, problem: Problem) -> Response | None:
    return openai.error_shape(scope, problem) or error_events(scope, problem)


def _lifespan(
    parts: _Parts,
    settings: Settings,
    tokens: SessionTokens,
    people: People,
    now: Callable[[], datetime],
) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(ensure_current, parts.engine, MIGRATIONS, command=settings.command)
        tokens.use(
            settings.session_secret or await asyncio.to_thread(kept_secret, parts.sessions, secrets)
        )
        reader = Reader(
            cache_texts=settings.cache_texts,
            max_queue=settings.max_queue,
            taught=parts.taught.current,
        )
        app.state.models, app.state.live, app.state.reader = parts.models, parts.live, reader
        app.state.conversations = parts.conversations
        app.state.tokens = tokens
        app.state.people = people
        app.state.feedback = FeedbackStore(parts.sessions, parts.readers, now)
        app.state.admin = Admin(
            parts.content,
            parts.live,
            parts.models,
            now,
            ExampleStore(parts.sessions, parts.readers),
        )
        _open_teaching(app, parts, settings, now)
        _open_dashboard(app, parts, settings, now)
        actions = Actions(settings, now, _call_counter(app))
        writer = _writer(app, parts, settings, now)
        app.state.replier = _replier(app, parts, settings, now, reader, actions, people, writer)
        courier = _open_channels(app, parts, settings, reader, now)
        await asyncio.to_thread(_refresh, parts.models, parts.live, parts.taught)
        stopping = threading.Event()
        keeping_up = asyncio.create_task(_keep_up(parts, settings.refresh_seconds, stopping.is_set))
        try:
            yield
        finally:
            stopping.set()
            keeping_up.cancel()
            with suppress(asyncio.CancelledError):
                await keeping_up
            if courier is not None:
                await asyncio.to_thread(courier.stop)
            await asyncio.to_thread(actions.stop)
            if writer is not None:
                await asyncio.to_thread(writer.close)
            await asyncio.to_thread(reader.stop)
            parts.engine.dispose()

    return lifespan


def _replier(
    app: FastAPI,
    parts: _Parts,
    settings: Settings,
    now: Callable[[], datetime],
    reader: Reader,
    actions: Actions,
    people: People,
    writer: Writer | None,
) -> Replier:
    return Replier(
        models=parts.models,
        live=parts.live,
        reader=reader,
        conversations=parts.conversations,
        place=_place(settings, now),
        actions=actions,
        people=people,
        writer=writer,
        session_hours=settings.session_hours,
        burst_seconds=settings.burst_seconds,
        max_message_chars=settings.max_message_chars,
        on_turn=_turn_counter(app),
    )


def _place(settings: Settings, now: Callable[[], datetime]) -> Place:
    return Place(now, ZoneInfo(settings.time_zone), settings.default_locale)


def _writer(
    app: FastAPI, parts: _Parts, settings: Settings, now: Callable[[], datetime]
) -> Writer | None:
    """What words answers from articles; None where no language model is set up."""
    if not settings.generation_url:
        return None
    if not settings.generation_model:
        raise SettingsError(
            "generation_url is set and generation_model is not", mend="Name the model to ask for."
        )
    outcomes = Counter(
        "trefoil_customer_service_generations",
        "Answers from articles that a language model was to word, by what became of them.",
        ("outcome",),
        registry=app.state.metrics.registry,
    )
    return Writer(
        LanguageModel(settings),
        DailyBudget(parts.sessions, settings.generation_budget_tokens_day, now),
        max_tokens=settings.generation_max_tokens,
        at_once=settings.generation_at_once,
        rest_seconds=settings.generation_timeout,
        on_outcome=lambda outcome: outcomes.labels(outcome).inc(),
    )


def _open_teaching(
    app: FastAPI, parts: _Parts, settings: Settings, now: Callable[[], datetime]
) -> None:
    """What a team teaches the running bot, and what becomes of it."""
    state, sessions, readers = app.state, parts.sessions, parts.readers
    examples = ExampleStore(sessions, readers)
    state.taught = parts.taught
    state.teacher = Teacher(
        examples, state.feedback, parts.content, parts.taught, parts.models, now
    )
    state.regression_tests = RegressionTests(sessions, readers)
    state.promoter = Promoter(
        Registry(settings.models_dir, KIND), CandidateStore(sessions, readers), parts.models
    )


def _open_dashboard(
    app: FastAPI, parts: _Parts, settings: Settings, now: Callable[[], datetime]
) -> None:
    """What the dashboard reads; and how an agent teaches from the desk."""
    state = app.state
    examples = ExampleStore(parts.sessions, parts.readers)
    state.figures = Figures(
        DashboardStore(parts.readers), state.metrics.latency, ZoneInfo(settings.time_zone), now
    )
    state.promises = Promises(Registry(settings.models_dir, KIND), parts.models)
    state.gaps = GapFinder(parts.readers, parts.content, examples, parts.models, now)
    state.desk_teacher = DeskTeacher(state.admin, state.teacher, examples)


def _open_channels(
    app: FastAPI, parts: _Parts, settings: Settings, reader: Reader, now: Callable[[], datetime]
) -> Courier | None:
    """The other ways in: WebSockets, and the protocols of other programs. Gives what sends to a
    Chatwoot, None where there is none."""
    state, replier = app.state, app.state.replier
    state.sockets = OpenSockets(settings.max_sockets, settings.max_sockets_of_address)
    state.socket_rules = SocketRules(
        state.authenticator,
        state.limiter,
        settings.max_body_bytes,
        settings.socket_idle_seconds,
        settings.desk_seconds,
    )
    place = _place(settings, now)
    state.parser = Parser(parts.models, parts.live, reader, place, settings.max_message_chars)
    state.completions = Completions(parts.models, replier, now)
    state.desk = None
    given = [settings.chatwoot_url, settings.chatwoot_token, settings.chatwoot_secret]
    if not any(given):
        return None
    if not all(given):
        raise SettingsError(
            "of chatwoot_url, chatwoot_token and chatwoot_secret some are set and some are not",
            mend="Set all three, or none where there is no Chatwoot.",
        )
    courier = Courier(settings, parts.sessions, now)
    state.desk = Desk(replier, parts.sessions, courier, settings.chatwoot_secret, now)
    # What an earlier process could not send.
    courier.wake()
    return courier


def _turn_counter(app: FastAPI) -> Callable[[str], None]:
    turns = Counter(
        "trefoil_customer_service_turns",
        "Messages answered, by what was done.",
        ("action",),
        registry=app.state.metrics.registry,
    )
    return lambda action: turns.labels(action).inc()


def _call_counter(app: FastAPI) -> Callable[[str, str], None]:
    calls = Counter(
        "trefoil_customer_service_calls",
        "Questions to the company's webhooks, by call and how they ended.",
        ("call", "outcome"),
        registry=app.state.metrics.registry,
    )
    return lambda call, outcome: calls.labels(call, outcome).inc()


def _refresh(models: ModelSlot[IntentModel], live: Live, taught: Taught) -> None:
    models.refresh()
    taught.refresh(model_of(models))
    live.refresh(searcher_of(models))


async def _keep_up(parts: _Parts, seconds: float, stopped: Callable[[], bool]) -> None:
    """Look for newer models, examples, answers and articles that other processes brought in."""
    models, live = parts.models, parts.live
    while True:
        try:
            await asyncio.to_thread(_refresh, models, live, parts.taught)
            await asyncio.to_thread(live.catch_up, searcher_of(models), stopped)
        except Exception as error:
            # Whatever it is (the database is away, say), what is in memory goes on answering, and
            # the next look may work again.
            _log.warning("cannot look for changes", exc_info=error)
        await asyncio.sleep(seconds)


def _model_check(models: ModelSlot[IntentModel]) -> Check:
    try:
        return Check("model", True, models.current().version)
    except NotReady as error:
        return Check("model", False, str(error))


def _database_check(engine: Engine) -> Check:
    try:
        ping(engine)
    except TrefoilError:
        return Check("database", False, "does not answer")
    return Check("database", True)
