"""A worker in a process of its own, which can be told at which statement it is killed.

Processes are forked from one that has everything imported already, so that a worker costs little
more than its work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess

from sqlalchemy import Engine, event

from services.finance_sentiment.settings import Settings
from services.finance_sentiment.worker import run

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


@dataclass
class Death:
    """SIGKILL right before the `nth` statement of this worker that begins with `statement`, or
    before the `nth` COMMIT."""

    statement: str
    nth: int = 1
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listen(self) -> None:
        """Wait for it."""
        if self.statement == "COMMIT":
            event.listen(Engine, "commit", lambda connection: self._counted())
        else:
            event.listen(Engine, "before_cursor_execute", self._executed)

    def _executed(self, connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(self.statement):
            self._counted()

    def _counted(self) -> None:
        with self._lock:
            self._seen += 1
            if self._seen == self.nth:
                os.kill(os.getpid(), signal.SIGKILL)


def start(
    settings: Settings, *, later: timedelta = timedelta(), death: tuple[str, int] | None = None
) -> ForkServerProcess:
    """Start a worker whose clock is `later` than ours."""
    # As a daemon, so that none outlives a test run that fails.
    process = _FORKS.Process(target=_work, args=(settings, later, death), daemon=True)
    process.start()
    return process


def stop(process: ForkServerProcess) -> int | None:
    """Tell it to end, and wait; its exit status."""
    process.terminate()
    process.join(60)
    return process.exitcode


def _work(settings: Settings, later: timedelta, death: tuple[str, int] | None) -> None:
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ending.set())
    if death is not None:
        Death(*death).listen()
    run(settings, ending, now=lambda: datetime.now(UTC) + later)
