"""Which real parts make up the service? The only place where they are chosen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, FastAPI
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry, Version
from core.db.engine import make_engine, ping, session_factory
from core.db.keys import StoredKeys
from core.db.migrations import ensure_current
from core.errors import NotReady
from core.inference.slot import ModelSlot
from core.web import Check
from core.web import create_app as create_web_app
from core.web.health import database_check
from core.web.page_login import KeyLogIns
from core.web.routes import joined
from services.recommender import api, events_api, search_api, showcase_api
from services.recommender.answer_log import AnswerLog
from services.recommender.api import Parts
from services.recommender.attribution_api import router as attribution_router
from services.recommender.attribution_store import AttributionStore
from services.recommender.beacon_api import public as beacon_router
from services.recommender.event_store import EventStore
from services.recommender.items_api import router as items_router
from services.recommender.live import Live
from services.recommender.metrics import RecommenderFigures
from services.recommender.model import KIND
from services.recommender.owner_api import router as owner_router
from services.recommender.pages import make_pages_router
from services.recommender.reach_store import ReachStore
from services.recommender.retraining import when_of
from services.recommender.rule_store import RuleStore
from services.recommender.rules_api import router as rules_router
from services.recommender.search_api import Finder
from services.recommender.sessions import SessionTokens
from services.recommender.settings import Settings
from services.recommender.showcase import Showcase
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS, api_keys, secrets
from services.recommender.together import Baskets
from services.recommender.trainings_api import Desk
from services.recommender.trainings_api import router as trainings_router
from services.recommender.trending import Trends
from services.recommender.uploads import UploadStore
from services.recommender.users import UserStore
from services.recommender.users_api import router as users_router
from services.session_tokens import kept_secret

_log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """The service's app. It takes items and events from the start, and recommends as soon as a
    model is live."""
    settings = settings or Settings()
    engine = make_engine(settings.database_url)
    sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
    items, people = ItemStore(sessions, readers), UserStore(sessions, readers)
    keys = StoredKeys(readers, api_keys)
    logins = KeyLogIns(keys, "trefoil_shop")
    tokens = SessionTokens(now, timedelta(minutes=settings.session_minutes))

    models = _model_slot(settings, items, readers, now)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(ensure_current, engine, MIGRATIONS, command=settings.command)
        events, uploads = EventStore(sessions, readers), UploadStore(sessions, readers)
        answers = AnswerLog(sessions, app.state.metrics.registry)
        rules = RuleStore(sessions, readers)
        app.state.parts = Parts(settings, items, events, uploads, models, answers, rules, now)
        app.state.finder = Finder(Trends(readers), Baskets(sessions, readers))
        app.state.users, app.state.attribution = people, AttributionStore(readers)
        app.state.showcase, app.state.reach = Showcase(readers), ReachStore(readers)
        app.state.tokens = tokens
        secret = settings.session_secret
        tokens.use(secret or await asyncio.to_thread(kept_secret, sessions, secrets))
        registry = Registry(settings.models_dir, KIND)
        app.state.trainings = Desk(sessions, readers, registry, when_of(settings), now)
        figures = RecommenderFigures(readers, registry, now, app.state.metrics.registry)
        await asyncio.to_thread(models.refresh)
        polling = asyncio.create_task(_poll(models, settings.refresh_seconds))
        answers.start()
        try:
            async with figures.running():
                yield
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            await asyncio.to_thread(answers.stop)
            with suppress(NotReady):
                await asyncio.to_thread(models.current().stop)
            engine.dispose()

    def ready() -> Sequence[Check]:
        return [database_check(lambda: ping(engine)), _model_check(models)]

    return create_web_app(
        "Trefoil recommender",
        settings=settings,
        router=_endpoints(),
        lifespan=lifespan,
        ready=ready,
        keys=keys,
        bound=joined(events_api.bound, api.bound, search_api.bound, showcase_api.bound),
        public=joined(make_pages_router(), logins.router(), beacon_router),
        tokens=tokens,
        logins=logins,
        origins=keys,
    )


def _endpoints() -> APIRouter:
    return joined(
        items_router,
        trainings_router,
        events_api.router,
        users_router,
        attribution_router,
        rules_router,
        showcase_api.router,
        owner_router,
    )


def _model_slot(
    settings: Settings,
    items: ItemStore,
    readers: sessionmaker[Session],
    now: Callable[[], datetime],
) -> ModelSlot[Live]:
    def load(version: Version) -> Live:
        # One that takes the place of another comes with the vectors of every item.
        replaces = _model_check(slot).ok
        return Live.load(
            version.path,
            items,
            readers,
            threads=settings.threads,
            max_queue=settings.max_queue,
            encode_at_most=None if replaces else settings.encode_at_start,
            now=now().timestamp(),
        )

    slot = ModelSlot(
        Registry(settings.models_dir, KIND),
        load,
        retire=lambda live: live.stop(),
        interval=settings.refresh_seconds,
    )
    return slot


async def _poll(models: ModelSlot[Live], seconds: float) -> None:
    """Look for another version for as long as the server runs."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(models.refresh)
        except Exception as error:
            # Whatever it is, the model in memory goes on answering, and the next look may work.
            _log.warning("cannot look for another model", exc_info=error)


def _model_check(models: ModelSlot[Live]) -> Check:
    try:
        return Check("model", True, models.current().model.version)
    except NotReady as error:
        return Check("model", False, str(error))
