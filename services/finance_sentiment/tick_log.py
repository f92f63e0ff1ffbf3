"""How are the ticks of the workers doing? Kept in the database, where the server reads it.

A worker answers no requests, so its figures go through a row for each tick: when it last succeeded,
how long that took, when it last failed and how often it has. Several workers share the rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore
from core.schedule import Tick
from services.finance_sentiment.tables import worker_ticks

# A success is written at most so often: the ticks come every second or two.
EVERY_SECONDS = 10.0


@dataclass
class TickLog:
    """Writes down what becomes of ticks. `clock` counts seconds, from anywhere."""

    sessions: sessionmaker[Session]
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    _written: dict[str, float] = field(default_factory=dict)

    def watched(self, tick: Tick) -> Tick:
        """The same tick, kept in the log."""

        def work() -> None:
            began = self.clock()
            try:
                tick.work()
            except Exception:
                self._failed(tick.name)
                raise
            self._succeeded(tick.name, self.clock() - began)

        return replace(tick, work=work)

    def _succeeded(self, name: str, seconds: float) -> None:
        ended = self.clock()
        if ended - self._written.get(name, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        self._write(name, {"succeeded_at": self.now(), "seconds": seconds})
        self._written[name] = ended

    def _failed(self, name: str) -> None:
        self._write(name, {"failed_at": self.now(), "failures": worker_ticks.c.failures + 1})
        # The next success is news.
        self._written.pop(name, None)

    def _write(self, name: str, values: dict[str, Any]) -> None:
        with self.sessions.begin() as session:
            insert_or_ignore(session, worker_ticks, {"name": name, "failures": 0})
            session.execute(update(worker_ticks).where(worker_ticks.c.name == name).values(values))


def all_ticks(session: Session) -> list[Row[Any]]:
    """Every tick that some worker has done, by name."""
    return list(session.execute(select(worker_ticks).order_by(worker_ticks.c.name)))
