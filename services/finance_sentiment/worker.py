"""Which work is done on which clock? A process of its own, never inside the web process.

Three fixed ticks: fetch, label, evaluate. What is due stands in the database; a tick that finds
nothing costs one query. A tick that fails is logged and comes again: no failure ends the worker.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.migrations import ensure_current
from core.errors import NotReady, TrefoilError
from core.inference.slot import ModelSlot
from core.net import FetchPolicy, GuardedClient
from core.web.logs import configure_logging
from services.finance_sentiment.domain import KIND
from services.finance_sentiment.labels import Labeler
from services.finance_sentiment.monitor import Clock, Monitor
from services.finance_sentiment.rules import read_rules
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.sources import read_sources, save_sources
from services.finance_sentiment.tables import MIGRATIONS

logger = logging.getLogger("trefoil.finance_sentiment.worker")


def run(settings: Settings, stop: Event, *, now: Clock = lambda: datetime.now(UTC)) -> None:
    """Work until `stop` is set. TrefoilError where it cannot start."""
    configure_logging(settings.log_level)
    # APScheduler tells of every run; what matters is told by the ticks themselves.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    rules = read_rules(settings.rules) if settings.rules else []
    engine = make_engine(settings.database_url)
    try:
        ensure_current(engine, MIGRATIONS, command=settings.command)
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
            owner = f"{socket.gethostname()[:80]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
            monitor = Monitor(sessions, settings, client, now, owner, random.Random(), rules)
            _work(monitor, settings, stop)
    finally:
        engine.dispose()


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
        monitor.label_pending(labeler.label, stop)

    # One thread a tick, so that a slow feed does not hold up the labels.
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(3)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone=UTC,
    )
    at_once = datetime.now(UTC)
    for name, tick, seconds in (
        ("fetch", lambda: monitor.fetch_due(stop), settings.fetch_tick),
        ("label", label, settings.label_tick),
        ("evaluate", monitor.evaluate, settings.evaluate_tick),
    ):
        scheduler.add_job(
            _guarded(name, tick), "interval", seconds=seconds, id=name, next_run_time=at_once
        )
    scheduler.start()
    logger.info("working", extra={"owner": monitor.owner})
    try:
        stop.wait()
    finally:
        stop.set()
        scheduler.shutdown(wait=True)
        monitor.release()
        logger.info("stopped")


def _guarded(name: str, tick: Callable[[], object]) -> Callable[[], None]:
    """The tick, with its failure in the log and not in the scheduler."""

    def run_tick() -> None:
        try:
            tick()
        except TrefoilError as error:
            logger.error("the tick failed: %s", error, extra={"tick": name})
        except Exception as error:
            logger.error("the tick failed", exc_info=error, extra={"tick": name})

    return run_tick
