"""How are the shop's rules kept, so that every process follows them and any version can come back?

Each change is a version of its own, never altered afterwards; its number is the sequence `rules`,
so a process that asks for that number before an answer (one small query) has the rules in force.
Going back makes a new version with the old content.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session, sessionmaker

from core.errors import Conflict, NotFound
from services.recommender.rules import NO_BOOK, RuleBook, parse_rules
from services.recommender.store import advance, locked
from services.recommender.tables import rule_versions, sequences

# Made once: each request asks it.
_IN_FORCE = select(sequences.c.value).where(sequences.c.name == "rules")


@dataclass(frozen=True)
class RuleVersion:
    """One version; `created_at` in Unix seconds, `restored` the version it is a copy of."""

    version: int
    rules: Sequence[Any]
    author: str
    note: str
    created_at: float
    restored: int | None


class RuleStore:
    """`sessions` write, `readers` are read-only. Safe to call from several threads."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers
        self._book = NO_BOOK
        self._lock = threading.Lock()

    def in_force(self) -> RuleBook:
        """The rules that were in force when this was called."""
        with self._readers() as session:
            version = int(session.execute(_IN_FORCE).scalar_one())
            book = self._book
            if book.version == version:
                return book
            row = _find(session, version)
        book = NO_BOOK if row is None else parse_rules(row.rules, version)
        with self._lock:
            self._book = book
        return book

    def current(self) -> RuleVersion | None:
        """The version in force, None before the first."""
        with self._readers() as session:
            row = _find(session, int(session.execute(_IN_FORCE).scalar_one()))
        return None if row is None else _version(row)

    def versions(self, limit: int, before: int | None = None) -> list[RuleVersion]:
        """The newest first; `before` a version, for the next page."""
        query = select(rule_versions).order_by(rule_versions.c.version.desc()).limit(limit)
        if before is not None:
            query = query.where(rule_versions.c.version < before)
        with self._readers() as session:
            return [_version(row) for row in session.execute(query)]

    def put(
        self, rules: Sequence[Any], author: str, note: str, now: float, based_on: int | None = None
    ) -> RuleVersion:
        """Make these the rules in force. InvalidInput where one is wrong; Conflict where `based_on`
        is given and another version is in force."""
        parse_rules(rules)
        with self._sessions.begin() as session:
            return _add(session, rules, author, note, now, based_on=based_on)

    def roll_back(self, version: int, author: str, note: str, now: float) -> RuleVersion:
        """Make a new version with the content of an older one (0: no rules). NotFound where there
        is none."""
        with self._sessions.begin() as session:
            row = _find(session, version)
            if row is None and version != 0:
                raise NotFound(
                    f"there is no version {version} of the rules",
                    mend="GET /v1/rules/versions lists them.",
                )
            rules = [] if row is None else row.rules
            return _add(session, rules, author, note, now, restored=version)


def _add(
    session: Session,
    rules: Sequence[Any],
    author: str,
    note: str,
    now: float,
    *,
    restored: int | None = None,
    based_on: int | None = None,
) -> RuleVersion:
    last = locked(session, "rules")
    if based_on is not None and based_on != last:
        raise Conflict(
            f"the rules were changed meanwhile: version {last} is in force, not {based_on}",
            mend="Read them again with GET /v1/rules, and put your change on top.",
        )
    new = RuleVersion(last + 1, list(rules), author, note, now, restored)
    session.execute(insert(rule_versions), vars(new))
    advance(session, "rules", new.version)
    return new


def _find(session: Session, version: int) -> Row[Any] | None:
    query = select(rule_versions).where(rule_versions.c.version == version)
    return session.execute(query).one_or_none()


def _version(row: Row[Any]) -> RuleVersion:
    return RuleVersion(
        int(row.version), row.rules, row.author, row.note, row.created_at, row.restored
    )
