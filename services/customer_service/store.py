"""How are conversations kept, so that no message is answered twice and no answer is lost?

A turn is stored, with its whole answer, before the answer is sent. The pair of conversation and
message id is unique in the database: of two that come at once one is stored, and both get its
answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from core.db.statements import insert_or_ignore, rows_changed
from core.errors import NotFound
from services.customer_service.channels import channel_of
from services.customer_service.domain import Action
from services.customer_service.handoff import UNSURE, Handoff, enter, mark_told, open_handoff
from services.customer_service.tables import conversations, outbox, turns

# Turns that a new message is read with: its question may lie behind thanks and other follow-ups.
RECENT: Final = 8


@dataclass(frozen=True)
class Turn:
    """One message and its answer. `reply` is the body as it was sent."""

    conversation_id: str
    message_id: str
    message: str
    action: Action
    intent: str | None
    locale: str
    reply: Mapping[str, Any]
    created_at: datetime
    needed_slots: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # The form that the answer left open, as `OpenForm.as_mapping` has it.
    form: Mapping[str, Any] | None = None
    # Why it is handed over, where it is; and the hand-over whose customer hears with this answer
    # that somebody reads along.
    reason: str = UNSURE
    tells: Handoff | None = None


@dataclass(frozen=True)
class Conversation:
    """A conversation with some of its turns, oldest first; `next_cursor` is where the next page
    begins, None where there is none; `last_number` that of the last turn here, or before."""

    conversation_id: str
    channel: str
    locale: str
    created_at: datetime
    turns: tuple[Turn, ...]
    next_cursor: int | None
    last_number: int


@dataclass(frozen=True)
class Before:
    """`answer`: what this very message was answered already, None where it was not; `recent`: the
    latest turns, newest first; `handoff`: the one that is not resolved, as it is written down."""

    answer: dict[str, Any] | None = None
    recent: tuple[Turn, ...] = ()
    handoff: Handoff | None = None

    @property
    def last(self) -> Turn | None:
        """The latest turn; None where there is none."""
        return self.recent[0] if self.recent else None


class ConversationStore:
    """`sessions` write, `readers` are read-only and wait for nobody."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def before(self, conversation_id: str, message_id: str) -> Before:
        """What there is before a message is answered."""
        latest = (
            select(turns)
            .where(turns.c.conversation_id == conversation_id)
            .order_by(turns.c.id.desc())
            .limit(RECENT)
        )
        with self._readers() as session:
            answer = _reply(session, conversation_id, message_id)
            rows = session.execute(latest).all()
            handoff = open_handoff(session, conversation_id) if rows else None
        return Before(answer, tuple(_turn(row) for row in rows), handoff)

    def add(self, turn: Turn, channel: str) -> dict[str, Any]:
        """Store the turn and give the answer to send: the turn's own, or the one that was stored
        first where the message was answered already."""
        try:
            return self._add(turn, channel)
        except IntegrityError:
            # The conversation was deleted between its own row and the turn's; it begins anew.
            return self._add(turn, channel)

    def _add(self, turn: Turn, channel: str) -> dict[str, Any]:
        with self._sessions.begin() as session:
            head = {
                "conversation_id": turn.conversation_id,
                "channel": channel,
                "locale": turn.locale,
                "created_at": turn.created_at,
            }
            insert_or_ignore(session, conversations, head)
            if turn.tells is not None and not mark_told(session, turn.tells):
                turn = replace(turn, reply={**turn.reply, "text": ""})
            if insert_or_ignore(session, turns, _values(turn)):
                _hand_over(session, turn)
                return dict(turn.reply)
            stored = _reply(session, turn.conversation_id, turn.message_id)
            assert stored is not None, "the row that kept ours out is there"
            return stored

    def conversation(self, conversation_id: str, *, limit: int, cursor: int) -> Conversation:
        """A page of at most `limit` turns after the turn number `cursor`; NotFound."""
        with self._readers() as session:
            head = session.execute(
                select(conversations).where(conversations.c.conversation_id == conversation_id)
            ).one_or_none()
            if head is None:
                raise NotFound("there is no conversation of this id")
            rows = session.execute(
                select(turns)
                .where(turns.c.conversation_id == conversation_id, turns.c.id > cursor)
                .order_by(turns.c.id)
                .limit(limit + 1)
            ).all()
        page = rows[:limit]
        return Conversation(
            conversation_id=head.conversation_id,
            channel=head.channel,
            locale=head.locale,
            created_at=head.created_at,
            turns=tuple(_turn(row) for row in page),
            next_cursor=int(page[-1].id) if len(rows) > limit else None,
            last_number=int(page[-1].id) if page else cursor,
        )

    def delete(self, conversation_id: str) -> None:
        """Erase a conversation with all that hangs on it: turns, what was said of them, hand-overs,
        agents' messages, and what waits to be sent to a help desk. NotFound."""
        mine = conversations.c.conversation_id == conversation_id
        # Letters of a Chatwoot's conversation carry its id and a number behind it.
        letters = outbox.c.idempotency_key.startswith(f"{conversation_id}:", autoescape=True)
        with self._sessions.begin() as session:
            session.execute(delete(outbox).where(letters))
            if not rows_changed(session, delete(conversations).where(mine)):
                raise NotFound("there is no conversation of this id")

    def messages_since(self, since: datetime, at_most: int = 20_000) -> list[str]:
        """What customers wrote since then, the newest `at_most`; pressed buttons are left out."""
        query = (
            select(turns.c.message)
            .where(turns.c.created_at >= since, ~turns.c.message.startswith("/"))
            .order_by(turns.c.id.desc())
            .limit(at_most)
        )
        with self._readers() as session:
            return list(session.scalars(query))

    def delete_silent(self, since: datetime, at_most: int) -> int:
        """Delete at most `at_most` conversations without a turn since then, oldest first, with
        their turns; how many."""
        heard = exists().where(
            turns.c.conversation_id == conversations.c.conversation_id,
            turns.c.created_at >= since,
        )
        key = conversations.c.conversation_id
        silent = (
            select(key)
            .where(conversations.c.created_at < since, ~heard)
            .order_by(conversations.c.created_at)
            .limit(at_most)
            # No turn can be added to a locked conversation; one that is being added to is left out.
            .with_for_update(skip_locked=True)
        )
        with self._sessions.begin() as session:
            found = session.scalars(silent).all()
            # A turn that was stored just before the lock is seen now.
            return rows_changed(session, delete(conversations).where(key.in_(found), ~heard))


def _hand_over(session: Session, turn: Turn) -> None:
    """Into the queue with a turn that a person is needed for; a Chatwoot has a queue of its own."""
    if turn.action == "handoff" and channel_of(turn.conversation_id) != "chatwoot":
        enter(
            session,
            turn.conversation_id,
            reason=turn.reason,
            language=turn.locale,
            now=turn.created_at,
        )


def _reply(session: Session, conversation_id: str, message_id: str) -> dict[str, Any] | None:
    query = select(turns.c.reply).where(
        turns.c.conversation_id == conversation_id, turns.c.message_id == message_id
    )
    stored = session.execute(query).scalar_one_or_none()
    return None if stored is None else dict(stored)


def _values(turn: Turn) -> dict[str, Any]:
    return {
        "conversation_id": turn.conversation_id,
        "message_id": turn.message_id,
        "message": turn.message,
        "metadata": dict(turn.metadata),
        "action": turn.action,
        "intent": turn.intent,
        "locale": turn.locale,
        "reply": dict(turn.reply),
        "needed_slots": list(turn.needed_slots),
        "form": None if turn.form is None else dict(turn.form),
        "created_at": turn.created_at,
    }


def _turn(row: Row[Any]) -> Turn:
    return Turn(
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        message=row.message,
        action=row.action,
        intent=row.intent,
        locale=row.locale,
        reply=row.reply,
        created_at=row.created_at,
        needed_slots=tuple(row.needed_slots),
        # `metadata` is an attribute of every row already, so by its name.
        metadata=row._mapping["metadata"],
        form=row.form,
    )
