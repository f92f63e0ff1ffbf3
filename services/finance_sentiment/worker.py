"""Which work is done on which clock? A process of its own, never inside the web process.

Fixed ticks: fetch, label, evaluate, relabel, retrain, and where they are set up the watched folder
and deliver. What is due stands in the database; monitor.py, relabel.py, retraining.py and
deliverer.py do it.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event

from core.artifacts import Registry, Version
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.errors import NotReady
from core.inference.slot import ModelSlot
from core.net import FetchPolicy, GuardedClient
from core.schedule import Tick, owner_name, run_ticks
from core.web.logs import configure_logging
from services.finance_sentiment.deliverer import Deliverer
from services.finance_sentiment.domain import KIND
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.linking import linker_of
from services.finance_sentiment.merging import Reading
from services.finance_sentiment.monitor import Clock, Monitor
from services.finance_sentiment.relabel import Reader, Relabeller
from services.finance_sentiment.retraining import Retrainer
from services.finance_sentiment.rules import read_rules
from services.finance_sentiment.sending import Sender
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.source_lists import read_sources
from services.finance_sentiment.sources import save_sources
from services.finance_sentiment.tables import MIGRATIONS
from services.finance_sentiment.telling import teller_of
from services.finance_sentiment.tick_log import TickLog
from services.finance_sentiment.unknown_names import unknown_names

logger = logging.getLogger("trefoil.finance_sentiment")


def run(settings: Settings, stop: Event, *, now: Clock = lambda: datetime.now(UTC)) -> None:
    """Work until `stop` is set. TrefoilError where it cannot start."""
    configure_logging(settings.log_level)
    rules = read_rules(settings.rules) if settings.rules else []
    teller = teller_of(settings, os.environ)
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
            monitor = Monitor(
                sessions,
                settings,
                client,
                now,
                owner_name(),
                random.Random(),
                rules,
                teller=teller,
                linker=linker_of(settings.companies),
            )
            _work(monitor, settings, stop)


def reading(labeler: Labeler, texts: Sequence[str]) -> Reading:
    """Labels and embeddings out of one pass; those of texts that cannot be read are zero."""
    labels, predictions = labeler.read(texts)
    if predictions is None:
        return Reading(labels)
    encoded = predictions.encoded
    return Reading(labels, encoded.embeddings * encoded.readable[:, None])


def _loaded(monitor: Monitor, version: Version, threads: int) -> Labeler:
    """A model that goes live; what waits for a topic that it does not know is named."""
    labeler = Labeler.of_version(version, threads=threads)
    companies = [] if monitor.linker is None else [one.name for one in monitor.linker.companies]
    channels = monitor.teller.channels
    for said in unknown_names(monitor.rules, channels, labeler.topics, companies):
        logger.warning(said)
    return labeler


def _reader(slot: ModelSlot[Labeler]) -> Reader | None:
    """The model that is live now."""
    slot.refresh()
    try:
        labeler = slot.current()
    except NotReady:
        return None
    return Reader(labeler.version, lambda texts: reading(labeler, texts))


def _version(slot: ModelSlot[Labeler]) -> str | None:
    reader = _reader(slot)
    return None if reader is None else reader.version


def _work(monitor: Monitor, settings: Settings, stop: Event) -> None:
    slot = ModelSlot(
        Registry(settings.models_dir, KIND),
        lambda version: _loaded(monitor, version, settings.threads),
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
        monitor.link_companies(lambda texts: reading(labeler, texts), stop)

    relabeller = Relabeller(
        monitor.sessions,
        monitor.now,
        monitor.owner,
        settings.relabel_days,
        settings.label_batch,
        lambda: _reader(slot),
        monitor.linker,
    )
    retrainer = Retrainer(
        settings, monitor.sessions, owner=monitor.owner, now=monitor.now, stop=stop
    )
    ticks = [
        Tick("fetch", lambda: monitor.fetch_due(stop), settings.fetch_tick),
        Tick("label", label, settings.label_tick),
        Tick("evaluate", lambda: monitor.evaluate(_version(slot)), settings.evaluate_tick),
        Tick("relabel", lambda: relabeller.run(stop), settings.relabel_tick),
        Tick("retrain", retrainer.check, settings.retrain_tick),
    ]
    if settings.watch_folder is not None:
        folder = settings.watch_folder
        ticks.append(
            Tick("folder", lambda: monitor.take_folder(folder, stop), settings.folder_tick)
        )
    deliverer = _deliverer(monitor, settings, stop)
    if monitor.teller.channels:
        ticks.append(Tick("deliver", deliverer.tick, settings.deliver_tick))
    log = TickLog(monitor.sessions, monitor.now)
    ticks = [log.watched(tick) for tick in ticks]
    try:
        # One thread a tick, so that a slow feed does not hold up the labels.
        run_ticks(ticks, stop, owner=monitor.owner, threads=len(ticks))
    finally:
        deliverer.close()
        monitor.release()


def _deliverer(monitor: Monitor, settings: Settings, stop: Event) -> Deliverer:
    return Deliverer(
        monitor.sessions,
        monitor.teller,
        Sender(settings.deliver_allow),
        monitor.now,
        monitor.owner,
        timedelta(days=settings.deliver_keep_days),
        stop,
    )
