"""What do requests and answers look like? Bounded on the way in, complete on the way out."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
)

from services.customer_service.calls import LONGEST_SECONDS

MAX_METADATA_CHARS = 10_000

Identifier = Annotated[str, Field(pattern=r"^[\w.:@+-]{1,200}$")]
# Of a page of a list.
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str, Query(max_length=20)]
Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{1,8}){0,3}$")]


def bounded_metadata(value: dict[str, Any] | None) -> dict[str, Any]:
    """What another program says beside a message; ValueError where it is too much."""
    size = len(json.dumps(value))
    if size > MAX_METADATA_CHARS:
        raise ValueError(f"may have {MAX_METADATA_CHARS} characters as JSON, had {size}")
    return value or {}


class Request(BaseModel):
    """A body from outside: no key that nobody knows, so that a typing error is told."""

    model_config = ConfigDict(extra="forbid")


class ChatRequest(Request):
    """A customer's message."""

    message: str = Field(min_length=1, max_length=20_000)
    conversation_id: Identifier | None = None
    message_id: Identifier | None = None
    locale: Locale | None = None
    channel: str | None = Field(default=None, min_length=1, max_length=50)
    metadata: dict[str, Any] = Field(default_factory=dict)

    _bounded = field_validator("metadata")(bounded_metadata)


class Alternative(BaseModel):
    intent: str
    confidence: float


class Button(BaseModel):
    """`title` is shown; `payload` is the message to send when it is pressed."""

    title: str
    payload: str


class SourceOut(BaseModel):
    title: str
    url: str
    quote: str


class PartOut(BaseModel):
    """One of several questions in a message: `text` in the customer's words."""

    text: str
    action: Literal["answer", "retrieve", "ask_slot", "call", "handoff", "abstain"]
    intent: str | None


class ChatResponse(BaseModel):
    """`intent` is the best guess whatever the action; `confidence` its calibrated probability;
    `parts`: empty unless several questions were answered each."""

    conversation_id: str
    message_id: str
    action: Literal["answer", "clarify", "retrieve", "ask_slot", "call", "handoff", "abstain"]
    text: str
    intent: str | None
    confidence: float
    alternatives: list[Alternative]
    buttons: list[Button]
    sources: list[SourceOut]
    slots: dict[str, str]
    parts: list[PartOut] = Field(default_factory=list)
    model_version: str


class TurnOut(BaseModel):
    message_id: str
    message: str
    created_at: datetime
    reply: ChatResponse


class MessageOut(BaseModel):
    """What a person of the company said in a conversation."""

    conversation_id: str
    message_id: str
    role: Literal["agent"]
    name: str
    text: str
    created_at: datetime


class ConversationOut(BaseModel):
    """`next_cursor` goes into ?cursor= for the next page; null on the last one. `poll_cursor` goes
    there to ask later for what has come since. `handoff`: how the last hand-over to a person
    stands, null where there was none."""

    conversation_id: str
    channel: str
    locale: str
    created_at: datetime
    turns: list[TurnOut]
    messages: list[MessageOut]
    handoff: Literal["waiting", "taken", "resolved"] | None = None
    next_cursor: str | None
    poll_cursor: str


class ArticleIn(Request):
    title: str = Field(min_length=1, max_length=500)
    body: str = Field(min_length=1, max_length=500_000)
    url: str = Field(default="", max_length=2000)
    lang: str = Field(default="", max_length=20)
    tags: list[Annotated[str, Field(max_length=100)]] = Field(default_factory=list, max_length=50)


class ArticleOut(BaseModel):
    article_id: str
    title: str
    body: str
    url: str
    lang: str
    tags: list[str]


Texts = dict[str, list[str]]


class QuickReplyIn(Request):
    """`title` is shown; `payload` is the message to send when it is pressed."""

    title: str
    payload: str


class When(Request):
    """The channel, or the slots with their values, or both."""

    channel: str = ""
    slots: dict[str, str] = Field(default_factory=dict)


class CaseIn(Request):
    """What is said instead where `when` holds."""

    when: When
    answers: Texts = Field(default_factory=dict)
    without_slots: Texts = Field(default_factory=dict)
    quick_replies: dict[str, list[str | QuickReplyIn]] = Field(default_factory=dict)


# A text a language; a bare one is English.
ByLanguage = str | dict[str, str]
SlotValue = StrictStr | StrictInt | StrictFloat


class FieldIn(Request):
    """A slot that a form asks for, in the words of `ask` or else of the slot. Its value is valid
    where it matches a regular expression as a whole, or is in a list, whose members become buttons;
    of {value: other words for it} the words are understood too. `invalid` is said where it is not.
    """

    slot: str
    ask: ByLanguage | None = None
    valid: str | list[SlotValue] | dict[str, list[SlotValue]] | None = Field(
        default=None, alias="validate"
    )
    invalid: ByLanguage | None = None


class FormIn(Request):
    """What is asked for before the answer, in order; a bare name is a slot without more. With
    `confirm` the form ends with a yes."""

    slots: list[FieldIn | str]
    confirm: ByLanguage | None = None


class CallCaseIn(Request):
    """What is said instead while each key of the webhook's reply has the value named."""

    when: dict[str, StrictBool | SlotValue]
    answers: dict[str, str | list[str]]


class CallIn(Request):
    """A company's webhook: `url` is a path below the first address of `action_urls`, or a whole
    address below any; it is sent `slots` and gives the keys `reply`. `timeout`: seconds."""

    name: str
    url: str
    slots: list[str] = Field(default_factory=list)
    reply: list[str] = Field(default_factory=list)
    timeout: float | None = Field(default=None, gt=0, le=LONGEST_SECONDS, strict=True)
    cases: list[CallCaseIn] = Field(default_factory=list)


class IntentIn(Request):
    """Texts are lists of variants by language. What they, a form and a call may hold is checked in
    answers_reading.py."""

    description: dict[str, str] = Field(default_factory=dict)
    answers: Texts = Field(default_factory=dict)
    without_slots: Texts = Field(default_factory=dict)
    quick_replies: dict[str, list[str | QuickReplyIn]] = Field(default_factory=dict)
    handoff: bool = False
    cases: list[CaseIn] = Field(default_factory=list)
    form: FormIn | None = None
    call: CallIn | None = None


class IntentOut(BaseModel):
    """`trained`: whether the live model knows the intent; `taught`: how many examples speak for it.
    Without either only its button reaches it."""

    name: str
    description: dict[str, str]
    answers: Texts
    without_slots: Texts
    quick_replies: dict[str, list[str | QuickReplyIn]]
    handoff: bool
    cases: list[CaseIn]
    form: FormIn | None = None
    call: CallIn | None = None
    trained: bool
    taught: int


class FeedbackIn(Request):
    """What somebody thought of the answer to one message."""

    conversation_id: Identifier
    message_id: Identifier
    rating: Literal["up", "down"]
    comment: str | None = Field(default=None, max_length=2000)
    correct_intent: str | None = Field(default=None, min_length=1, max_length=100)


class FeedbackOut(BaseModel):
    """`state` is "quarantine", "accepted" or "rejected"; intent and action are those of the
    answer it is about."""

    conversation_id: str
    message_id: str
    rating: Literal["up", "down"]
    comment: str | None
    correct_intent: str | None
    state: str
    created_at: datetime
    updated_at: datetime
    intent: str | None
    action: str


class FeedbackEntry(FeedbackOut):
    """`id` names it for who decides on it."""

    id: int


class FeedbackPage(BaseModel):
    """`next_cursor` goes into ?cursor= for the next page; null on the last one."""

    feedback: list[FeedbackEntry]
    next_cursor: str | None


class SessionIn(Request):
    """`token`: a session that is not over yet and should last longer."""

    token: str | None = Field(default=None, max_length=2500)


class SessionOut(BaseModel):
    """`token` opens this one conversation until `expires_at`."""

    token: str
    conversation_id: str
    expires_at: datetime
