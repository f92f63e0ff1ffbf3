"""Which parts does the news monitor's server consist of? Chosen here, and nowhere else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

from core.artifacts import Registry, Version
from core.db.engine import make_engine, ping, session_factory
from core.db.keys import StoredKeys
from core.db.migrations import ensure_current
from core.errors import NotReady
from core.inference.batching import Batcher
from core.inference.cache import TextCache
from core.inference.slot import ModelSlot
from core.inference.tokenizer import Tokens
from core.web import Check
from core.web import create_app as create_web_app
from core.web.health import database_check
from core.web.page_login import KeyLogIns
from core.web.routes import joined
from services.finance_sentiment.alert_stories_api import make_alert_stories_router
from services.finance_sentiment.alerts_api import AlertParts, make_alerts_router
from services.finance_sentiment.api import Parts, make_router
from services.finance_sentiment.backtest_api import BacktestParts, make_backtest_router
from services.finance_sentiment.backtests import Backtests
from services.finance_sentiment.companies_api import CompanyParts, make_companies_router
from services.finance_sentiment.confusion import Confusion
from services.finance_sentiment.corrections_api import LabelParts, LabelTerms, make_labels_router
from services.finance_sentiment.deliveries_api import DeliveryParts, make_deliveries_router
from services.finance_sentiment.domain import KIND, Label
from services.finance_sentiment.events import Hub, Places
from services.finance_sentiment.events_api import EventParts, make_events_router, tell
from services.finance_sentiment.figures import MonitorFigures
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.life import Policy
from services.finance_sentiment.linking import CompanyLinker, linker_of
from services.finance_sentiment.overview import Patience
from services.finance_sentiment.overview_api import OverviewParts, make_overview_router
from services.finance_sentiment.pages import make_pages_router
from services.finance_sentiment.push_api import make_push_router
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.sources_api import SourceParts, make_sources_router
from services.finance_sentiment.tables import MIGRATIONS, api_keys
from services.finance_sentiment.telling import teller_of


def create_app(
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """The server's app. Database and model are opened when it starts, not here."""
    chosen = settings or Settings()
    engine = make_engine(chosen.database_url)
    model = ServedModel(chosen)
    read, write = session_factory(engine, read_only=True), session_factory(engine)
    labels = LabelParts(read, write, now, model.live, LabelTerms.of(chosen))
    linker = linker_of(chosen.companies)
    backtests = _backtests(chosen, labels, companies=linker is not None)
    router = APIRouter()
    router.include_router(_endpoints(chosen, labels, model, linker))
    router.include_router(_page_data(chosen, labels, backtests))
    hub = Hub(read, tell, tick=chosen.events_tick)
    places = Places(chosen.events_streams, chosen.events_streams_per_key)
    router.include_router(make_events_router(EventParts(hub, places, chosen.events_heartbeat)))

    keys = StoredKeys(read, api_keys)
    logins = KeyLogIns(keys, "trefoil_news")

    def ready() -> list[Check]:
        return [database_check(lambda: ping(engine)), model.check()]

    app = create_web_app(
        "Trefoil news monitor",
        settings=chosen,
        router=router,
        lifespan=_lifespan(chosen, engine, model, hub, backtests),
        ready=ready,
        keys=keys,
        public=joined(make_pages_router(), logins.router()),
        logins=logins,
    )
    registry = app.state.metrics.registry
    app.state.figures = MonitorFigures(read, now, lambda: places.taken, registry, labels.figures)
    return app


def _endpoints(
    chosen: Settings, labels: LabelParts, model: ServedModel, linker: CompanyLinker | None
) -> APIRouter:
    """What programs call."""
    read, write, now = labels.read, labels.write, labels.now
    parts = Parts(
        read=read,
        classify=model.classify,
        now=now,
        false_alarms_per_week=chosen.false_alarms_per_week,
        confusion=model.confusion,
        linker=linker,
    )
    router = APIRouter()
    router.include_router(make_router(parts))
    router.include_router(make_sources_router(SourceParts(read, write, now)))
    router.include_router(make_push_router(write, now))
    router.include_router(make_alerts_router(AlertParts(read, write, now)))
    router.include_router(make_labels_router(labels))
    router.include_router(make_deliveries_router(DeliveryParts(read, write, now)))
    router.include_router(make_companies_router(CompanyParts(read, now, linker)))
    return router


def _page_data(chosen: Settings, labels: LabelParts, backtests: Backtests) -> APIRouter:
    """What the pages ask for beside that."""
    read, write, now = labels.read, labels.write, labels.now
    patience = Patience.of(chosen)
    # A drill is watched as a surge is, and ends by itself.
    policy = Policy(chosen.alert_for_hours)
    teller = teller_of(chosen, os.environ)
    router = APIRouter()
    router.include_router(make_alert_stories_router(read))
    router.include_router(make_overview_router(OverviewParts(read, now, labels.live, patience)))
    router.include_router(
        make_backtest_router(BacktestParts(backtests, write, now, policy, teller))
    )
    return router


def _backtests(chosen: Settings, labels: LabelParts, *, companies: bool) -> Backtests:
    policy = Policy(
        chosen.alert_for_hours, chosen.alert_keep_firing_hours, chosen.alert_cool_down_hours
    )
    return Backtests(
        labels.read,
        labels.now,
        lambda: labels.live()[0],
        false_alarms=chosen.false_alarms_per_week,
        policy=policy,
        companies=companies,
    )


def _lifespan(
    chosen: Settings, engine: Engine, model: ServedModel, hub: Hub, backtests: Backtests
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What begins and ends with the server."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(ensure_current, engine, MIGRATIONS, command=chosen.command)
        await asyncio.to_thread(model.refresh)
        polling = asyncio.create_task(model.poll())
        try:
            async with hub.running(), app.state.figures.running():
                yield
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            backtests.stop()
            await asyncio.to_thread(model.stop)
            engine.dispose()

    return lifespan


class _Running:
    """One version of the model with its queue and its one thread."""

    def __init__(self, labeler: Labeler, max_queue: int) -> None:
        self.labeler = labeler
        self.batcher: Batcher[tuple[str, Tokens], Label] = Batcher(self._run, max_queue=max_queue)

    def _run(self, items: list[tuple[str, Tokens]]) -> list[Label]:
        return self.labeler.label([text for text, _ in items], [tokens for _, tokens in items])


class ServedModel:
    """The live model: swapped when another version is promoted, with a memory of recent texts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache: TextCache[Label] = TextCache(settings.cache_texts)
        self._slot: ModelSlot[_Running] = ModelSlot(
            Registry(settings.models_dir, KIND),
            self._load,
            retire=lambda running: running.batcher.stop(),
            interval=settings.refresh_seconds,
        )

    async def classify(self, texts: Sequence[str]) -> tuple[str, list[Label]]:
        """(version, labels in the order of the texts). NotReady, Overloaded."""
        try:
            return await self._classify(self._slot.current(), texts)
        except NotReady:
            # The version was replaced between our look and its queue's end: ask the new one.
            return await self._classify(self._slot.current(), texts)

    def live(self) -> tuple[str, Sequence[str], frozenset[str]]:
        """(version, its topics, digests of the corrections that it learned), "" and nothing where
        there is no live model."""
        try:
            labeler = self._slot.current().labeler
        except NotReady:
            return "", (), frozenset()
        return labeler.version, labeler.topics, labeler.learned

    def confusion(self) -> tuple[str, Confusion | None]:
        """(version, what it takes for what) of the live model; "" where there is none."""
        try:
            labeler = self._slot.current().labeler
        except NotReady:
            return "", None
        return labeler.version, labeler.confusion

    async def _classify(self, running: _Running, texts: Sequence[str]) -> tuple[str, list[Label]]:
        version = running.labeler.version
        known = {text: self._cache.get(version, text) for text in dict.fromkeys(texts)}
        missing = [text for text, label in known.items() if label is None]
        if missing:
            tokens = await asyncio.to_thread(running.labeler.tokenize, missing)
            labels = await asyncio.gather(
                *(
                    running.batcher.submit((text, found), len(found.ids))
                    for text, found in zip(missing, tokens, strict=True)
                )
            )
            for text, found_label in zip(missing, labels, strict=True):
                self._cache.put(version, text, found_label)
                known[text] = found_label
        return version, [label for text in texts if (label := known[text]) is not None]

    def refresh(self) -> None:
        """Take the live version in, if it is another one."""
        self._slot.refresh()

    async def poll(self) -> None:
        """Look for another version for as long as the server runs."""
        while True:
            await asyncio.sleep(self._settings.refresh_seconds)
            await asyncio.to_thread(self.refresh)

    def check(self) -> Check:
        """Whether there is a model."""
        try:
            self._slot.current()
        except NotReady as error:
            return Check("model", False, str(error))
        return Check("model", True)

    def stop(self) -> None:
        """End the model thread."""
        with suppress(NotReady):
            self._slot.current().batcher.stop()

    def _load(self, version: Version) -> _Running:
        labeler = Labeler.of_version(version, threads=self._settings.threads)
        return _Running(labeler, self._settings.max_queue)
