"""Which work is done beside the answers? A process of its own, never inside the web process.

A few things, each by one worker at a time (a lease):

    passages   what the live model's search encoder has not read yet gets its vectors: after
               articles came in, or when a model with another search encoder went live
    retention  conversations that have been silent for `retention_days` are deleted
    retrain    where the team's training data are named: enough new examples become a new model
               (retrain.py), in a process of its own that ends with this one
    chatwoot   where one is set up: calls to it that failed are made again
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.inference.encoder import TextEncoder
from core.inference.slot import ModelSlot
from core.schedule import Exclusive, Tick, owner_name, run_ticks
from core.web.logs import configure_logging
from services.customer_service.admin import searcher_of
from services.customer_service.channels.chatwoot import Courier
from services.customer_service.content import ContentStore
from services.customer_service.live import portions_of, read_texts, unread_texts
from services.customer_service.retrain import Retrainer
from services.customer_service.settings import Settings
from services.customer_service.store import ConversationStore
from services.customer_service.tables import MIGRATIONS, leases
from services.customer_service.understanding import KIND, IntentModel

# Conversations deleted in one transaction: chats wait for it on SQLite.
_CONVERSATIONS = 200
# What is kept for days need not be looked at more often than once an hour.
_RETENTION_SECONDS = 3600.0
_LETTER_SECONDS = 10.0
_RETRAIN_SECONDS = 10.0


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
        courier: Courier | None = None,
    ) -> None:
        self._courier = courier
        self._content = ContentStore(sessions, readers)
        self._conversations = ConversationStore(sessions, readers)
        self._alone = Exclusive(sessions, leases, owner, now, stop)
        self._retention_days, self._now = settings.retention_days, now
        self._models = ModelSlot(
            Registry(settings.models_dir, KIND),
            lambda version: IntentModel.load(version.path, threads=settings.threads),
            interval=0.0,
        )
        # The content's version and the encoder that have nothing left to read.
        self._done: tuple[int, str] | None = None

    def read_passages(self) -> int:
        """Give the texts that search lacks vectors for theirs; how many there were."""
        self._models.refresh()
        searcher = searcher_of(self._models)
        if searcher is None:
            return 0  # passages wait until there is a model
        wanted = (self._content.version(), searcher.encoder_id)
        if wanted == self._done:
            return 0
        portions = self._portions(wanted, searcher)
        return self._alone.repeat("passages", lambda: next(portions, 0))

    def _portions(self, wanted: tuple[int, str], searcher: TextEncoder) -> Iterator[int]:
        """How many texts were read, portion by portion. The first look is made under the lease."""
        for texts in portions_of(unread_texts(self._content, searcher.encoder_id)):
            read_texts(self._content, searcher, texts)
            yield len(texts)
        self._done = wanted

    def delete_silent(self) -> int:
        """Delete the conversations whose time is over; how many there were."""
        if self._retention_days == 0:
            return 0  # all are kept for ever
        since = self._now() - timedelta(days=self._retention_days)
        return self._alone.repeat(
            "retention", lambda: self._conversations.delete_silent(since, _CONVERSATIONS)
        )

    def send_letters(self) -> int:
        """Make the calls to Chatwoot that are due; how many arrived."""
        courier = self._courier
        return 0 if courier is None else self._alone.repeat("chatwoot", courier.send_due)


def run(
    settings: Settings, stop: Event, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Work until `stop` is set. TrefoilError where it cannot start."""
    configure_logging(settings.log_level)
    with migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine:
        owner, sessions = owner_name(), session_factory(engine)
        courier = Courier(settings, sessions, now) if settings.chatwoot_url else None
        readers = session_factory(engine, read_only=True)
        worker = Worker(
            settings, sessions, readers, owner=owner, now=now, stop=stop, courier=courier
        )
        ticks = [
            Tick("passages", worker.read_passages, settings.worker_seconds),
            Tick("retention", worker.delete_silent, _RETENTION_SECONDS),
        ]
        if settings.training_data:
            retrainer = Retrainer(settings, sessions, readers, owner=owner, now=now, stop=stop)
            ticks.append(Tick("retrain", retrainer.retrain, _RETRAIN_SECONDS))
        if courier is not None:
            ticks.append(Tick("chatwoot", worker.send_letters, _LETTER_SECONDS))
        try:
            # A training takes its thread for as long as it runs.
            run_ticks(ticks, stop, owner=owner, threads=2)
        finally:
            if courier is not None:
                courier.stop()
