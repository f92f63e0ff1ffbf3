"""How does the monitor stand right now: is it watching, and if it is not, why?

One look for a page that asks again every few seconds: a handful of counts over a day, and the
states that the worker keeps. What is not watched never reads as calm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Row, func, or_, select
from sqlalchemy.orm import Session

from services.finance_sentiment.alert_store import latest_baseline, realised
from services.finance_sentiment.domain import LABELLED, PENDING, hour_of, moment_of
from services.finance_sentiment.figures import feeds_by_state
from services.finance_sentiment.health import judge_news
from services.finance_sentiment.life import INACTIVE, NO_DATA, OK
from services.finance_sentiment.series import company_series
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.store import waiting_before
from services.finance_sentiment.tables import alerts, stories, watch_hours, watch_states
from services.finance_sentiment.tick_log import all_ticks
from services.finance_sentiment.watch_store import feed_states

# empty: no feed and no story · no_worker: nobody reads and judges · learning: nothing is promised
State = Literal["empty", "no_worker", "no_data", "degraded", "learning", "watching"]
# A worker that says nothing for so long, or for so many of its ticks, does not run.
_SILENT_SECONDS: Final = 300.0
_SILENT_TICKS: Final = 3.0
_MOST_SERIES: Final = 100
_MOST_NAMED: Final = 5
_OPEN: Final = (alerts.c.resolved_at.is_(None), alerts.c.is_test.is_(False))


@dataclass(frozen=True)
class Patience:
    """What the settings say of how long is too long, and how many are too many."""

    ticks: dict[str, float]
    unread: int
    degraded_share: float

    @classmethod
    def of(cls, settings: Settings) -> Patience:
        """Those of these settings."""
        ticks = {
            "fetch": settings.fetch_tick,
            "label": settings.label_tick,
            "evaluate": settings.evaluate_tick,
        }
        return cls(ticks, settings.label_batch, settings.degraded_share)


def overview(session: Session, now: datetime, patience: Patience) -> dict[str, Any]:
    """The figures of overview_api.Overview, less what the live model says of itself."""
    baseline = latest_baseline(session)
    day = _of_the_day(session, now)
    feeds = feeds_by_state(session, now)
    state, reason = _state(session, now, patience, known=baseline is not None, feeds=feeds)
    came = realised(session, now)
    return {
        "now": now,
        "state": state,
        "reason": reason,
        "open_alerts": _open_alerts(session),
        "firing": _firing(session),
        **day,
        "waiting": waiting_before(session, hour_of(now) + 1),
        "feeds": feeds,
        "promised_per_week": baseline.false_alarms_per_week if baseline else None,
        "learned_until": moment_of(baseline.from_hour) if baseline else None,
        "alerts_per_week": came["alerts_per_week"],
        "weeks_watched": came["weeks"],
        "marked_false": came["false"],
        "marked_true": came["true"],
        "series": _series(session),
    }


def _state(
    session: Session, now: datetime, patience: Patience, *, known: bool, feeds: dict[str, int]
) -> tuple[State, str]:
    """The worst that can be said, and why."""
    any_feed = any(count for state, count in feeds.items() if state != "off")
    if not any_feed and session.execute(select(stories.c.id).limit(1)).first() is None:
        return "empty", ""
    if silent := _silent_worker(session, now, patience):
        return "no_worker", silent
    unread = max(0, waiting_before(session, hour_of(now)) - patience.unread)
    news, reason = judge_news(feed_states(session, now), unread, patience.degraded_share)
    if news == OK:
        # Of this hour something was missing before.
        here = select(watch_hours.c.news, watch_hours.c.reason)
        kept = session.execute(here.where(watch_hours.c.hour == hour_of(now))).first()
        news, reason = (kept.news, kept.reason) if kept else (OK, "")
    if news != OK:
        return ("no_data" if news == NO_DATA else "degraded"), reason
    return ("watching", "") if known else ("learning", _learned_so_far(session))


def _silent_worker(session: Session, now: datetime, patience: Patience) -> str:
    """Which of the worker's ticks has not succeeded for too long; "" where all did."""
    done = {row.name: row.succeeded_at for row in all_ticks(session)}
    for name, every in patience.ticks.items():
        last = done.get(name)
        allowed = timedelta(seconds=max(_SILENT_SECONDS, _SILENT_TICKS * every))
        if last is None:
            return f"{name}: never"
        if now - last > allowed:
            return f"{name}: {last.isoformat()}"
    return ""


def _learned_so_far(session: Session) -> str:
    """Labelled stories, and the hours from the first to the last, as "stories/hours"."""
    hour = stories.c.published_hour
    query = select(func.count(), func.min(hour), func.max(hour)).where(stories.c.state == LABELLED)
    count, first, last = session.execute(query).one()
    return f"{count}/{0 if first is None else last - first + 1}"


def _of_the_day(session: Session, now: datetime) -> dict[str, Any]:
    """Stories of the last 24 hours by what became of them, and when the last one came in."""
    within = (stories.c.published_at >= now - timedelta(days=1)) & (stories.c.published_at <= now)
    query = select(stories.c.state, stories.c.sentiment, func.count()).where(within)
    found = list(session.execute(query.group_by(stories.c.state, stories.c.sentiment)))
    labelled = [row for row in found if row[0] == LABELLED and row[1] is not None]
    newest = select(stories.c.fetched_at).order_by(stories.c.id.desc()).limit(1)
    return {
        "stories_day": sum(int(row[2]) for row in labelled),
        "negative_day": sum(int(row[2]) for row in labelled if row[1] == "negative"),
        "unlabelled_day": sum(int(row[2]) for row in found if row[0] not in (LABELLED, PENDING)),
        "last_story_at": session.execute(newest).scalar_one_or_none(),
    }


def _open_alerts(session: Session) -> int:
    return int(session.execute(select(func.count()).where(*_OPEN)).scalar_one())


def _firing(session: Session) -> list[Row[Any]]:
    """The latest open alerts, drills apart."""
    query = select(alerts.c.id, alerts.c.topic).where(*_OPEN)
    latest = query.order_by(alerts.c.started_at.desc(), alerts.c.id.desc())
    return list(session.execute(latest.limit(_MOST_NAMED)))


def _series(session: Session) -> list[Row[Any]]:
    """Where the topics stand, and those companies where something goes on."""
    quiet = (watch_states.c.phase == INACTIVE) & (watch_states.c.news == OK)
    company = watch_states.c.topic.startswith(company_series(""), autoescape=True)
    query = select(watch_states).where(or_(~company, ~quiet))
    return list(session.execute(query.order_by(watch_states.c.topic).limit(_MOST_SERIES)))
