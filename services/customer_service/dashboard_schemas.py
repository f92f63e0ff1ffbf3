"""What does the dashboard read, in what shape?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from services.customer_service.dashboard_figures import MOST_DAYS
from services.customer_service.schemas import Request

Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]


class OpinionsOut(BaseModel):
    """Thumbs on automatic answers: `share` of `wrong` among the `judged`, with its 95 % interval;
    null without any."""

    judged: int
    wrong: int
    share: float | None
    low: float | None
    high: float | None


class IntentLine(BaseModel):
    """`messages` that the intent answered, and thumbs on those answers."""

    intent: str
    messages: int
    up: int
    down: int


class BucketOut(BaseModel):
    """Answers that took up to so many seconds, and longer than the bucket before; null: longer
    than all."""

    up_to: float | None
    answers: int


class LatencyOut(BaseModel):
    """Of the answers over HTTP of this one process since `since`; seconds."""

    since: datetime | None
    answers: int
    p50: float | None
    p95: float | None
    buckets: list[BucketOut]


class FiguresOut(BaseModel):
    """`series`: messages by action in each part of the time, which begins at `starts` (moments by
    the hour, else days); `with_person`: conversations of which a message went to a person;
    `waiting` and `taken`: hand-overs of now; `reasons` of those that began in the time."""

    days: int
    since: datetime
    by_hour: bool
    starts: list[str]
    series: dict[str, list[int]]
    messages: int
    actions: dict[str, int]
    conversations: int
    with_person: int
    waiting: int
    taken: int
    reasons: dict[str, int]
    opinions: OpinionsOut
    intents: list[IntentLine]
    latency: LatencyOut


class PointOut(BaseModel):
    """Answering from `threshold` on: share of the in-scope questions that is answered, share of
    the answers that is wrong, and its upper 95 % bound."""

    threshold: float
    coverage: float
    risk: float
    upper: float


class ChoiceOut(BaseModel):
    """What the model would do under another promise; `promised`: whether it could keep it."""

    risk: float
    promised: bool
    point: PointOut | None


class PromiseOut(BaseModel):
    """The live model's: `risk` that was stated, whether it is `promised`, what the held-out rows
    show `at_threshold`, and what else could be chosen, strictest first."""

    version: str
    number: int
    risk: float
    oos_share: float
    promised: bool
    note: str
    threshold: float
    held_out_rows: int
    held_out_oos_rows: int
    at_threshold: PointOut | None
    curve: list[PointOut]
    choices: list[ChoiceOut]


class PromiseIn(Request):
    """`version`: the one whose choices were looked at."""

    risk: float = Field(gt=0, lt=1)
    version: str = Field(min_length=1, max_length=64)


class GapOut(BaseModel):
    """A group of messages without an answer; as in `gaps.csv`. `by_design`: share that an intent
    handed over on purpose; `taught`: the intent that its first example is one of since."""

    name: str
    count: int
    share: float
    person_share: float
    examples: list[str]
    nearest_intent: str
    similarity: float | None
    draft_answer: str
    by_design: float
    taught: str | None


class GapsOut(BaseModel):
    """The largest of `groups`, as of `at`; `turns` is how many messages were looked at."""

    days: int
    at: datetime
    turns: int
    unanswered: int
    groups: int
    gaps: list[GapOut]


class IntentEntry(BaseModel):
    """`languages` that it has an answer in; `trained`: whether the live model knows it."""

    name: str
    description: dict[str, str]
    languages: list[str]
    handoff: bool
    trained: bool


class IntentNames(BaseModel):
    """By name."""

    intents: list[IntentEntry]
