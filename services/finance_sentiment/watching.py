"""How does one evaluation go, from counted hours to kept alerts?

Read what was learned and what came in, walk on (alerts.py, rules.py), keep what was found. All that
decides is pure; this file opens the sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from services.finance_sentiment.alert_store import (
    latest_baseline,
    said_false,
    save_alerts,
    save_baseline,
)
from services.finance_sentiment.alerts import Advance, Terms, advance
from services.finance_sentiment.baseline import HISTORY_HOURS
from services.finance_sentiment.domain import hour_of, moment_of
from services.finance_sentiment.health import judge_news
from services.finance_sentiment.life import AT_ONCE, OK, Policy
from services.finance_sentiment.rules import Rule, apply_rules
from services.finance_sentiment.store import hourly_counts, waiting_before
from services.finance_sentiment.watch_store import (
    feed_states,
    news_of_hours,
    save_hour,
    save_states,
)


@dataclass(frozen=True)
class Watch:
    """What is watched for. `unread_allowed`: stories that may wait for a label before an hour is
    judged."""

    false_alarms_per_week: float
    unread_allowed: int
    rules: Sequence[Rule] = ()
    policy: Policy = AT_ONCE
    settle_hours: int = 0
    degraded_share: float = 0.25


def evaluate(sessions: sessionmaker[Session], watch: Watch, now: datetime) -> int:
    """Bring the alerts up to the last hour that is over; how many are new. Nothing is judged while
    more than `unread_allowed` earlier stories wait for a label: half-read hours would look calm,
    and would be learned as normal. That is kept as a degraded hour."""
    until = hour_of(now)
    with sessions.begin() as session:
        waiting = waiting_before(session, until)
        unread = max(0, waiting - watch.unread_allowed)
        news, reason = judge_news(feed_states(session, now), unread, watch.degraded_share)
        if news != OK:
            save_hour(session, until, news, reason)
    if unread:
        return 0
    with sessions() as session:
        known = latest_baseline(session)
        if known and known.false_alarms_per_week != watch.false_alarms_per_week:
            # Another promise: everything is walked through again under it.
            known = None
        # Everything there is for a first look back, else what the next fit could need.
        first = 0 if known is None else known.from_hour - HISTORY_HOURS
        counts = hourly_counts(session, first, until)
        terms = Terms(
            watch.false_alarms_per_week,
            settle_hours=watch.settle_hours,
            policy=watch.policy,
            news=news_of_hours(session, counts.first_hour, until),
            marks_of=said_false(session).between,
        )
    # Learning takes seconds: outside of any transaction.
    walked = advance(known, counts, until, terms)
    found = [*walked.alerts, *apply_rules(watch.rules, counts, terms.news)]
    since = moment_of(counts.first_hour if known is None else known.from_hour)
    with sessions.begin() as session:
        if walked.baseline is not None and walked.baseline != known:
            save_baseline(session, walked.baseline, now)
        save_states(session, _states(walked), now)
        return save_alerts(session, found, known_since=since, now=now, baseline=walked.baseline)


def _states(walked: Advance) -> list[tuple[str, str, str, float]]:
    """(topic, phase, news, nearness) of each topic."""
    if walked.baseline is None:
        return []
    thresholds = walked.baseline.promise.thresholds
    found: list[tuple[str, str, str, float]] = []
    for topic, standing in walked.standing.items():
        nearness = max(
            min(gauge.statistic / threshold, 1.0) if gauge.started is None else 1.0
            for gauge, threshold in zip(standing.watch.gauges, thresholds, strict=True)
        )
        found.append((topic, standing.life.phase, standing.life.news, nearness))
    return found
