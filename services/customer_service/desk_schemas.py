"""What do the desk's requests and answers look like? Bounded on the way in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from services.customer_service.schemas import Identifier, Request, SourceOut

MAX_MESSAGE = 10_000
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
CannedName = Annotated[str, Field(pattern=r"^[\w][\w .-]{0,99}$")]
Hour = Annotated[str, Field(max_length=20)]


class LogInRequest(Request):
    name: str = Field(min_length=1, max_length=200)
    # Whatever is longer is no password of ours (passwords.py).
    password: str = Field(min_length=1, max_length=1000)


class PasswordIn(Request):
    old: str = Field(min_length=1, max_length=1000)
    new: str = Field(min_length=1, max_length=1000)


class AgentOut(BaseModel):
    """`csrf_token` goes into the header X-CSRF-Token of every call that changes something."""

    name: str
    shown_as: str
    role: Literal["agent", "admin"]
    language: str
    csrf_token: str


class HandoffOut(BaseModel):
    """`waiting_seconds` since the customer began to wait, until somebody resolved it."""

    state: Literal["waiting", "taken", "resolved"]
    reason: str
    language: str
    since: datetime
    waiting_seconds: float
    agent: str | None


class QueuedOut(HandoffOut):
    """`position` in line, from 1; null where an agent has it."""

    conversation_id: str
    channel: str
    last_message: str
    last_at: datetime
    position: int | None


class QueuePage(BaseModel):
    queue: list[QueuedOut]
    next_cursor: str | None


class Guess(BaseModel):
    intent: str
    confidence: float


class DeskTurn(BaseModel):
    """A customer's message and what the bot made of it: `guesses` of the model, best first, and
    the articles that it quoted."""

    message_id: str
    message: str
    created_at: datetime
    action: str
    text: str
    guesses: list[Guess]
    sources: list[SourceOut]


class DeskMessage(BaseModel):
    message_id: str
    agent: str
    shown_as: str
    text: str
    created_at: datetime


class TranscriptOut(BaseModel):
    """Turns and agents' messages, each oldest first. `next_cursor`: the next page, null on the
    last; `poll_cursor`: what comes after what is here, now or later."""

    conversation_id: str
    channel: str
    locale: str
    created_at: datetime
    handoff: HandoffOut | None
    turns: list[DeskTurn]
    messages: list[DeskMessage]
    next_cursor: str | None
    poll_cursor: str


class MessageIn(Request):
    text: str = Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")
    message_id: Identifier


class CannedIn(Request):
    """Texts by language."""

    texts: dict[Language, Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE)]] = Field(
        min_length=1, max_length=20
    )


class CannedOut(BaseModel):
    name: str
    texts: dict[str, str]


class CannedList(BaseModel):
    canned: list[CannedOut]


class HoursIn(Request):
    """Business hours on the clock of `timezone`; what the texts must look like: hours.py."""

    timezone: str = Field(min_length=1, max_length=100)
    weekly: dict[str, Annotated[list[Hour], Field(max_length=10)]] = Field(max_length=7)
    holidays: list[Hour] = Field(default_factory=list, max_length=400)
    expected_minutes: int | None = Field(default=None, ge=1, le=10_000)
    place: dict[Language, Annotated[str, Field(min_length=1, max_length=60)]] = Field(
        default_factory=dict, max_length=20
    )


class HoursOut(BaseModel):
    """`hours` as they were put, null where none are set; `open` and `until`: how the desk stands
    at this moment."""

    hours: dict[str, Any] | None
    open: bool | None
    until: datetime | None
