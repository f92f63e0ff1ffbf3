"""Which page of a conversation is wanted, and what is on it?

A conversation is two lists: turns (a customer's message and the bot's answer), and what agents
said. A cursor holds a place in both: "17-4" is behind turn 17 and an agent's message 4, "17" behind
turn 17 and before all agents' messages. `poll_cursor` is behind everything on the page, and good
for asking again later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.errors import InvalidInput
from services.customer_service.handoff import Handoffs, Said
from services.customer_service.store import Conversation, ConversationStore

_LARGEST: Final = 2**63 - 1
GUESSES: Final = 3


@dataclass(frozen=True)
class Page:
    """Some of a conversation; `next_cursor` is None on the last page."""

    conversation: Conversation
    messages: tuple[Said, ...]
    next_cursor: str | None
    poll_cursor: str


def read_page(
    store: ConversationStore,
    handoffs: Handoffs,
    conversation_id: str,
    *,
    limit: int,
    cursor: str,
) -> Page:
    """At most `limit` turns and as many messages after the cursor; NotFound, InvalidInput."""
    turn, dash, message = cursor.partition("-")
    if dash and not (turn and message):
        raise _wrong()
    after = position(message)
    found = store.conversation(conversation_id, limit=limit, cursor=position(turn))
    said = handoffs.said({conversation_id: after}, limit + 1)
    messages = tuple(said[:limit])
    behind = _cursor(found.last_number, messages[-1].number if messages else after)
    more = found.next_cursor is not None or len(said) > limit
    return Page(found, messages, behind if more else None, behind)


def position(cursor: str) -> int:
    """The number that a cursor stands for, 0 for the beginning; InvalidInput."""
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > _LARGEST:
        raise _wrong()
    return int(cursor)


def shown_message(said: Said) -> dict[str, Any]:
    """What an agent said, as its customer gets it: without the name that the agent logs in with."""
    return {
        "conversation_id": said.conversation_id,
        "message_id": said.message_id,
        "role": "agent",
        "name": said.shown_as,
        "text": said.text,
        "created_at": said.created_at,
    }


def guesses(reply: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the model took a message for, best first, as far as its stored answer says."""
    first = {"intent": reply.get("intent"), "confidence": reply.get("confidence", 0.0)}
    others = [first, *reply.get("alternatives", ())]
    named = [guess for guess in others if guess["intent"] is not None]
    return sorted(named, key=lambda guess: -float(guess["confidence"]))[:GUESSES]


def _wrong() -> InvalidInput:
    return InvalidInput("`cursor` must be the next_cursor of an earlier page")


def _cursor(turn: int, message: int) -> str:
    return f"{turn}-{message}" if message else str(turn)
