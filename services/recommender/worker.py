"""Which work is done beside the answers? A process of its own, never inside the web process.

Two things on one clock, each by one worker at a time (a lease):

    vectors   texts that the live model's encoder has not seen get their vectors: items that were
              imported before there was a model, or all of them when a model with another encoder
              went live
    counters  events are summed up into item_counters, so that a server that starts need not read
              them all
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event

from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry, Version
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.errors import NotReady
from core.inference.encoder import TextEncoder
from core.inference.slot import ModelSlot
from core.schedule import Exclusive, Tick, owner_name, run_ticks
from core.web.logs import configure_logging
from services.recommender.event_store import EventStore
from services.recommender.live import encode_missing
from services.recommender.model import KIND, Model, load_encoder, load_model
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS, leases

# Texts encoded before the stop signal is looked at again.
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
        self._items = ItemStore(sessions, readers)
        self._events = EventStore(sessions, readers)
        self._alone = Exclusive(sessions, leases, owner, now, stop)

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
        return self._alone.repeat(
            "vectors", lambda: encode_missing(self._items, encoder, model.prepared, _TEXTS)
        )

    def fold(self) -> int:
        """Sum up the events that came since; how many there were."""
        return self._alone.repeat("counters", self._events.fold)


def run(
    settings: Settings, stop: Event, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Work until `stop` is set. TrefoilError where it cannot start."""
    configure_logging(settings.log_level)
    with migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine:
        owner = owner_name()
        worker = Worker(
            settings,
            session_factory(engine),
            session_factory(engine, read_only=True),
            owner=owner,
            now=now,
            stop=stop,
        )
        ticks = (
            Tick("vectors", worker.encode, settings.worker_seconds),
            Tick("counters", worker.fold, settings.worker_seconds),
        )
        run_ticks(ticks, stop, owner=owner)
