"""Which work is done on which clock? A process of its own, never inside the web process.

Fixed ticks: fetch, label, evaluate, and the watched folder where one is set. What is due stands in
the database; monitor.py does it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Event

from core.artifacts import Registry
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.errors import NotReady
from core.inference.slot import ModelSlot
from core.net import FetchPolicy, GuardedClient
from core.schedule import Tick, owner_name, run_ticks
from core.web.logs import configure_logging
from services.finance_sentiment.domain import KIND
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.merging import Reading
from services.finance_sentiment.monitor import Clock, Monitor
from services.finance_sentiment.rules import read_rules
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.source_lists import read_sources
from services.finance_sentiment.sources import save_sources
from services.finance_sentiment.tables import MIGRATIONS


def run(settings: Settings, stop: Event, *, now: Clock = lambda: datetime.now(UTC)) -> None:
    """Work until `stop` is set. TrefoilError where it cannot start."""
    configure_logging(settings.log_level)
    rules = read_rules(settings.rules) if settings.rules else []
    with migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine:
        sessions = session_factory(engine)
        if settings.sources:
            listed = read_sources(settings.sources)
            with sessions.begin() as session:
                save_sources(session, listed, now())
        policy = FetchPolicy(
            max_bytes=settings.max_feed_bytes,
            allow=settings.fetch_allow,
            # A feed is asked again soon anyway; its place in the queue is for the others.
            retries=1,
            user_agent="trefoil-news-monitor",
        )
        with GuardedClient(policy) as client:
            monitor = Monitor(sessions, settings, client, now, owner_name(), random.Random(), rules)
            _work(monitor, settings, stop)


def reading(labeler: Labeler, texts: Sequence[str]) -> Reading:
    """Labels and embeddings out of one pass; those of texts that cannot be read are zero."""
    labels, predictions = labeler.read(texts)
    if predictions is None:
        return Reading(labels)
    encoded = predictions.encoded
    return Reading(labels, encoded.embeddings * encoded.readable[:, None])


def _work(monitor: Monitor, settings: Settings, stop: Event) -> None:
    slot = ModelSlot(
        Registry(settings.models_dir, KIND),
        lambda version: Labeler.of_version(version, threads=settings.threads),
        interval=settings.refresh_seconds,
    )

    def label() -> None:
        slot.refresh()
        try:
            labeler = slot.current()
        except NotReady:
            # Stories wait until there is a model; they are shown as pending.
            return
        monitor.label_pending(lambda texts: reading(labeler, texts), stop)

    ticks = [
        Tick("fetch", lambda: monitor.fetch_due(stop), settings.fetch_tick),
        Tick("label", label, settings.label_tick),
        Tick("evaluate", monitor.evaluate, settings.evaluate_tick),
    ]
    if settings.watch_folder is not None:
        folder = settings.watch_folder
        ticks.append(
            Tick("folder", lambda: monitor.take_folder(folder, stop), settings.folder_tick)
        )
    try:
        # One thread a tick, so that a slow feed does not hold up the labels.
        run_ticks(ticks, stop, owner=monitor.owner, threads=len(ticks))
    finally:
        monitor.release()
