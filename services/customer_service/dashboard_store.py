"""How much happened in a span of time? Counted by the database, from an index that holds it all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, String, and_, func, select
from sqlalchemy.orm import Session, sessionmaker

from services.customer_service.handoff import State
from services.customer_service.tables import feedback, handoffs, turns

# What an answer of an intent is: its text, what a webhook gave, or the question for a slot.
BY_INTENT: Final = ("answer", "call", "ask_slot")
_MOST_INTENTS: Final = 10


@dataclass(frozen=True, slots=True)
class Opinions:
    """Thumbs on answers: `right` up, `wrong` down; those that somebody rejected are left out."""

    right: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened since a moment. `hours`: (start of the hour in UTC, action) → messages;
    `with_person`: conversations of which a message went to a person; `reasons` of the hand-overs
    that began; `standing`: hand-overs of now by state; `intents`: (name, messages), most first;
    `opinions` on the answers of each intent."""

    hours: dict[tuple[datetime, str], int]
    conversations: int
    with_person: int
    reasons: dict[str, int]
    standing: dict[State, int]
    intents: list[tuple[str, int]]
    opinions: dict[str, Opinions]


class DashboardStore:
    """`readers` are read-only."""

    def __init__(self, readers: sessionmaker[Session]) -> None:
        self._readers = readers

    def counts(self, since: datetime) -> Counts:
        """All of it, as one transaction sees it."""
        lately = turns.c.created_at >= since
        with self._readers() as session:
            return Counts(
                hours=_hours(session, lately),
                conversations=_conversations(session, lately),
                with_person=_conversations(session, and_(lately, turns.c.action == "handoff")),
                reasons=_by(session, handoffs.c.reason, handoffs.c.since >= since),
                standing=_by(session, handoffs.c.state, handoffs.c.state != "resolved"),
                intents=_intents(session, lately),
                opinions=_opinions(session, lately),
            )


def _hours(session: Session, lately: ColumnElement[bool]) -> dict[tuple[datetime, str], int]:
    hour: ColumnElement[Any]
    if session.get_bind().dialect.name == "sqlite":
        hour = func.strftime("%Y-%m-%dT%H:00:00+00:00", turns.c.created_at, type_=String())
    else:
        there = func.timezone("UTC", turns.c.created_at)
        hour = func.to_char(there, 'YYYY-MM-DD"T"HH24":00:00+00:00"', type_=String())
    query = (
        select(hour.label("hour"), turns.c.action, func.count().label("messages"))
        .where(lately)
        # By its name: the expression holds a value, which is another one wherever it stands.
        .group_by("hour", turns.c.action)
    )
    return {
        (datetime.fromisoformat(row.hour), row.action): int(row.messages)
        for row in session.execute(query)
    }


def _conversations(session: Session, these: ColumnElement[bool]) -> int:
    query = select(func.count(func.distinct(turns.c.conversation_id))).where(these)
    return int(session.execute(query).scalar_one())


def _by(session: Session, column: Any, these: ColumnElement[bool]) -> dict[Any, int]:
    query = select(column, func.count()).where(these).group_by(column)
    return {name: int(number) for name, number in session.execute(query)}


def _intents(session: Session, lately: ColumnElement[bool]) -> list[tuple[str, int]]:
    number = func.count()
    query = (
        select(turns.c.intent, number)
        .where(lately, turns.c.action.in_(BY_INTENT), turns.c.intent.is_not(None))
        .group_by(turns.c.intent)
        .order_by(number.desc(), turns.c.intent)
        .limit(_MOST_INTENTS)
    )
    return [(str(name), int(n)) for name, n in session.execute(query)]


def _opinions(session: Session, lately: ColumnElement[bool]) -> dict[str, Opinions]:
    """Of automatic answers alone: the promise is about those."""
    about = (feedback.c.conversation_id == turns.c.conversation_id) & (
        feedback.c.message_id == turns.c.message_id
    )
    query = (
        select(turns.c.intent, feedback.c.rating, func.count())
        .select_from(feedback)
        .join(turns, about)
        .where(lately, turns.c.action.in_(BY_INTENT), turns.c.intent.is_not(None))
        .where(feedback.c.state != "rejected")
        .group_by(turns.c.intent, feedback.c.rating)
    )
    found: dict[str, dict[str, int]] = {}
    for intent, rating, number in session.execute(query):
        found.setdefault(intent, {})[rating] = int(number)
    return {name: Opinions(of.get("up", 0), of.get("down", 0)) for name, of in found.items()}
