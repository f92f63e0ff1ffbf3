"""How does a page learn how the monitor stands, and what is normal for each topic?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session, sessionmaker

from core.web import requires
from services.finance_sentiment.alert_store import latest_baseline
from services.finance_sentiment.bands import Banded, banded
from services.finance_sentiment.company_store import company_sentiment_counts
from services.finance_sentiment.counts import HOURS_A_DAY, HourlyCounts
from services.finance_sentiment.domain import hour_of, moment_of
from services.finance_sentiment.overview import Patience, State, overview
from services.finance_sentiment.schemas import ShortText
from services.finance_sentiment.series import company_series, series_labels
from services.finance_sentiment.store import sentiment_counts

# Hours of a bucket: they divide a day.
BucketHours = Literal["1", "2", "3", "4", "6", "8", "12", "24"]
MAX_BUCKETS = 200


class Feeds(BaseModel):
    """How many feeds there are of each state."""

    fine: int
    failing: int
    resting: int
    new: int
    off: int


class Standing(BaseModel):
    """Where a topic or a company stands; `nearness` is 1 at the threshold of an alert."""

    topic: str | None
    company: str | None
    phase: str
    news: str
    nearness: float


class Firing(BaseModel):
    """An open alert, of a topic or of a company."""

    id: int
    topic: str | None
    company: str | None


class Overview(BaseModel):
    """How the monitor stands. `state`: watching, learning (`reason`: "stories/hours" so far), no
    feed and no story yet (empty), no worker (`reason`: which tick, and when it last succeeded), no
    or not all news (`reason` in words). Shares of a day are those of the last 24 hours."""

    now: datetime
    state: State
    reason: str
    open_alerts: int
    # The latest of these, at most five.
    firing: list[Firing]
    stories_day: int
    negative_day: int
    unlabelled_day: int
    last_story_at: datetime | None
    waiting: int
    feeds: Feeds
    promised_per_week: float | None
    learned_until: datetime | None
    alerts_per_week: float | None
    weeks_watched: float | None
    marked_false: int | None
    marked_true: int | None
    series: list[Standing]
    # What the live model is, and which topics it knows; "" and none without one.
    model_version: str
    topics: list[str]


class NormalQuery(BaseModel):
    """So many days that end now, in buckets of so many hours. `offset_hours` is how far the
    reader's clock is ahead of UTC: there days begin at the reader's midnight."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[int, Field(ge=1, le=31)] = 7
    bucket_hours: BucketHours = "6"
    offset_hours: Annotated[int, Field(ge=-14, le=14)] = 0
    company: ShortText | None = None


class Series(BaseModel):
    """A topic's or company's buckets, one entry each: its counts, the share of negative stories
    that is normal for them, and what 95 % of such buckets keep within."""

    topic: str | None
    company: str | None
    stories: list[int]
    negative: list[int]
    expected: list[float | None]
    low: list[float | None]
    high: list[float | None]


class NormalResponse(BaseModel):
    """The buckets begin at `since`, one each `bucket_hours`; the last one is not over yet."""

    since: datetime
    until: datetime
    bucket_hours: int
    learned_until: datetime | None
    series: list[Series]


@dataclass(frozen=True)
class OverviewParts:
    """What the endpoints call. `live`: (version, topics, …) of the live model."""

    read: sessionmaker[Session]
    now: Callable[[], datetime]
    live: Callable[[], tuple[str, Sequence[str], frozenset[str]]]
    patience: Patience


def make_overview_router(parts: OverviewParts) -> APIRouter:
    """How the monitor stands, and shares beside what is normal."""
    router = APIRouter(prefix="/v1")

    @router.get("/overview", dependencies=[requires("read")])
    def how_it_stands() -> Overview:
        """How the monitor stands: watching or not and why, the last day in figures."""
        version, topics, _ = parts.live()
        with parts.read() as session:
            found = overview(session, parts.now(), parts.patience)
        standing = [
            Standing(
                **series_labels(row.topic), phase=row.phase, news=row.news, nearness=row.nearness
            )
            for row in found["series"]
        ]
        firing = [Firing(id=row.id, **series_labels(row.topic)) for row in found["firing"]]
        shown = {"series": standing, "firing": firing, "feeds": Feeds(**found["feeds"])}
        values = found | shown
        return Overview(**values, model_version=version, topics=list(topics))

    @router.get("/trends/normal", dependencies=[requires("read")])
    def normal(query: Annotated[NormalQuery, Query()]) -> NormalResponse:
        """Each topic's share of negative stories, beside the range that is normal for it."""
        size = int(query.bucket_hours)
        first, end = _span(query, size, parts.now())
        with parts.read() as session:
            counts = _counted(session, first, end, query.company)
            baseline = latest_baseline(session)
        known = baseline.normal if baseline else None
        return NormalResponse(
            since=moment_of(first),
            until=moment_of(end),
            bucket_hours=size,
            learned_until=moment_of(baseline.from_hour) if baseline else None,
            series=[_shown(name, banded(counts, name, size, known)) for name in counts.topics],
        )

    return router


def _span(query: NormalQuery, size: int, now: datetime) -> tuple[int, int]:
    """Whole buckets of the reader's clock, at most `MAX_BUCKETS`."""
    end = (hour_of(now) + query.offset_hours) // size * size + size - query.offset_hours
    buckets = min(MAX_BUCKETS, query.days * HOURS_A_DAY // size)
    return end - buckets * size, end


def _counted(session: Session, first: int, end: int, company: str | None) -> HourlyCounts:
    if company:
        rows = company_sentiment_counts(session, first, end, company)
    else:
        rows = sentiment_counts(session, first, end)
    named = [
        (
            company_series(company) if company else name,
            hour,
            stories,
            stories * (said == "negative"),
        )
        for name, hour, said, stories in rows
    ]
    return HourlyCounts.from_rows(named, first_hour=first, end_hour=end)


def _shown(name: str, buckets: Sequence[Banded]) -> Series:
    return Series(
        **series_labels(name),
        stories=[one.stories for one in buckets],
        negative=[one.negative for one in buckets],
        expected=[_rounded(one.expected) for one in buckets],
        low=[_rounded(one.low) for one in buckets],
        high=[_rounded(one.high) for one in buckets],
    )


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
