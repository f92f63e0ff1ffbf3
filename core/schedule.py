"""How does a worker do its pieces of work, each on its clock, until it is told to stop?

A worker has a few fixed ticks, and what is due stands in the database: a tick that finds nothing
costs next to nothing. One that fails is logged and comes again; no failure ends the worker. What
only one of several workers may do is done in portions under a lease.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Table
from sqlalchemy.orm import Session, sessionmaker

from core.db.leases import acquire, release
from core.errors import TrefoilError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tick:
    """A piece of work that is done at the start and then every `seconds`."""

    name: str
    work: Callable[[], object]
    seconds: float


def owner_name() -> str:
    """A name for leases that no other worker has: machine, process and a random part."""
    return f"{socket.gethostname()[:80]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def run_ticks(ticks: Sequence[Tick], stop: Event, *, owner: str, threads: int = 1) -> None:
    """Run the ticks until `stop` is set; what has begun by then is finished.

    At most `threads` run at the same time, and none beside itself: where it takes longer than its
    interval, it comes again when it is due next. `owner` is told in the log.
    """
    # APScheduler tells of every run; what matters is told by the ticks themselves.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(threads)},
        # No grace time: a tick that waits for a thread is late, not missed.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone=UTC,
    )
    at_once = datetime.now(UTC)
    for tick in ticks:
        scheduler.add_job(
            _guarded(tick, stop),
            "interval",
            seconds=tick.seconds,
            id=tick.name,
            next_run_time=at_once,
        )
    scheduler.start()
    logger.info("working", extra={"owner": owner})
    try:
        stop.wait()
    finally:
        stop.set()
        scheduler.shutdown(wait=True)
        logger.info("stopped")


def _guarded(tick: Tick, stop: Event) -> Callable[[], None]:
    """The tick's work, with its failure in the log and not in the scheduler."""

    def run() -> None:
        if stop.is_set():
            return
        try:
            tick.work()
        except TrefoilError as error:
            logger.error("the tick failed: %s", error, extra={"tick": tick.name})
        except Exception as error:
            logger.error("the tick failed", exc_info=error, extra={"tick": tick.name})

    return run


@dataclass(frozen=True)
class Exclusive:
    """What one worker does at a time. `owner` names this one in the table `leases`; `ttl`, longer
    than any portion takes, is how long a worker that died keeps the others from its work."""

    sessions: sessionmaker[Session]
    leases: Table
    owner: str
    now: Callable[[], datetime]
    stop: Event
    ttl: timedelta = timedelta(minutes=5)

    def repeat(self, name: str, portion: Callable[[], int]) -> int:
        """Do portions until one does nothing, `stop` is set or another worker has the lease
        `name`; how much was done, the sum of what the portions gave."""
        total = 0
        while not self.stop.is_set() and self._acquired(name):
            done = portion()
            total += done
            if not done:
                break
        with self.sessions.begin() as session:
            release(session, self.leases, name, self.owner)
        if total:
            logger.info("%s: %d", name, total)
        return total

    def _acquired(self, name: str) -> bool:
        with self.sessions.begin() as session:
            return acquire(session, self.leases, name, self.owner, now=self.now(), ttl=self.ttl)
