"""Which endpoints are there? Each translates, calls one function, translates back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Query
from sqlalchemy import Row
from sqlalchemy.orm import Session, sessionmaker

from core.web import requires
from services.finance_sentiment.alert_store import latest_baseline, page_of_alerts
from services.finance_sentiment.confusion import Confusion
from services.finance_sentiment.domain import PENDING, UNLABELLED, Label, hour_of, moment_of
from services.finance_sentiment.labels import label_fields
from services.finance_sentiment.schemas import (
    AlertsPage,
    AlertsQuery,
    AlertState,
    Bucket,
    ClassifyRequest,
    ClassifyResponse,
    Figures,
    StoriesPage,
    StoriesQuery,
    Story,
    TextLabel,
    TopicTrend,
    TrendsQuery,
    TrendsResponse,
    Watch,
)
from services.finance_sentiment.store import (
    StoryFilter,
    carried_by,
    page_of_stories,
    sentiment_counts,
    unread_counts,
)
from services.finance_sentiment.trends import Tally, Trend, trends, window
from services.finance_sentiment.watch_store import model_versions

_CORRECTED = "negative_share_corrected"


class Classify(Protocol):
    """The served model behind its queue."""

    async def __call__(self, texts: Sequence[str]) -> tuple[str, list[Label]]:
        """(model version, a label for each text)."""


@dataclass(frozen=True)
class Parts:
    """What the endpoints call. `read`: sessions that do not write."""

    read: sessionmaker[Session]
    classify: Classify
    now: Callable[[], datetime]
    false_alarms_per_week: float
    # The live model's version and its confusions.
    confusion: Callable[[], tuple[str, Confusion | None]] = lambda: ("", None)


def make_router(parts: Parts) -> APIRouter:
    """All endpoints of the news monitor."""
    router = APIRouter(prefix="/v1")

    @router.get("/stories", dependencies=[requires("read")])
    def stories(query: Annotated[StoriesQuery, Query()]) -> StoriesPage:
        """Stories, newest first."""
        wanted = StoryFilter(**query.model_dump(exclude={"limit", "cursor"}))
        with parts.read() as session:
            page, following = page_of_stories(
                session, wanted, limit=query.limit, cursor=query.cursor
            )
            carried = carried_by(session, [row.id for row in page])
        shown = [_story(row, carried[row.id]) for row in page]
        return StoriesPage(stories=shown, next_cursor=following)

    @router.get("/trends", dependencies=[requires("read")])
    def topic_trends(query: Annotated[TrendsQuery, Query()]) -> TrendsResponse:
        """Each topic's counts and its share of negative stories."""
        since, until = window(query.bucket, query.since, query.until, parts.now())
        first, end = hour_of(since), hour_of(until)
        with parts.read() as session:
            rows = sentiment_counts(session, first, end, query.topic)
            unread = unread_counts(session, first, end)
            labelled_by = model_versions(session, first, end)
        version, confusion = parts.confusion()
        known = confusion if labelled_by == {version} else None
        return TrendsResponse(
            bucket=query.bucket,
            since=since,
            until=until,
            topics=[_trend(trend, known) for trend in trends(rows, query.bucket)],
            pending=unread[PENDING],
            unlabelled=unread[UNLABELLED],
        )

    @router.get("/alerts", dependencies=[requires("read")])
    def alerts(query: Annotated[AlertsQuery, Query()]) -> AlertsPage:
        """Alerts, and what the detector is doing."""
        firing = None if query.state is None else query.state == "firing"
        with parts.read() as session:
            page, following = page_of_alerts(
                session, topic=query.topic, firing=firing, limit=query.limit, cursor=query.cursor
            )
            watch = _watch(session, parts.false_alarms_per_week)
        return AlertsPage(alerts=[_alert(row) for row in page], watch=watch, next_cursor=following)

    @router.post("/classify", dependencies=[requires("read")])
    async def classify(request: ClassifyRequest) -> ClassifyResponse:
        """The label of each text; nothing is kept."""
        version, labels = await parts.classify(request.texts)
        return ClassifyResponse(
            model_version=version,
            labels=[TextLabel(labelled=x.readable, **label_fields(x)) for x in labels],
        )

    return router


def _story(row: Row[Any], sources: list[str]) -> Story:
    values = {name: getattr(row, name) for name in Story.model_fields if name != "sources"}
    return Story(sources=sources, **values)


def _alert(row: Row[Any]) -> AlertState:
    state: Literal["firing", "resolved"] = "firing" if row.resolved_at is None else "resolved"
    values = {name: getattr(row, name) for name in AlertState.model_fields if name != "state"}
    return AlertState(state=state, **values)


def _watch(session: Session, promised: float) -> Watch:
    baseline = latest_baseline(session)
    if baseline is None:
        return Watch(
            state="learning",
            promised_false_alarms_per_week=promised,
            threshold=None,
            learned_until=None,
        )
    return Watch(
        state="watching",
        promised_false_alarms_per_week=baseline.false_alarms_per_week,
        threshold=baseline.threshold,
        learned_until=moment_of(baseline.from_hour),
    )


def _trend(trend: Trend, confusion: Confusion | None) -> TopicTrend:
    return TopicTrend(
        topic=trend.topic,
        **_figures(trend.total, confusion).model_dump(),
        buckets=[
            Bucket(start=start, **_figures(tally, confusion).model_dump())
            for start, tally in trend.buckets.items()
        ],
    )


def _figures(tally: Tally, confusion: Confusion | None) -> Figures:
    found = confusion.corrected(tally.stories, tally.negative) if confusion else None
    names = [name for name in Figures.model_fields if not name.startswith(_CORRECTED)]
    share, interval = found or (None, None)
    return Figures(
        **{name: getattr(tally, name) for name in names},
        negative_share_corrected=share,
        negative_share_corrected_ci=interval,
    )
