"""Which stories and which figures does the explanation of an alert start from?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.finance_sentiment.alerts import NEW, Alert, Baseline, hours_of
from services.finance_sentiment.domain import LABELLED, moment_of
from services.finance_sentiment.evidence import DETECTORS
from services.finance_sentiment.explain import Ground, Told, explain
from services.finance_sentiment.series_store import stories_of
from services.finance_sentiment.tables import mentions, stories

_MOST_STORIES = 5_000


def explained(session: Session, alert: Alert, baseline: Baseline) -> dict[str, Any] | None:
    """The document of explain.py; None for a rule, whose evidence says all there is, and for an
    alert of before this baseline."""
    _, started = hours_of(alert)
    if alert.detector not in DETECTORS or started < baseline.from_hour:
        return None
    ground = ground_of(alert, baseline)
    told = stories_told(session, alert.topic, moment_of(ground.first_hour), moment_of(started + 1))
    return explain(ground, told)


def ground_of(alert: Alert, baseline: Baseline) -> Ground:
    """What the alert rests on. Evidence of before the baseline is carried as it stood."""
    onset, started = hours_of(alert)
    detector = DETECTORS.index(alert.detector)
    carried = 0.0
    if onset < baseline.from_hour:
        gauge = baseline.states.get(alert.topic, NEW).watch.gauges[detector]
        carried = gauge.statistic if gauge.onset == onset else 0.0
    return Ground(
        detector=detector,
        threshold=float(alert.evidence["threshold"]),
        first_hour=max(onset, baseline.from_hour),
        end_hour=started + 1,
        expected=baseline.normal.expected(alert.topic),
        carried=carried,
    )


def stories_told(session: Session, series: str, since: datetime, until: datetime) -> list[Told]:
    """The labelled stories of a topic or a company, oldest first, with all that carried them."""
    told = stories_of(series)
    counts, p_negative = told.sentiment.label("counts_as"), told.p_negative.label("p_bad")
    query = (
        select(stories, counts, p_negative)
        .select_from(told.source)
        .where(
            told.belongs,
            stories.c.state == LABELLED,
            told.sentiment.is_not(None),
            stories.c.published_at >= since,
            stories.c.published_at < until,
        )
        .order_by(stories.c.published_at, stories.c.id)
        .limit(_MOST_STORIES)
    )
    rows = list(session.execute(query))
    carried = _carriers(session, [row.id for row in rows])
    return [
        Told(
            id=row.id,
            title=row.title,
            hour=row.published_hour,
            negative=row.counts_as == "negative",
            p_negative=row.p_bad,
            sources=tuple(dict.fromkeys([row.source, *carried.get(row.id, [])])),
            model_version=row.model_version or "",
        )
        for row in rows
    ]


def _carriers(session: Session, ids: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for start in range(0, len(ids), 500):
        query = (
            select(mentions.c.story_id, mentions.c.source)
            .where(mentions.c.story_id.in_(ids[start : start + 500]))
            .order_by(mentions.c.id)
        )
        for row in session.execute(query):
            found.setdefault(row.story_id, []).append(row.source)
    return found
