"""How are kept the team's regression tests, and how retrained models fared?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import rows_changed
from core.errors import InvalidInput, NotFound, TooLarge
from core.privacy import redact
from core.text import normalize
from services.customer_service.examples import MAX_CHARS, key_of
from services.customer_service.tables import candidates, regression_tests

# Beside the registry's versions: the artefacts of candidates that wait for a person.
FOLDER: Final = "candidates"
State = Literal["promoted", "kept", "failed", "dropped"]
MAX_TESTS: Final = 2000


@dataclass(frozen=True, slots=True)
class RegressionTest:
    """What must be done about `text`: the answer of `intent` given, or `action` done."""

    text: str
    intent: str | None
    action: str | None

    @property
    def expected(self) -> str:
        """For people: the intent's name, or the action."""
        return f"intent {self.intent}" if self.intent else f"action {self.action}"


class RegressionTests:
    """`sessions` write, `readers` are read-only."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def all(self) -> list[RegressionTest]:
        """In the order of their texts."""
        table = regression_tests
        with self._readers() as session:
            rows = session.execute(select(table).order_by(table.c.text))
            return [RegressionTest(row.text, row.intent, row.action) for row in rows]

    def put(self, tests: Sequence[RegressionTest], now: datetime) -> None:
        """Store them, all or none, in place of those of the same text."""
        table = regression_tests
        rows = {}
        for test in tests:
            text = redact(normalize(test.text)).text
            if not text or len(text) > MAX_CHARS:
                raise InvalidInput(
                    f"the text of a test must have 1 to {MAX_CHARS} characters, had {len(text)}"
                )
            if (test.intent is None) == (test.action is None):
                raise InvalidInput(
                    f"the test {text[:60]!r} names {'both' if test.intent else 'neither'} of "
                    "`intent` and `action`",
                    mend="Name one of them.",
                )
            rows[key_of(text)] = {
                "key": key_of(text),
                "text": text,
                "intent": test.intent,
                "action": test.action,
                "created_at": now,
            }
        with self._sessions.begin() as session:
            session.execute(delete(table).where(table.c.key.in_(list(rows))))
            there = int(session.execute(select(func.count()).select_from(table)).scalar_one())
            if there + len(rows) > MAX_TESTS:
                raise TooLarge(f"there is room for {MAX_TESTS} tests, {there} are there already")
            if rows:
                session.execute(insert(table), list(rows.values()))

    def remove(self, texts: Iterable[str]) -> int:
        """Delete those of the texts; how many."""
        keys = [key_of(text) for text in texts]
        with self._sessions.begin() as session:
            return rows_changed(
                session, delete(regression_tests).where(regression_tests.c.key.in_(keys))
            )


class CandidateStore:
    """`sessions` write, `readers` are read-only."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def add(
        self,
        *,
        folder: str,
        version: str | None,
        state: State,
        examples: int,
        metrics: Mapping[str, Any],
        verdict: Mapping[str, Any],
        replay: Mapping[str, Any],
        created_at: datetime,
    ) -> int:
        """Store one; its number."""
        values = {
            "folder": folder,
            "version": version,
            "state": state,
            "examples": examples,
            "metrics": dict(metrics),
            "verdict": dict(verdict),
            "replay": dict(replay),
            "created_at": created_at,
        }
        with self._sessions.begin() as session:
            statement = insert(candidates).values(values).returning(candidates.c.id)
            return int(session.execute(statement).scalar_one())

    def get(self, number: int) -> dict[str, Any]:
        """One, whole; NotFound."""
        with self._readers() as session:
            query = select(candidates).where(candidates.c.id == number)
            row = session.execute(query).one_or_none()
        if row is None:
            raise NotFound("there is no candidate of this number")
        return _whole(row)

    def page(self, *, limit: int, cursor: int) -> tuple[list[dict[str, Any]], int | None]:
        """At most `limit` of them, newest first, before the number `cursor` (0: from the newest),
        and where the next page begins."""
        query = select(candidates).order_by(candidates.c.id.desc()).limit(limit + 1)
        if cursor:
            query = query.where(candidates.c.id < cursor)
        with self._readers() as session:
            rows = [_whole(row) for row in session.execute(query)]
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None

    def last_start(self) -> datetime | None:
        """When the examples of the last one were read; None before the first."""
        with self._readers() as session:
            return session.execute(select(func.max(candidates.c.created_at))).scalar_one_or_none()

    def set_state(self, number: int, state: State) -> None:
        """What became of it."""
        with self._sessions.begin() as session:
            session.execute(update(candidates).where(candidates.c.id == number).values(state=state))

    def kept(self) -> list[dict[str, Any]]:
        """Those that wait for a person, newest first."""
        query = select(candidates).where(candidates.c.state == "kept")
        with self._readers() as session:
            return [_whole(row) for row in session.execute(query.order_by(candidates.c.id.desc()))]


def _whole(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)
