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
    said_false,
    save_alerts,
    save_baseline,
)
from services.finance_sentiment.alerts import Advance, Terms, advance
from services.finance_sentiment.baseline import LEAST_STORIES
from services.finance_sentiment.company_store import company_rows, unlinked
from services.finance_sentiment.counts import HourlyCounts
from services.finance_sentiment.domain import hour_of, moment_of
from services.finance_sentiment.health import judge_news
from services.finance_sentiment.life import AT_ONCE, DEGRADED, OK, Policy
from services.finance_sentiment.one_model import comparable
from services.finance_sentiment.rules import Rule, apply_rules
from services.finance_sentiment.series import company_of
from services.finance_sentiment.store import hourly_counts, waiting_before
from services.finance_sentiment.telling import NOBODY, Teller, note_outage
from services.finance_sentiment.watch_store import (
    feed_states,
    news_of_hours,
    save_hour,
    save_states,
)

ANOTHER_MODEL = "another model went live; the stories of before are being read by it"


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
    teller: Teller = NOBODY
    # The live model; its labels are what is compared, see one_model.py.
    version: str | None = None
    # The version of the list of companies that are watched beside the topics; "" for none.
    companies: str = ""


def evaluate(sessions: sessionmaker[Session], watch: Watch, now: datetime) -> int:
    """Bring the alerts up to the last hour that is over; how many are new. Nothing is judged while
    more than `unread_allowed` earlier stories wait for a label: half-read hours would look calm,
    and would be learned as normal. That is kept as a degraded hour."""
    until = hour_of(now)
    with sessions.begin() as session:
        if _too_many_unread(session, watch, until, now) or _being_linked(session, watch):
            return 0
    with sessions() as session:
        rests_on = comparable(session, watch.version, watch.false_alarms_per_week, until, now)
        known = rests_on.known
        # Everything there is for a first look back, else what the next fit could need.
        counts = _counted(session, watch, rests_on.first_hour, until)
        terms = Terms(
            watch.false_alarms_per_week,
            settle_hours=watch.settle_hours,
            policy=watch.policy,
            news=news_of_hours(session, counts.first_hour, until),
            marks_of=said_false(session).between,
        )
    # Learning takes seconds: outside of any transaction.
    walked = advance(known, counts, until, terms)
    if rests_on.anew and walked.baseline is None:
        return _wait(sessions, until)
    found = [*walked.alerts, *apply_rules(watch.rules, counts, terms.news)]
    since = moment_of(counts.first_hour if known is None else known.from_hour)
    quiet = rests_on.quiet_before
    with sessions.begin() as session:
        learned = walked.baseline
        if learned is not None and learned != known:
            save_baseline(session, learned, now, watch.version, quiet)
        save_states(session, _states(walked), now)
        new = save_alerts(
            session, found, known_since=since, now=now, baseline=learned, quiet_before=quiet
        )
        watch.teller.tell(session, now)
        return new


def _wait(sessions: sessionmaker[Session], until: int) -> int:
    """Nothing is judged before there is enough that the live model labelled."""
    with sessions.begin() as session:
        save_hour(session, until, DEGRADED, ANOTHER_MODEL)
    return 0


def _too_many_unread(session: Session, watch: Watch, until: int, now: datetime) -> bool:
    """Keep whether the news are whole, tell of it, and say whether too many wait for a label."""
    unread = max(0, waiting_before(session, until) - watch.unread_allowed)
    news, reason = judge_news(feed_states(session, now), unread, watch.degraded_share)
    if news != OK:
        save_hour(session, until, news, reason)
    note_outage(session, news, reason, now)
    watch.teller.tell(session, now)
    return unread > 0


def _being_linked(session: Session, watch: Watch) -> bool:
    """Whether stories of before are still being linked to the list: their companies' hours would
    look calm."""
    if not watch.companies:
        return False
    left = unlinked(session, watch.companies, watch.unread_allowed + 1)
    return len(left) > watch.unread_allowed


def _counted(session: Session, watch: Watch, first_hour: int, until: int) -> HourlyCounts:
    """Topics, and companies with news enough beside them."""
    counts = hourly_counts(session, first_hour, until)
    if not watch.companies:
        return counts
    rows = company_rows(
        session,
        counts.first_hour,
        until,
        least=LEAST_STORIES,
        topics=len(counts.topics),
        always={name for rule in watch.rules if (name := company_of(rule.topic))},
    )
    return counts.and_rows(rows)


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
