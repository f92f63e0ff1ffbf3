"""Would an alert reach us? A surge that is made up, from counted hours to a kept alert.

The hours before now are played once more for one topic, as many stories as it always has, with the
share of negative ones that is asked for: drawn, weighed, walked through and explained by what the
worker uses itself, with the thresholds in force. What comes of it is kept as an alert marked TEST,
and ends by itself. No story is stored: trends, baselines and counts of alerts know nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session, sessionmaker

from core.errors import InvalidInput, NotReady
from services.finance_sentiment.alert_store import latest_baseline
from services.finance_sentiment.alerts import Alert, Baseline, Terms, advance
from services.finance_sentiment.changes import note
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.explain import Told, explain
from services.finance_sentiment.explaining import ground_of
from services.finance_sentiment.life import AT_ONCE, Policy
from services.finance_sentiment.tables import alerts
from services.finance_sentiment.telling import NOBODY, Teller

TEST = "TEST"
MAX_HOURS = 48


@dataclass(frozen=True)
class Drilled:
    """What the surge came to; `alert_id` and `delay_hours` are None where none was raised."""

    topic: str
    hours: int
    stories: int
    negative: int
    alert_id: int | None
    delay_hours: float | None


def drill(
    sessions: sessionmaker[Session],
    *,
    topic: str = "",
    negative_share: float = 0.6,
    hours: int = 12,
    policy: Policy = AT_ONCE,
    now: datetime,
    rng: np.random.Generator,
    teller: Teller = NOBODY,
) -> Drilled:
    """Play a surge that ends now, keep its alert and have it told. `topic` "" is the one with most
    stories. NotReady before anything was learned, InvalidInput for a topic that is not known."""
    with sessions() as session:
        baseline = latest_baseline(session)
    if baseline is None:
        raise NotReady(
            "nothing was learned yet, so nothing can be watched",
            mend="Import past stories, or let the worker gather three days of them.",
        )
    chosen = topic or _busiest(baseline)
    if not baseline.normal.knows(chosen):
        known = ", ".join(sorted(baseline.normal.topics)[:20])
        raise InvalidInput(f"there is no topic {chosen!r:.100}", mend=f"Known are: {known}.")
    counts = played(baseline, chosen, negative_share, hours, hour_of(now), rng)
    found = surge_of(baseline, counts, policy)
    alert_id = None
    if found is not None:
        with sessions.begin() as session:
            alert_id = _keep(session, found, baseline, counts, now)
            teller.tell(session, now)
    delay = None
    if found is not None:
        delay = (found.started_at - found.onset_at) / timedelta(hours=1)
    return Drilled(
        chosen, hours, int(counts.stories.sum()), int(counts.negative.sum()), alert_id, delay
    )


def _busiest(baseline: Baseline) -> str:
    return max(baseline.normal.topics.items(), key=lambda said: said[1].stories)[0]


def played(
    baseline: Baseline, topic: str, share: float, hours: int, end: int, rng: np.random.Generator
) -> HourlyCounts:
    """Counts of the hours before `end`: stories as always, negative ones by `share`."""
    if not 1 <= hours <= MAX_HOURS or not 0 <= share <= 1:
        raise InvalidInput(f"expected 1 to {MAX_HOURS} hours and a share from 0 to 1")
    expected = baseline.normal.expected(topic).stories
    first = end - hours
    stories = rng.poisson(expected[(first + np.arange(hours)) % HOURS_A_WEEK])
    negative = rng.binomial(stories, share)
    return HourlyCounts(first, (topic,), stories[None].astype(np.int64), negative[None])


def surge_of(baseline: Baseline, counts: HourlyCounts, policy: Policy) -> Alert | None:
    """The first alert of these hours, watched from rest with the thresholds in force."""
    rested = replace(baseline, from_hour=counts.first_hour, learned_hours=HOURS_A_WEEK, states={})
    terms = Terms(baseline.false_alarms_per_week, policy=policy)
    return next(iter(advance(rested, counts, counts.end_hour, terms).alerts), None)


def told(counts: HourlyCounts) -> Sequence[Told]:
    """The made-up stories, with ids that no story has."""
    [stories], [negative] = counts.stories.tolist(), counts.negative.tolist()
    return [
        Told(
            id=-(1 + sum(stories[:at]) + number),
            title=f"{TEST}: made-up story {1 + sum(stories[:at]) + number}",
            hour=counts.first_hour + at,
            negative=number < negative[at],
            p_negative=None,
            sources=(f"{TEST} feed {number % 3 + 1}",),
            model_version=TEST,
        )
        for at in range(len(stories))
        for number in range(stories[at])
    ]


def _keep(
    session: Session, alert: Alert, baseline: Baseline, counts: HourlyCounts, now: datetime
) -> int:
    rested = replace(baseline, from_hour=counts.first_hour, states={})
    values: dict[str, Any] = {
        "topic": alert.topic,
        "detector": alert.detector,
        "onset_at": alert.onset_at,
        # To the moment: two drills in one hour are two alerts.
        "started_at": now,
        "resolved_at": None,
        "raised_at": now,
        "evidence": {**alert.evidence, "test": TEST},
        "story_ids": [],
        "is_test": True,
        "explanation": explain(ground_of(alert, rested), told(counts)),
    }
    adding = insert(alerts).values(values).returning(alerts.c.id)
    raised = int(session.execute(adding).scalar_one())
    note(session, "alert", [(raised, "raised")], now)
    return raised
