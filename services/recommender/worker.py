"""Which work is done beside the answers? A process of its own, never inside the web process.

Some things on one clock, each by one worker at a time (a lease):

    uploads   large batches of items that were accepted are checked and stored
    vectors   texts that the live model's encoder has not seen get their vectors: items that were
              imported before there was a model, or all of them when a model with another encoder
              went live
    comments  what people wrote gets its vectors too
    answers   what was answered too long ago is forgotten (setting answers_days)
    counters  events are summed up into item_counters, so that a server that starts need not read
              them all
    together  purchases are counted by pairs of items; see together.py
    training  the model learns from the shop when enough came, or when asked; see retraining.py
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
from services.recommender.answer_log import forget_answers
from services.recommender.comments import CommentStore, encode_comments
from services.recommender.domain import DAY
from services.recommender.event_store import EventStore
from services.recommender.ingest import work_off
from services.recommender.live import encode_missing
from services.recommender.model import KIND, Model, load_encoder, load_model
from services.recommender.retraining import Retrainer
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS, leases
from services.recommender.together import Baskets
from services.recommender.uploads import UploadStore

# Texts encoded before the stop signal is looked at again.
_TEXTS = 64


class Worker:
    """The pieces of work. `owner` names this worker in the leases."""

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
        self._comments = CommentStore(readers)
        self._sessions, self._answers_days = sessions, settings.answers_days
        self._uploads = UploadStore(sessions, readers)
        self._now = now
        self._events = EventStore(sessions, readers)
        self._baskets = Baskets(sessions, readers)
        self._alone = Exclusive(sessions, leases, owner, now, stop)
        self.retrainer = Retrainer(settings, sessions, readers, owner=owner, now=now, stop=stop)

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

    def read_comments(self) -> int:
        """Give the comments without a vector theirs; how many there were."""
        self._models.refresh()
        try:
            encoder, _ = self._models.current()
        except NotReady:
            return 0  # comments wait until there is a model
        return self._alone.repeat(
            "comments", lambda: encode_comments(self._comments, self._items, encoder, _TEXTS)
        )

    def forget_answers(self) -> int:
        """Forget what was answered too long ago; how many answers."""
        if not self._answers_days:
            return 0
        before = self._now().timestamp() - self._answers_days * DAY
        return self._alone.repeat("answers", lambda: forget_answers(self._sessions, before))

    def upload(self) -> int:
        """Work off the batches of items that were accepted; how many rows they had."""
        self._models.refresh()
        try:
            encoder, model = self._models.current()
        except NotReady:
            ready = None  # their vectors come when there is a model
        else:
            ready = encoder, model.prepared
        return self._alone.repeat(
            "uploads",
            lambda: work_off(self._uploads, self._items, ready, self._now().timestamp()),
        )

    def fold(self) -> int:
        """Sum up the events that came since; how many there were."""
        return self._alone.repeat("counters", self._events.fold)

    def pair(self) -> int:
        """Count what was bought together since; how many events there were."""
        return self._alone.repeat("together", self._baskets.fold)


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
            Tick("uploads", worker.upload, settings.worker_seconds),
            Tick("vectors", worker.encode, settings.worker_seconds),
            Tick("comments", worker.read_comments, settings.worker_seconds),
            Tick("answers", worker.forget_answers, settings.worker_seconds),
            Tick("counters", worker.fold, settings.worker_seconds),
            Tick("together", worker.pair, settings.worker_seconds),
            Tick("training", worker.retrainer.check, settings.worker_seconds),
        )
        # One thread a tick, so that a training does not hold up the vectors.
        run_ticks(ticks, stop, owner=owner, threads=len(ticks))
