"""Where are the business hours and the agents' canned answers kept?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore, rows_changed
from core.errors import Conflict, NotFound
from services.customer_service.hours import Hours, expectation, parse_hours
from services.customer_service.tables import business_hours, canned_answers

# More than anybody finds their way in, and a list that is sent in one piece.
MOST_CANNED: Final = 500
_ROW: Final = 1


class DeskTexts:
    """`sessions` write, `readers` are read-only; `now` is the clock. All calls may block."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        readers: sessionmaker[Session],
        now: Callable[[], datetime],
    ) -> None:
        self._sessions, self._readers, self._now = sessions, readers, now

    def hours_document(self) -> dict[str, Any] | None:
        """The business hours as they were put, None where there are none."""
        with self._readers() as session:
            found = session.execute(select(business_hours.c.document)).scalar_one_or_none()
        return None if found is None else dict(found)

    def hours(self) -> Hours | None:
        """The business hours."""
        document = self.hours_document()
        return None if document is None else parse_hours(document)

    def expectation(self, language: str, fallback: str) -> str | None:
        """What a customer who waits is told about when somebody comes, None without hours."""
        hours = self.hours()
        return None if hours is None else expectation(hours, self._now(), language, fallback)

    def put_hours(self, document: Mapping[str, Any] | None) -> None:
        """Keep these hours; None: there are none. InvalidInput says what is wrong with them."""
        if document is not None:
            parse_hours(document)
        with self._sessions.begin() as session:
            session.execute(delete(business_hours))
            if document is not None:
                row = {"id": _ROW, "document": dict(document), "updated_at": self._now()}
                session.execute(insert(business_hours).values(row))

    def canned(self) -> list[dict[str, Any]]:
        """All canned answers, by name."""
        query = select(canned_answers.c.name, canned_answers.c.texts).order_by(
            canned_answers.c.name
        )
        with self._readers() as session:
            return [dict(row._mapping) for row in session.execute(query)]

    def put_canned(self, name: str, texts: Mapping[str, str]) -> None:
        """Keep an answer under this name, in place of an earlier one; Conflict where there are
        too many."""
        row = {"texts": dict(texts), "updated_at": self._now()}
        with self._sessions.begin() as session:
            mine = update(canned_answers).where(canned_answers.c.name == name)
            if rows_changed(session, mine.values(row)):
                return
            if len(session.scalars(select(canned_answers.c.name)).all()) >= MOST_CANNED:
                raise Conflict(f"there are {MOST_CANNED} canned answers", mend="Delete some first.")
            insert_or_ignore(session, canned_answers, {"name": name, **row})

    def delete_canned(self, name: str) -> None:
        """NotFound where there is none of this name."""
        with self._sessions.begin() as session:
            mine = delete(canned_answers).where(canned_answers.c.name == name)
            if not rows_changed(session, mine):
                raise NotFound("there is no canned answer of this name")
