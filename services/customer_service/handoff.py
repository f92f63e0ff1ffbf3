"""Who waits for a person, who has taken over, and what did they say?

The life of a hand-over:

    waiting    the bot handed over; the customer stands in line, and the bot goes on answering
               what it is sure of
    taken      one agent has it; the bot is silent
    resolved   done; the bot answers again, and may hand over anew

One that is taken by somebody who does nothing in it for `silence` is waiting again, in its old
place. Nobody has to notice: each look treats it so, and the next `take` writes it down.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore, rows_changed
from core.errors import Conflict, NotFound
from services.customer_service.tables import agent_messages, conversations, handoffs, turns

_log = logging.getLogger(__name__)

State = Literal["waiting", "taken", "resolved"]
# Why a person is needed: the customer asked for one (an intent that hands over), a webhook gave
# nothing, or the bot knows nothing.
ASKED: Final = "asked"
FAILED: Final = "failed"
UNSURE: Final = "unsure"


@dataclass(frozen=True, slots=True)
class Handoff:
    """A conversation that needs, or needed, a person. `told`: the customer heard that somebody
    reads along."""

    id: int
    conversation_id: str
    state: State
    reason: str
    language: str
    since: datetime
    agent: str | None
    agent_at: datetime | None
    told: bool
    resolved_at: datetime | None

    def at(self, now: datetime, silence: timedelta) -> Handoff:
        """How it stands now: waiting again where its agent has been silent for too long."""
        quiet = self.agent_at is not None and now - self.agent_at >= silence
        if self.state != "taken" or not quiet:
            return self
        return replace(self, state="waiting", agent=None, agent_at=None)


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent said. `number` is its place among all such messages."""

    number: int
    conversation_id: str
    message_id: str
    agent: str
    shown_as: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Queued:
    """A hand-over as the queue shows it. `position` counts those who wait, from 1; None for one
    that is taken."""

    handoff: Handoff
    channel: str
    last_message: str
    last_at: datetime
    position: int | None


def enter(
    session: Session, conversation_id: str, *, reason: str, language: str, now: datetime
) -> None:
    """Put the conversation into the queue, in the caller's transaction; one that is there stays
    in its place."""
    row = {
        "conversation_id": conversation_id,
        "state": "waiting",
        "reason": reason,
        "language": language,
        "since": now,
        "told": False,
    }
    insert_or_ignore(session, handoffs, row)


def open_handoff(session: Session, conversation_id: str) -> Handoff | None:
    """The one that is not resolved, as it is written down."""
    query = select(handoffs).where(_open(conversation_id))
    row = session.execute(query).one_or_none()
    return None if row is None else _handoff(row)


def mark_told(session: Session, handoff: Handoff) -> bool:
    """Write down that the customer heard that somebody reads along; False where they had."""
    mine = update(handoffs).where(handoffs.c.id == handoff.id, ~handoffs.c.told)
    return rows_changed(session, mine.values(told=True)) > 0


class Handoffs:
    """`sessions` write, `readers` are read-only; `now` is the clock; `silence`: how long an agent
    may do nothing in a conversation before it is waiting again."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        readers: sessionmaker[Session],
        now: Callable[[], datetime],
        silence: timedelta,
    ) -> None:
        self._sessions, self._readers = sessions, readers
        self._now, self._silence = now, silence

    def latest(self, conversation_id: str) -> Handoff | None:
        """The conversation's hand-over as it stands now, the last one where there were several."""
        query = (
            select(handoffs)
            .where(handoffs.c.conversation_id == conversation_id)
            .order_by(handoffs.c.id.desc())
            .limit(1)
        )
        with self._readers() as session:
            row = session.execute(query).one_or_none()
        return None if row is None else _handoff(row).at(self._now(), self._silence)

    def standing(self, handoff: Handoff | None) -> Handoff | None:
        """How one that was read from the database stands now."""
        return None if handoff is None else handoff.at(self._now(), self._silence)

    def position(self, handoff: Handoff) -> int | None:
        """The place in line, from 1; None for one that does not wait."""
        with self._readers() as session:
            return self._positions(session, [handoff.id]).get(handoff.id)

    def queue(self, *, limit: int, cursor: int) -> tuple[list[Queued], int | None]:
        """At most `limit` that are not resolved, after number `cursor`, in the order in which the
        customers began to wait, and where the next page begins."""
        query = _queue_query().where(handoffs.c.state != "resolved", handoffs.c.id > cursor)
        now = self._now()
        with self._readers() as session:
            rows = session.execute(query.order_by(handoffs.c.id).limit(limit + 1)).all()
            page = [(row, _handoff(row).at(now, self._silence)) for row in rows[:limit]]
            waiting = [handoff.id for _, handoff in page if handoff.state == "waiting"]
            positions = self._positions(session, waiting)
        queued = [
            Queued(h, row.channel, row.last_message, row.last_at, positions.get(h.id))
            for row, h in page
        ]
        return queued, int(rows[limit - 1].id) if len(rows) > limit else None

    def take(self, conversation_id: str, agent: str) -> Handoff:
        """Take over. Conflict where somebody else has it: of two at once one wins; NotFound where
        nobody waits. Taking what one has is fine."""
        free = or_(handoffs.c.state == "waiting", self._left(), handoffs.c.agent == agent)
        values = {"state": "taken", "agent": agent, "agent_at": self._now()}
        with self._sessions.begin() as session:
            changed = update(handoffs).where(_open(conversation_id), free).values(values)
            if not rows_changed(session, changed):
                raise _not_mine(open_handoff(session, conversation_id))
            taken = _existing(session, conversation_id)
        _tell("conversation taken", taken, agent)
        return taken

    def release(self, conversation_id: str, agent: str, *, anybodys: bool = False) -> Handoff:
        """Give it back: it waits again, in its old place. Conflict where it is not the agent's
        (`anybodys`: an admin may)."""
        values = {"state": "waiting", "agent": None, "agent_at": None}
        with self._sessions.begin() as session:
            self._change_mine(session, conversation_id, agent, anybodys, values)
            released = _existing(session, conversation_id)
        _tell("conversation released", released, agent)
        return released

    def resolve(self, conversation_id: str, agent: str, *, anybodys: bool = False) -> None:
        """It is done. Conflict where it is not the agent's (`anybodys`: an admin may)."""
        values = {"state": "resolved", "resolved_at": self._now()}
        with self._sessions.begin() as session:
            resolved = open_handoff(session, conversation_id)
            self._change_mine(session, conversation_id, agent, anybodys, values)
        _tell("conversation resolved", resolved, agent)

    def say(
        self, conversation_id: str, message_id: str, agent: str, shown_as: str, text: str
    ) -> Said:
        """Store what the agent says to the customer; a repeated message_id gives what was stored.
        Conflict where the conversation is not the agent's."""
        now = self._now()
        row = {
            "conversation_id": conversation_id,
            "message_id": message_id,
            "agent": agent,
            "shown_as": shown_as,
            "text": text,
            "created_at": now,
        }
        with self._sessions.begin() as session:
            stored = _said(session, conversation_id, message_id)
            if stored is not None:
                return stored
            # This locks the hand-over's row, so the numbers of a conversation's messages rise in
            # the order in which they are committed, and who looks for newer ones misses none.
            self._change_mine(session, conversation_id, agent, False, {"agent_at": now})
            insert_or_ignore(session, agent_messages, row)
            stored = _said(session, conversation_id, message_id)
            assert stored is not None, "it was just put there, by us or by the same call repeated"
            return stored

    def said(self, after: Mapping[str, int], limit: int) -> list[Said]:
        """What agents said in these conversations, in each after the number given, oldest first,
        at most `limit`."""
        if not after:
            return []
        one_of = [
            and_(agent_messages.c.conversation_id == name, agent_messages.c.id > number)
            for name, number in after.items()
        ]
        query = select(agent_messages).where(or_(*one_of)).order_by(agent_messages.c.id)
        with self._readers() as session:
            return [_message(row) for row in session.execute(query.limit(limit))]

    def last_number(self, conversation_id: str) -> int:
        """The number of the last thing an agent said there, 0 for nothing."""
        query = select(func.max(agent_messages.c.id)).where(
            agent_messages.c.conversation_id == conversation_id
        )
        with self._readers() as session:
            return int(session.execute(query).scalar_one() or 0)

    def _left(self) -> ColumnElement[bool]:
        """Taken by somebody who has been silent for too long."""
        return and_(handoffs.c.state == "taken", handoffs.c.agent_at <= self._now() - self._silence)

    def _positions(self, session: Session, ids: list[int]) -> dict[int, int]:
        waiting = or_(handoffs.c.state == "waiting", self._left())
        place = func.row_number().over(order_by=handoffs.c.id).label("place")
        line = select(handoffs.c.id, place).where(waiting).subquery()
        query = select(line).where(line.c.id.in_(ids))
        return {int(row.id): int(row.place) for row in session.execute(query)}

    def _change_mine(
        self,
        session: Session,
        conversation_id: str,
        agent: str,
        anybodys: bool,
        values: Mapping[str, Any],
    ) -> None:
        mine = and_(handoffs.c.state == "taken", handoffs.c.agent == agent)
        allowed = _open(conversation_id) if anybodys else and_(_open(conversation_id), mine)
        if not rows_changed(session, update(handoffs).where(allowed).values(dict(values))):
            raise _not_mine(open_handoff(session, conversation_id))


def _tell(what: str, handoff: Handoff | None, agent: str) -> None:
    """For the log, by number: the id of a conversation may be a customer's name."""
    _log.info(what, extra={"agent": agent, "handoff": None if handoff is None else handoff.id})


def _open(conversation_id: str) -> ColumnElement[bool]:
    return and_(handoffs.c.conversation_id == conversation_id, handoffs.c.state != "resolved")


def _not_mine(handoff: Handoff | None) -> Exception:
    if handoff is None:
        return NotFound("nobody waits for a person in this conversation")
    if handoff.agent is None:
        return Conflict("nobody has taken this conversation", mend="Take it first.")
    return Conflict(
        f"{handoff.agent} has taken this conversation", mend="They, or an admin, can release it."
    )


def _existing(session: Session, conversation_id: str) -> Handoff:
    found = open_handoff(session, conversation_id)
    assert found is not None, "it was changed in this transaction"
    return found


def _said(session: Session, conversation_id: str, message_id: str) -> Said | None:
    query = select(agent_messages).where(
        agent_messages.c.conversation_id == conversation_id,
        agent_messages.c.message_id == message_id,
    )
    row = session.execute(query).one_or_none()
    return None if row is None else _message(row)


def _queue_query() -> Select[Any]:
    """Hand-overs with the customer's last message."""
    last = (
        select(func.max(turns.c.id))
        .where(turns.c.conversation_id == handoffs.c.conversation_id)
        .correlate(handoffs)
        .scalar_subquery()
    )
    return (
        select(
            handoffs,
            conversations.c.channel,
            turns.c.message.label("last_message"),
            turns.c.created_at.label("last_at"),
        )
        .join(conversations, conversations.c.conversation_id == handoffs.c.conversation_id)
        .join(turns, turns.c.id == last)
    )


def _handoff(row: Row[Any]) -> Handoff:
    return Handoff(**{name: getattr(row, name) for name in Handoff.__slots__})


def _message(row: Row[Any]) -> Said:
    return Said(
        number=row.id,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        agent=row.agent,
        shown_as=row.shown_as,
        text=row.text,
        created_at=row.created_at,
    )
