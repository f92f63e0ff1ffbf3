"""How is every answer remembered, and none slower for it?

A request puts its answer into a bounded queue; a thread of its own writes what waits, many in one
transaction. Where the database falls behind the answer is dropped and counted. Of a process that
is killed the last fraction of a second is lost; one that stops writes all.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import rows_changed
from core.errors import TrefoilError
from services.recommender.tables import answers

# Answers that may wait. At the goal of 350 a second that is half a minute of a silent database.
QUEUE: Final = 10_000
# Rows of one transaction, and seconds in which they gather.
_BATCH: Final = 500
_SECONDS: Final = 0.2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. `item_ids` in their order; `answered_at` in Unix seconds."""

    recommendation_id: str
    model_version: str
    scenario: str
    answered_at: float
    item_ids: Sequence[str]


class AnswerLog:
    """`start` and `stop` frame the server's life; `registry` shows how many were dropped."""

    def __init__(
        self, sessions: sessionmaker[Session], registry: CollectorRegistry, queue: int = QUEUE
    ) -> None:
        self._sessions = sessions
        self._waiting: deque[Answer] = deque()
        self._room = queue
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._dropped = Counter(
            "trefoil_recommender_answers_dropped",
            "Answers that were given and not written down, since the database fell behind.",
            registry=registry,
        )

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def put(self, answer: Answer) -> None:
        """Remember an answer, soon; never waits."""
        with self._changed:
            if len(self._waiting) >= self._room:
                self._dropped.inc()
                return
            self._waiting.append(answer)

    def write(self) -> int:
        """Write up to a batch of what waits; how many. They wait on where the database is away."""
        with self._changed:
            batch = [self._waiting[n] for n in range(min(len(self._waiting), _BATCH))]
        if not batch:
            return 0
        with self._sessions.begin() as session:
            session.execute(insert(answers), [_row(answer) for answer in batch])
        with self._changed:
            for _ in batch:
                self._waiting.popleft()
        return len(batch)

    def _work(self) -> None:
        while True:
            with self._changed:
                stopping = self._changed.wait_for(lambda: self._stopping, timeout=_SECONDS)
            try:
                while self.write() == _BATCH:
                    pass
            except TrefoilError as error:
                _log.warning("answers cannot be written: %s", error)
            if stopping:
                return


def forget_answers(sessions: sessionmaker[Session], before: float, at_most: int = 5_000) -> int:
    """Delete up to `at_most` answers from before that moment (Unix seconds); how many."""
    with sessions.begin() as session:
        old = select(answers.c.recommendation_id).where(answers.c.answered_at < before)
        chosen = answers.c.recommendation_id.in_(old.limit(at_most))
        return rows_changed(session, delete(answers).where(chosen))


def _row(answer: Answer) -> dict[str, object]:
    return {
        "recommendation_id": answer.recommendation_id,
        "model_version": answer.model_version,
        "scenario": answer.scenario,
        "answered_at": answer.answered_at,
        "item_ids": list(answer.item_ids),
        "shown": len(answer.item_ids),
    }
