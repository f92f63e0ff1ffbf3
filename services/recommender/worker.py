"""Which work is done beside the answers? A process of its own, never inside the web process.

Two things on one clock, each by one worker at a time (a lease):

    vectors   texts that the live model's encoder has not seen get their vectors: items that were
              imported before there was a model, or all of them when a model with another encoder
              went live
    counters  events are summed up into item_counters, so that a server that starts need not read
              them all
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry, Version
from core.db.engine import make_engine, session_factory
from core.db.leases import acquire, release
from core.db.migrations import ensure_current
from core.errors import NotReady, TrefoilError
from core.inference.encoder import TextEncoder
from core.inference.slot import ModelSlot
from core.web.logs import configure_logging
from services.recommender.app import MIGRATIONS
from services.recommender.event_store import EventStore
from services.recommender.live import encode_missing
from services.recommender.model import KIND, Model, load_encoder, load_model
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import leases

logger = logging.getLogger("trefoil.recommender.worker")

# How long a worker that died keeps another from its work.
_LEASE = timedelta(minutes=5)
# Texts encoded, and events summed up, before the stop signal is looked at again.
_TEXTS = 64


class Worker:
    """The two pieces of work. `owner` names this worker in the leases."""

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Session],
        readers: sessionmaker[Session],
        *,
        owner: str,
        now: Callable[[], datetime],
        stop: Event,
    ) -> None:
        self._sessions = sessions
        self._items = ItemStore(sessions, readers)
        self._events = EventStore(sessions, readers)
        self._owner, self._now, self._stop = owner, now, stop

        def load(version: Version) -> tuple[TextEncoder, Model]:
            return load_encoder(version.path, settings.threads), load_model(version.path)

        self._models = ModelSlot(Registry(settings.models_dir, KIND), load, interval=0.0)

    def encode(self) -> int:
        """Give the items without a vector theirs; how many texts there were."""
        self._models.refresh()
        try:
            encoder, model = self._models.current()
        except NotReady:
            return 0  # items wait until there is a model
        return self._alone(
            "vectors", lambda: encode_missing(self._items, encoder, model.prepared, _TEXTS)
        )

    def fold(self) -> int:
        """Sum up the events that came since; how many there were."""
        return self._alone("counters", self._events.fold)

    def _alone(self, name: str, step: Callable[[], int]) -> int:
        """Repeat `step` until it finds nothing more, while this worker holds the lease."""
        total = 0
        while not self._stop.is_set() and self._acquired(name):
            done = step()
            total += done
            if not done:
                break
        with self._sessions.begin() as session:
            release(session, leases, name, self._owner)
        if total:
            logger.info("%s: %d", name, total)
        return total

    def _acquired(self, name: str) -> bool:
        with self._sessions.begin() as session:
            return acquire(session, leases, name, self._owner, now=self._now(), ttl=_LEASE)


def run(
    settings: Settings, stop: Event, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Work until `stop` is set. TrefoilError where it cannot start."""
    configure_logging(settings.log_level)
    # APScheduler tells of every run; what matters is told by the work itself.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    engine = make_engine(settings.database_url)
    try:
        ensure_current(engine, MIGRATIONS, command=settings.command)
        owner = f"{socket.gethostname()[:80]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        worker = Worker(
            settings,
            session_factory(engine),
            session_factory(engine, read_only=True),
            owner=owner,
            now=now,
            stop=stop,
        )
        _work([worker.encode, worker.fold], settings.worker_seconds, stop)
    finally:
        engine.dispose()


def _work(ticks: list[Callable[[], int]], seconds: float, stop: Event) -> None:
    scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(1)}, timezone=UTC)
    for tick in ticks:
        scheduler.add_job(
            lambda tick=tick: _told(tick),
            "interval",
            seconds=seconds,
            coalesce=True,
            max_instances=1,
            next_run_time=datetime.now(UTC),
        )
    scheduler.start()
    logger.info("working")
    stop.wait()
    scheduler.shutdown(wait=True)


def _told(tick: Callable[[], int]) -> None:
    """Run it; a failure is told and the next tick tries again."""
    try:
        tick()
    except TrefoilError as error:
        logger.warning("%s", error)
    except Exception:
        logger.exception("a piece of work failed")
