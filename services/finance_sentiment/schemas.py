"""What may a caller send, and what comes back? Everything bounded; answers have no defaults."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

MAX_TEXTS = 64
MAX_TEXT_CHARS = 10_000
MAX_PAGE = 200

Sentiment = Literal["positive", "neutral", "negative"]
State = Literal["pending", "labelled", "unlabelled"]
ShortText = Annotated[str, StringConstraints(max_length=200)]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]


def _within_reason(moment: datetime) -> datetime:
    # Years at the ends of the calendar overflow in one zone or another.
    if not 1900 <= moment.year <= 2200:
        raise ValueError("expected a date between 1900 and 2200")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_within_reason)]
Cursor = Annotated[str, StringConstraints(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClassifyRequest(_Body):
    """Texts to label, as long as a story is."""

    texts: list[Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS)]] = Field(
        min_length=1, max_length=MAX_TEXTS
    )


class CompanyLabel(BaseModel):
    """What a text says of a company. `basis`: the label of the whole text (story), of the clauses
    that name it (clause), or a verb of two companies (rule, without probabilities)."""

    company: str
    basis: Literal["story", "clause", "rule"]
    sentiment: Sentiment | None
    p_negative: float | None
    p_neutral: float | None
    p_positive: float | None


class TextLabel(BaseModel):
    """`labelled` false: the model cannot read this text, and sentiment and topic are null. The
    probabilities then show what it would have guessed. `companies` is null where no list of
    companies is set."""

    labelled: bool
    sentiment: Sentiment | None
    p_negative: float | None
    p_neutral: float | None
    p_positive: float | None
    topic: str | None
    p_topic: float | None
    companies: list[CompanyLabel] | None


class ClassifyResponse(BaseModel):
    """One label a text, in their order."""

    model_version: str
    labels: list[TextLabel]


class StoriesQuery(_Body):
    """Filters of GET /v1/stories; times carry their zone."""

    topic: ShortText | None = None
    company: ShortText | None = None
    sentiment: Sentiment | None = None
    state: State | None = None
    source: ShortText | None = None
    since: Moment | None = None
    until: Moment | None = None
    q: ShortText = ""
    format: Literal["json", "csv"] = "json"
    limit: Limit = 50
    cursor: Cursor | None = None


class EventsQuery(_Body):
    """Which events a stream tells of. `topic` and `company` hold for stories and alerts,
    `sentiment` for stories; `last_event_id` is for callers that can set no Last-Event-ID header."""

    kind: Literal["story", "alert"] | None = None
    topic: ShortText | None = None
    company: ShortText | None = None
    sentiment: Sentiment | None = None
    last_event_id: Annotated[str, StringConstraints(max_length=30)] | None = None


class Story(BaseModel):
    """A story; its label is null while it waits for one, and where the model cannot read it.

    `source` is who had it first, `sources` everybody who carried it; it counts once all the same.
    """

    id: int
    title: str
    summary: str
    url: str
    source: str
    sources: list[str]
    published_at: datetime
    fetched_at: datetime
    edited_at: datetime | None
    state: State
    sentiment: Sentiment | None
    p_negative: float | None
    p_neutral: float | None
    p_positive: float | None
    topic: str | None
    p_topic: float | None
    model_version: str | None
    labelled_at: datetime | None
    companies: list[CompanyLabel]


class StoriesPage(BaseModel):
    """Newest first; `next_cursor` is null on the last page."""

    stories: list[Story]
    next_cursor: str | None


class TrendsQuery(_Body):
    """Which topic (all) or company, by the hour or by the day, from when to when."""

    topic: ShortText | None = None
    company: ShortText | None = None
    bucket: Literal["hour", "day"] = "hour"
    since: Moment | None = None
    until: Moment | None = None


class Figures(BaseModel):
    """Counts by sentiment; the share is null where there is no story. The corrected one, put right
    for the mistakes the live model made on held-out rows, is null too where other models or people
    labelled some of these stories."""

    stories: int
    negative: int
    neutral: int
    positive: int
    negative_share: float | None
    negative_share_ci: tuple[float, float] | None
    negative_share_corrected: float | None
    negative_share_corrected_ci: tuple[float, float] | None


class Bucket(Figures):
    """One hour or day (UTC)."""

    start: datetime


class TopicTrend(Figures):
    """A topic's sum and its buckets; those without a story are left out."""

    topic: str
    buckets: list[Bucket]


class CompanyTrend(Figures):
    """The same of a company, by the sentiment towards it. Nothing is corrected here: what the model
    takes for what was counted on whole stories."""

    company: str
    buckets: list[Bucket]


class TrendsResponse(BaseModel):
    """`pending` and `unlabelled` count stories of the same time that no figure holds."""

    bucket: Literal["hour", "day"]
    since: datetime
    until: datetime
    topics: list[TopicTrend]
    # Only where one was asked for; `topics` is empty then.
    companies: list[CompanyTrend]
    pending: int
    unlabelled: int


class AlertsQuery(_Body):
    """Which alerts are shown."""

    topic: ShortText | None = None
    company: ShortText | None = None
    state: Literal["firing", "resolved"] | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class AlertState(BaseModel):
    """An alert of a topic or of a company, the other one null; `story_ids` are the negative stories
    behind it, at most 50."""

    id: int
    topic: str | None
    company: str | None
    detector: str
    state: Literal["firing", "resolved"]
    started_at: datetime
    resolved_at: datetime | None
    raised_at: datetime
    onset_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    false_alarm: bool | None
    is_test: bool
    evidence: dict[str, Any]
    story_ids: list[int]


class Watch(BaseModel):
    """What the surge detector is doing: `learning` until there is enough history."""

    state: Literal["learning", "watching"]
    promised_false_alarms_per_week: float
    threshold: float | None
    learned_until: datetime | None


class AlertsPage(BaseModel):
    """Latest start first."""

    alerts: list[AlertState]
    watch: Watch
    next_cursor: str | None
