"""How are kept the examples that a team taught between two trainings?

A text belongs to one intent: texts with the same key (upper case, punctuation and personal data
aside) are one example. They carry a version number of their own, raised with each change, so that a
process sees with one cheap look whether its copy is old. Texts are redacted before they are stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import rows_changed
from core.errors import Conflict, InvalidInput, TooLarge
from core.privacy import redact
from core.text import comparison_key, normalize
from services.customer_service.tables import content_version, examples

Origin = Literal["taught", "feedback", "desk"]

# The row of `content_version` that counts changes of examples.
VERSION_ROW: Final = 2
MAX_CHARS: Final = 1000
MAX_OF_INTENT: Final = 1000
# Each message is compared with all of them: so many cost it about a millisecond.
MAX_EXAMPLES: Final = 10_000
_SHOWN: Final = 60
_MANY: Final = 500


@dataclass(frozen=True, slots=True)
class Example:
    """A text that means `intent`; `key` is what it shares with its like."""

    text: str
    intent: str
    key: str
    origin: str
    created_at: datetime


class ExampleStore:
    """`sessions` write, `readers` are read-only."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def version(self) -> int:
        """The number that rises with each change."""
        with self._readers() as session:
            return _version(session)

    def read(self) -> tuple[int, list[Example]]:
        """(version, all examples), as one transaction sees them, oldest first."""
        with self._readers() as session:
            version = _version(session)
            rows = session.execute(select(examples).order_by(examples.c.created_at, examples.c.key))
            return version, [_example(row) for row in rows]

    def of(self, intent: str) -> list[Example]:
        """Those of one intent, oldest first."""
        query = select(examples).where(examples.c.intent == intent)
        with self._readers() as session:
            rows = session.execute(query.order_by(examples.c.created_at, examples.c.key))
            return [_example(row) for row in rows]

    def intents_of(self, texts: Iterable[str]) -> dict[str, str]:
        """Key → intent, of the texts that are examples already."""
        with self._readers() as session:
            return _intents_of(session, [key_of(text) for text in texts])

    def count(self, intent: str) -> int:
        """How many one intent has."""
        query = select(func.count()).where(examples.c.intent == intent)
        with self._readers() as session:
            return int(session.execute(query).scalar_one())

    def count_since(self, since: datetime | None) -> int:
        """How many came after that moment; None: all."""
        query = select(func.count()).select_from(examples)
        if since is not None:
            query = query.where(examples.c.created_at > since)
        with self._readers() as session:
            return int(session.execute(query).scalar_one())

    def add(self, intent: str, texts: Iterable[str], origin: Origin, now: datetime) -> int:
        """Store them, all or none; how many were new. Conflict where one is an example of another
        intent, InvalidInput or TooLarge for texts that no example can be."""
        with self._sessions.begin() as session:
            return add_examples(session, intent, texts, origin, now)

    def put(self, intent: str, texts: Iterable[str], origin: Origin, now: datetime) -> int:
        """Make these the examples of the intent, all or none; how many were new or removed."""
        wanted = keyed(texts)
        with self._sessions.begin() as session:
            _take_turns(session)
            others = (examples.c.intent == intent) & examples.c.key.not_in(wanted)
            removed = rows_changed(session, delete(examples).where(others))
            added = _add(session, intent, wanted, origin, now)
            _raise_version(session, removed + added)
        return removed + added

    def remove(self, intent: str, texts: Iterable[str]) -> int:
        """Delete those of them that are examples of the intent; how many."""
        keys = list(keyed(texts))
        with self._sessions.begin() as session:
            _take_turns(session)
            mine = (examples.c.intent == intent) & examples.c.key.in_(keys)
            removed = rows_changed(session, delete(examples).where(mine))
            _raise_version(session, removed)
        return removed


def add_examples(
    session: Session, intent: str, texts: Iterable[str], origin: Origin, now: datetime
) -> int:
    """`ExampleStore.add` as part of a larger transaction."""
    wanted = keyed(texts)
    _take_turns(session)
    added = _add(session, intent, wanted, origin, now)
    _raise_version(session, added)
    return added


def keyed(texts: Iterable[str]) -> dict[str, str]:
    """Key → text, normalised and redacted, one of each key."""
    found: dict[str, str] = {}
    for text in texts:
        clean = redact(normalize(text)).text
        if not clean:
            raise InvalidInput("an example is empty", mend="Send what a customer would write.")
        if len(clean) > MAX_CHARS:
            raise TooLarge(
                f"an example may have {MAX_CHARS} characters, had {len(clean)}",
                mend="Send the question alone.",
            )
        found.setdefault(key_of(clean), clean)
    return found


def key_of(text: str) -> str:
    """64 hex digits that two texts share when a reader would call them the same, personal data
    aside."""
    return hashlib.sha256(comparison_key(redact(normalize(text)).text).encode()).hexdigest()


def _add(
    session: Session, intent: str, wanted: Mapping[str, str], origin: Origin, now: datetime
) -> int:
    known = _intents_of(session, list(wanted))
    for key, other in known.items():
        if other != intent:
            raise Conflict(
                f"{_short(wanted[key])} is an example of the intent {other!r} already",
                mend="Delete it there first, or leave it out here.",
            )
    new = {key: text for key, text in wanted.items() if key not in known}
    mine = select(func.count()).where(examples.c.intent == intent)
    every = select(func.count()).select_from(examples)
    for query, most in ((mine, MAX_OF_INTENT), (every, MAX_EXAMPLES)):
        there = int(session.execute(query).scalar_one())
        if there + len(new) > most:
            raise TooLarge(
                f"there is room for {most} examples{' of an intent' if query is mine else ''}, "
                f"{there} are there and {len(new)} came",
                mend="Put them into the training data and train, then delete them here.",
            )
    rows = [
        {"key": key, "text": text, "intent": intent, "origin": origin, "created_at": now}
        for key, text in new.items()
    ]
    if rows:
        session.execute(insert(examples), rows)
    return len(rows)


def _intents_of(session: Session, keys: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(keys), _MANY):
        query = select(examples.c.key, examples.c.intent).where(
            examples.c.key.in_(keys[start : start + _MANY])
        )
        found.update({row.key: row.intent for row in session.execute(query)})
    return found


def _version(session: Session) -> int:
    table = content_version
    query = select(table.c.version).where(table.c.id == VERSION_ROW)
    return int(session.execute(query).scalar_one())


def _take_turns(session: Session) -> None:
    """Two writers wait for each other; SQLite does so by itself."""
    row = select(content_version).where(content_version.c.id == VERSION_ROW)
    session.execute(row.with_for_update()).all()


def _raise_version(session: Session, changes: int) -> None:
    if changes:
        table = content_version
        this = update(table).where(table.c.id == VERSION_ROW)
        session.execute(this.values(version=table.c.version + 1))


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _example(row: Row[Any]) -> Example:
    return Example(row.text, row.intent, row.key, row.origin, row.created_at)
