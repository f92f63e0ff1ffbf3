"""Which endpoints are there? Each translates, calls one function, translates back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Query, Response
from sqlalchemy import Row
from sqlalchemy.orm import Session, sessionmaker

from core.web import requires
from services.finance_sentiment.alert_store import latest_baseline, page_of_alerts
from services.finance_sentiment.company_store import (
    companies_by_story,
    company_sentiment_counts,
)
from services.finance_sentiment.confusion import Confusion
from services.finance_sentiment.domain import PENDING, UNLABELLED, Label, hour_of, moment_of
from services.finance_sentiment.entities import CompanySentiment, planned, resolved
from services.finance_sentiment.labels import label_fields
from services.finance_sentiment.linking import CompanyLinker
from services.finance_sentiment.schemas import (
    AlertsPage,
    AlertsQuery,
    AlertState,
    Bucket,
    ClassifyRequest,
    ClassifyResponse,
    CompanyLabel,
    CompanyTrend,
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
from services.finance_sentiment.series import company_series, series_labels
from services.finance_sentiment.store import (
    StoryFilter,
    carried_by,
    page_of_stories,
    sentiment_counts,
    unread_counts,
)
from services.finance_sentiment.stories_csv import as_csv
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
    # None where no list of companies is set.
    linker: CompanyLinker | None = None


def make_router(parts: Parts) -> APIRouter:
    """All endpoints of the news monitor."""
    router = APIRouter(prefix="/v1")

    @router.get("/stories", response_model=StoriesPage, dependencies=[requires("read")])
    def stories(query: Annotated[StoriesQuery, Query()]) -> Any:
        """Stories, newest first; as CSV the cursor of the next page is in `X-Next-Cursor`."""
        wanted = StoryFilter(**query.model_dump(exclude={"limit", "cursor", "format"}))
        with parts.read() as session:
            page, following = page_of_stories(
                session, wanted, limit=query.limit, cursor=query.cursor
            )
            ids = [row.id for row in page]
            carried, named = carried_by(session, ids), companies_by_story(session, ids)
        shown = [shown_story(row, carried[row.id], named[row.id]) for row in page]
        if query.format == "csv":
            headers = {"X-Next-Cursor": following} if following else {}
            return Response(as_csv(shown), media_type="text/csv", headers=headers)
        return StoriesPage(stories=shown, next_cursor=following)

    @router.get("/trends", dependencies=[requires("read")])
    def topic_trends(query: Annotated[TrendsQuery, Query()]) -> TrendsResponse:
        """Each topic's counts and its share of negative stories, or those of one company."""
        since, until = window(query.bucket, query.since, query.until, parts.now())
        first, end = hour_of(since), hour_of(until)
        with parts.read() as session:
            if query.company:
                rows = company_sentiment_counts(session, first, end, query.company, query.topic)
            else:
                rows = sentiment_counts(session, first, end, query.topic)
            unread = unread_counts(session, first, end)
            labelled_by = model_versions(session, first, end)
        version, confusion = parts.confusion()
        known = confusion if labelled_by == {version} and not query.company else None
        shown = [_trend(trend, known) for trend in trends(rows, query.bucket)]
        return TrendsResponse(
            bucket=query.bucket,
            since=since,
            until=until,
            topics=[] if query.company else [TopicTrend(topic=name, **of) for name, of in shown],
            companies=[CompanyTrend(company=name, **of) for name, of in shown]
            if query.company
            else [],
            pending=unread[PENDING],
            unlabelled=unread[UNLABELLED],
        )

    @router.get("/alerts", dependencies=[requires("read")])
    def alerts(query: Annotated[AlertsQuery, Query()]) -> AlertsPage:
        """Alerts, and what the detector is doing."""
        firing = None if query.state is None else query.state == "firing"
        with parts.read() as session:
            page, following = page_of_alerts(
                session,
                topic=company_series(query.company) if query.company else query.topic,
                firing=firing,
                limit=query.limit,
                cursor=query.cursor,
            )
            watch = _watch(session, parts.false_alarms_per_week)
        return AlertsPage(
            alerts=[shown_alert(row) for row in page], watch=watch, next_cursor=following
        )

    @router.post("/classify", dependencies=[requires("read")])
    async def classify(request: ClassifyRequest) -> ClassifyResponse:
        """The label of each text; nothing is kept."""
        number = len(request.texts)
        clauses, said = await asyncio.to_thread(planned, parts.linker, request.texts)
        version, labels = await parts.classify([*request.texts, *clauses])
        by_words = dict(zip(clauses, labels[number:], strict=True))
        named = resolved(said, labels[:number], by_words)
        return ClassifyResponse(
            model_version=version,
            labels=[
                TextLabel(
                    labelled=label.readable,
                    **label_fields(label),
                    companies=None if parts.linker is None else _companies(of),
                )
                for label, of in zip(labels[:number], named, strict=True)
            ],
        )

    return router


def shown_story(row: Row[Any], sources: list[str], named: Sequence[CompanySentiment] = ()) -> Story:
    """A row of stories as callers see it."""
    beside = ("sources", "companies")
    values = {name: getattr(row, name) for name in Story.model_fields if name not in beside}
    return Story(sources=sources, companies=_companies(named), **values)


def _companies(named: Sequence[CompanySentiment]) -> list[CompanyLabel]:
    return [CompanyLabel(**asdict(one)) for one in named]


def shown_alert(row: Row[Any]) -> AlertState:
    """A row of alerts as callers see it."""
    state: Literal["firing", "resolved"] = "firing" if row.resolved_at is None else "resolved"
    apart = ("state", "topic", "company")
    values = {name: getattr(row, name) for name in AlertState.model_fields if name not in apart}
    watched = series_labels(row.topic)
    return AlertState(state=state, topic=watched["topic"], company=watched["company"], **values)


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


def _trend(trend: Trend, confusion: Confusion | None) -> tuple[str, dict[str, Any]]:
    """(topic or company, its figures and buckets)."""
    buckets = [
        Bucket(start=start, **_figures(tally, confusion).model_dump())
        for start, tally in trend.buckets.items()
    ]
    return trend.topic, {**_figures(trend.total, confusion).model_dump(), "buckets": buckets}


def _figures(tally: Tally, confusion: Confusion | None) -> Figures:
    found = confusion.corrected(tally.stories, tally.negative) if confusion else None
    names = [name for name in Figures.model_fields if not name.startswith(_CORRECTED)]
    share, interval = found or (None, None)
    return Figures(
        **{name: getattr(tally, name) for name in names},
        negative_share_corrected=share,
        negative_share_corrected_ci=interval,
    )
