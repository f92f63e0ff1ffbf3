"""How are alerts and the baselines they rest on kept, and what people said of them?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.db.statements import rows_changed
from services.finance_sentiment.alerts import Alert, Baseline
from services.finance_sentiment.changes import Change, note
from services.finance_sentiment.counts import HOURS_A_WEEK
from services.finance_sentiment.domain import hour_of, moment_of
from services.finance_sentiment.evidence import DETECTORS
from services.finance_sentiment.explaining import explained
from services.finance_sentiment.paging import newest_page
from services.finance_sentiment.promise import Marks
from services.finance_sentiment.store import negative_story_ids
from services.finance_sentiment.tables import alerts, baselines

MAX_STORY_IDS = 50
_OF_THE_START = (
    "since", "stories_at_start", "negative_at_start", "baseline_share", "statistic", "threshold",
)  # fmt: skip
# Long enough to be told of and looked at.
DRILL_LASTS = timedelta(minutes=10)


def latest_baseline(session: Session) -> Baseline | None:
    """What counts as normal now, None before anything was learned."""
    query = select(baselines.c.document).order_by(baselines.c.id.desc()).limit(1)
    document = session.execute(query).scalar_one_or_none()
    return None if document is None else Baseline.from_json(document)


def save_baseline(
    session: Session,
    baseline: Baseline,
    now: datetime,
    model_version: str | None = None,
    quiet_before: datetime | None = None,
) -> None:
    """Keep a new one beside the older ones: they explain the alerts of their time. The rest: see
    one_model.py."""
    session.execute(
        insert(baselines).values(
            from_hour=baseline.from_hour,
            created_at=now,
            document=baseline.to_json(),
            model_version=model_version,
            quiet_before=quiet_before,
        )
    )


def forget_baselines(session: Session) -> None:
    """History came in: what is normal is learned anew, from its start."""
    session.execute(delete(baselines))


def save_alerts(
    session: Session,
    found: Iterable[Alert],
    *,
    known_since: datetime,
    now: datetime,
    baseline: Baseline | None = None,
    quiet_before: datetime | None = None,
) -> int:
    """Bring the stored alerts since `known_since` in line with what the counts say; how many are
    new. A late story may move an alert's start by an hour: it stays the same alert, with the start
    that was told first. One that the counts no longer bear out is resolved, never erased. A new
    one of the detectors is explained by the `baseline` in force, and none is made of what was over
    by `quiet_before`."""
    changed: list[tuple[int, Change]] = [(i, "resolved") for i in _end_drills(session, now)]
    since = or_(alerts.c.resolved_at.is_(None), alerts.c.resolved_at >= known_since)
    stored = list(session.execute(select(alerts).where(alerts.c.is_test.is_(False), since)))
    new = 0
    for alert in found:
        same = next((row for row in stored if _overlaps(row, alert, now)), None)
        if same is not None:
            stored.remove(same)
            values = _values(session, alert, now, same.evidence)
            if same.resolved_at is None or same.resolved_at != alert.resolved_at:
                session.execute(update(alerts).where(alerts.c.id == same.id).values(values))
            if (same.resolved_at is None) != (alert.resolved_at is None):
                changed.append((same.id, "resolved" if alert.resolved_at else "reopened"))
            continue
        if quiet_before and alert.resolved_at and alert.resolved_at <= quiet_before:
            continue
        values = _values(session, alert, now)
        identity = {
            "topic": alert.topic,
            "detector": alert.detector,
            "onset_at": alert.onset_at,
            "started_at": alert.started_at,
            "raised_at": now,
            "explanation": explained(session, alert, baseline) if baseline else None,
        }
        adding = insert(alerts).values(identity | values).returning(alerts.c.id)
        raised = session.execute(adding).scalar_one()
        changed.append((raised, "raised"))
        if alert.resolved_at:
            changed.append((raised, "resolved"))
        new += 1
    gone = [row.id for row in stored if row.resolved_at is None]
    if gone:
        session.execute(update(alerts).where(alerts.c.id.in_(gone)).values(resolved_at=now))
    note(session, "alert", [*changed, *((i, "resolved") for i in gone)], now)
    return new


def _values(
    session: Session, alert: Alert, now: datetime, said: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What may change while an alert lasts. What it `said` of its start stays: labels may be put
    right later, by people or by another model."""
    kept = {name: said[name] for name in _OF_THE_START if name in said} if said else {}
    until = alert.resolved_at or now
    return {
        "resolved_at": alert.resolved_at,
        "evidence": {**alert.evidence, **kept},
        "story_ids": negative_story_ids(session, alert.topic, alert.onset_at, until, MAX_STORY_IDS),
    }


def _end_drills(session: Session, now: datetime) -> list[int]:
    open_ones = alerts.c.is_test & alerts.c.resolved_at.is_(None)
    long_ago = alerts.c.raised_at <= now - DRILL_LASTS
    ending = update(alerts).where(open_ones, long_ago).values(resolved_at=now)
    return list(session.execute(ending.returning(alerts.c.id)).scalars())


def _overlaps(row: Row[Any], alert: Alert, now: datetime) -> bool:
    # With a late story another of the detectors may have been the first.
    alike = row.detector == alert.detector or {row.detector, alert.detector} <= set(DETECTORS)
    if row.topic != alert.topic or not alike:
        return False
    return row.started_at <= (alert.resolved_at or now) and alert.started_at <= (
        row.resolved_at or now
    )


# --- what people say of them --------------------------------------------------------------------


def acknowledge(session: Session, alert_id: int, by: str, now: datetime) -> bool:
    """Somebody has seen it; whether there is such an alert. The first to say so is kept."""
    values = {"acknowledged_at": now, "acknowledged_by": by[:200]}
    first = (alerts.c.id == alert_id) & alerts.c.acknowledged_at.is_(None)
    if rows_changed(session, update(alerts).where(first).values(values)):
        note(session, "alert", [(alert_id, "acknowledged")], now)
        return True
    return alert_of(session, alert_id) is not None


def mark(session: Session, alert_id: int, false_alarm: bool | None, now: datetime) -> bool:
    """Whether it was a false alarm (None takes the mark back); whether there is such an alert.
    The next fit of what is normal goes by it."""
    marked = None if false_alarm is None else now
    values = {"false_alarm": false_alarm, "marked_at": marked}
    if not rows_changed(session, update(alerts).where(alerts.c.id == alert_id).values(values)):
        return False
    note(session, "alert", [(alert_id, "marked")], now)
    return True


def said_false(session: Session) -> SaidFalse:
    """All of the detectors' alerts that were marked as false, and since when they watch."""
    query = select(alerts).where(
        alerts.c.false_alarm.is_(True),
        alerts.c.is_test.is_(False),
        alerts.c.detector.in_(DETECTORS),
    )
    rows = tuple(
        (
            row.topic,
            hour_of(row.onset_at or row.started_at),
            hour_of(row.started_at),
            hour_of(row.resolved_at) + 1 if row.resolved_at else None,
        )
        for row in session.execute(query)
    )
    watched_from = session.execute(select(func.min(baselines.c.from_hour))).scalar_one()
    return SaidFalse(rows, watched_from)


@dataclass(frozen=True)
class SaidFalse:
    """(topic, onset, start, end or None) of alerts that were marked as false, in hours."""

    alerts: tuple[tuple[str, int, int, int | None], ...]
    watched_from: int | None

    def between(self, first_hour: int, end_hour: int) -> Marks:
        """What there is of it to learn from these hours."""
        inside = [said for said in self.alerts if first_hour <= said[2] < end_hour]
        spans = tuple((topic, onset, end or end_hour) for topic, onset, _, end in inside)
        watched = end_hour if self.watched_from is None else max(first_hour, self.watched_from)
        return Marks(len(inside), max(0, end_hour - watched) / HOURS_A_WEEK, spans)


def realised(session: Session, now: datetime) -> dict[str, float | int | None]:
    """What the promise came to: weeks watched, the detectors' alerts in them and a week, and how
    many were marked as false and as true."""
    watched_from = session.execute(select(func.min(baselines.c.from_hour))).scalar_one()
    if watched_from is None:
        return dict.fromkeys(("weeks", "alerts", "alerts_per_week", "false", "true"))
    query = select(alerts.c.false_alarm, func.count()).where(
        alerts.c.is_test.is_(False),
        alerts.c.detector.in_(DETECTORS),
        alerts.c.started_at >= moment_of(watched_from),
    )
    counted = {row[0]: int(row[1]) for row in session.execute(query.group_by(alerts.c.false_alarm))}
    weeks = max(hour_of(now) - int(watched_from), 0) / HOURS_A_WEEK
    total = sum(counted.values())
    return {
        "weeks": weeks,
        "alerts": total,
        "alerts_per_week": total / weeks if weeks else None,
        "false": counted.get(True, 0),
        "true": counted.get(False, 0),
    }


# --- out ---------------------------------------------------------------------------------------


def alert_of(session: Session, alert_id: int) -> Row[Any] | None:
    """One alert, with its explanation."""
    return session.execute(select(alerts).where(alerts.c.id == alert_id)).first()


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
