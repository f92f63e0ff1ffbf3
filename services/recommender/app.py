"""Which real parts make up the service? The only place where they are chosen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from fastapi import FastAPI
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
from services.recommender.api import Parts, router
from services.recommender.event_store import EventStore
from services.recommender.live import Live
from services.recommender.model import KIND
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS, api_keys

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
    items = ItemStore(sessions, readers)

    models = _model_slot(settings, items, readers)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(ensure_current, engine, MIGRATIONS, command=settings.command)
        app.state.parts = Parts(settings, items, EventStore(sessions, readers), models, now)
        await asyncio.to_thread(models.refresh)
        polling = asyncio.create_task(_poll(models, settings.refresh_seconds))
        try:
            yield
        finally:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            with suppress(NotReady):
                await asyncio.to_thread(models.current().stop)
            engine.dispose()

    def ready() -> Sequence[Check]:
        return [database_check(lambda: ping(engine)), _model_check(models)]

    return create_web_app(
        "Trefoil recommender",
        settings=settings,
        router=router,
        lifespan=lifespan,
        ready=ready,
        keys=StoredKeys(readers, api_keys),
    )


def _model_slot(
    settings: Settings, items: ItemStore, readers: sessionmaker[Session]
) -> ModelSlot[Live]:
    def load(version: Version) -> Live:
        return Live.load(
            version.path,
            items,
            readers,
            threads=settings.threads,
            max_queue=settings.max_queue,
            encode_at_most=settings.encode_at_start,
        )

    return ModelSlot(
        Registry(settings.models_dir, KIND),
        load,
        retire=lambda live: live.stop(),
        interval=settings.refresh_seconds,
    )


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
