"""What do requests and answers of teaching look like? Bounded on the way in, as in schemas.py."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from services.customer_service.schemas import Request

ExampleText = Annotated[str, Field(min_length=1, max_length=4000)]
IntentName = Annotated[str, Field(min_length=1, max_length=100)]


class ExamplesIn(Request):
    """What customers write who mean the intent."""

    texts: list[ExampleText] = Field(max_length=500)


class ExampleOut(BaseModel):
    """`text` has lost its personal data."""

    text: str
    origin: Literal["taught", "feedback", "desk"]
    created_at: datetime


class ExamplesOut(BaseModel):
    intent: str
    examples: list[ExampleOut]


class TeachIn(Request):
    """`texts`: what customers write who mean the intent. `answer`: what the bot says then; left
    out, the intent keeps what it has. `title`: what a new intent's button says."""

    intent: IntentName
    texts: list[ExampleText] = Field(min_length=1, max_length=50)
    answer: str = Field(default="", max_length=10_000)
    title: str = Field(default="", max_length=100)
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}$")


class TeachOut(BaseModel):
    """`examples`: how many the intent has now; `new`: whether it is one."""

    intent: str
    examples: int
    new: bool


class AcceptIn(Request):
    """`intent`: what the message meant; "oos" where no intent answers it."""

    intent: IntentName


class TestIn(Request):
    """What must be done about the text: an intent's answer given, or an action done where no
    article speaks to it."""

    text: ExampleText
    intent: IntentName | None = None
    action: Literal["answer", "handoff", "clarify", "abstain"] | None = None

    @model_validator(mode="after")
    def _one(self) -> TestIn:
        if (self.intent is None) == (self.action is None):
            raise ValueError("name either `intent` or `action`")
        return self


class TestsIn(Request):
    tests: list[TestIn] = Field(max_length=500)


class TestTextsIn(Request):
    texts: list[ExampleText] = Field(max_length=500)


class TestOut(BaseModel):
    text: str
    intent: str | None
    action: str | None


class TestsOut(BaseModel):
    tests: list[TestOut]


class ModelOut(BaseModel):
    """`accuracy` on held-out questions with its 95 % interval; `note`: what the threshold
    promises."""

    number: int
    version: str
    created_at: datetime
    live: bool
    accuracy: float | None
    accuracy_ci: tuple[float, float] | None
    note: str


class ModelsOut(BaseModel):
    models: list[ModelOut]


class CandidateLine(BaseModel):
    """`state`: promoted, kept (waits for a person), failed, or dropped (made room for later
    ones). `examples`: what was taught when it was trained."""

    id: int
    version: str | None
    state: Literal["promoted", "kept", "failed", "dropped"]
    examples: int
    created_at: datetime
    passed: bool
    reasons: list[str]
    changed: int | None


class CandidatesOut(BaseModel):
    """Newest first; `next_cursor` goes into ?cursor= for the next page, null on the last one."""

    candidates: list[CandidateLine]
    next_cursor: str | None


class CandidateOut(CandidateLine):
    """`replay`: what would change, with counts by intent and a sample; `verdict`: against which
    version, and the tests that fail."""

    metrics: dict[str, Any]
    verdict: dict[str, Any]
    replay: dict[str, Any]
