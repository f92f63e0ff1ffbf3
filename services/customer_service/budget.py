"""How many tokens may the language model still use today, over all processes?

One row a day (UTC) in the database. What a question may cost at most is taken before it is asked,
in one statement, so that two processes cannot both take the last of it; what it did not cost is
given back. A process that dies in between has spent what it took.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore, rows_changed
from services.customer_service.tables import generation_days


class DailyBudget:
    """At most `tokens` a day. `sessions` write; `now` is the clock."""

    def __init__(
        self, sessions: sessionmaker[Session], tokens: int, now: Callable[[], datetime]
    ) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._now = now

    def take(self, tokens: int) -> str | None:
        """Set `tokens` aside; the day that they are of, None where so many are not left."""
        day = self._now().date().isoformat()
        table = generation_days
        taking = (
            update(table)
            .where(table.c.day == day, table.c.tokens + tokens <= self._tokens)
            .values(tokens=table.c.tokens + tokens)
        )
        with self._sessions.begin() as session:
            insert_or_ignore(session, table, {"day": day, "tokens": 0})
            return day if rows_changed(session, taking) else None

    def give_back(self, day: str, tokens: int) -> None:
        """Return what was set aside and not used; below 0: it was more after all."""
        table = generation_days
        with self._sessions.begin() as session:
            session.execute(
                update(table).where(table.c.day == day).values(tokens=table.c.tokens - tokens)
            )

    def spent(self) -> int:
        """Tokens of today."""
        day = self._now().date().isoformat()
        with self._sessions() as session:
            found = select(generation_days.c.tokens).where(generation_days.c.day == day)
            return int(session.execute(found).scalar_one_or_none() or 0)
