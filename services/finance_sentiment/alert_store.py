"""How are alerts and the baselines they rest on kept?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from services.finance_sentiment.alerts import Alert, Baseline
from services.finance_sentiment.paging import newest_page
from services.finance_sentiment.store import negative_story_ids
from services.finance_sentiment.tables import alerts, baselines

MAX_STORY_IDS = 50


def latest_baseline(session: Session) -> Baseline | None:
    """What counts as normal now, None before anything was learned."""
    query = select(baselines.c.document).order_by(baselines.c.id.desc()).limit(1)
    document = session.execute(query).scalar_one_or_none()
    return None if document is None else Baseline.from_json(document)


def save_baseline(session: Session, baseline: Baseline, now: datetime) -> None:
    """Keep a new one beside the older ones: they explain the alerts of their time."""
    session.execute(
        insert(baselines).values(
            from_hour=baseline.from_hour, created_at=now, document=baseline.to_json()
        )
    )


def forget_baselines(session: Session) -> None:
    """History came in: what is normal is learned anew, from its start."""
    session.execute(delete(baselines))


def save_alerts(
    session: Session, found: Iterable[Alert], *, known_since: datetime, now: datetime
) -> int:
    """Bring the stored alerts since `known_since` in line with what the counts say; how many are
    new. A late story may move an alert's start by an hour: it stays the same alert, with the start
    that was told first. One that the counts no longer bear out is resolved, never erased."""
    stored = list(
        session.execute(
            select(alerts).where(
                or_(alerts.c.resolved_at.is_(None), alerts.c.resolved_at >= known_since)
            )
        )
    )
    new = 0
    for alert in found:
        same = next((row for row in stored if _overlaps(row, alert, now)), None)
        values = {
            "resolved_at": alert.resolved_at,
            "evidence": dict(alert.evidence),
            "story_ids": negative_story_ids(
                session, alert.topic, alert.onset_at, alert.resolved_at or now, MAX_STORY_IDS
            ),
        }
        if same is not None:
            stored.remove(same)
            session.execute(update(alerts).where(alerts.c.id == same.id).values(values))
            continue
        identity = {
            "topic": alert.topic,
            "detector": alert.detector,
            "started_at": alert.started_at,
            "raised_at": now,
        }
        session.execute(insert(alerts).values(identity | values))
        new += 1
    gone = [row.id for row in stored if row.resolved_at is None]
    if gone:
        session.execute(update(alerts).where(alerts.c.id.in_(gone)).values(resolved_at=now))
    return new


def _overlaps(row: Row[Any], alert: Alert, now: datetime) -> bool:
    if (row.topic, row.detector) != (alert.topic, alert.detector):
        return False
    return row.started_at <= (alert.resolved_at or now) and alert.started_at <= (
        row.resolved_at or now
    )


def page_of_alerts(
    session: Session,
    *,
    topic: str | None,
    firing: bool | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[Row[Any]], str | None]:
    """A page, latest start first, and the cursor of the next one."""
    query = select(alerts)
    if topic:
        query = query.where(alerts.c.topic == topic)
    if firing is not None:
        ended = alerts.c.resolved_at
        query = query.where(ended.is_(None) if firing else ended.is_not(None))
    return newest_page(session, query, (alerts.c.started_at, alerts.c.id), limit, cursor)
