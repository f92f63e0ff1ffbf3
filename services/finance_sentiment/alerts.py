"""Which alerts do the counts of a stretch of time hold?

Time is walked through as it was lived: what is normal is fitted on the hours before, used on the
hours after, and fitted again when there is half a week, a week, and from then on another week more
to learn from. The worker takes one step of this walk at each tick, a backtest the whole of it; they
call the same `advance` and find the same alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from services.finance_sentiment.baseline import HISTORY_HOURS, Normal, fit, threshold_for
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts
from services.finance_sentiment.domain import moment_of
from services.finance_sentiment.surge import CALM, DETECTOR, Surge, WatchState, follow

# Before the first fit: so much time and so many stories, over all topics.
LEARNING_HOURS = 72
LEARNING_STORIES = 100


@dataclass(frozen=True)
class Alert:
    """A topic that turned bad. `onset_at` is where the evidence began to gather, `started_at` when
    it was enough; `resolved_at` is None while it lasts."""

    topic: str
    detector: str
    onset_at: datetime
    started_at: datetime
    resolved_at: datetime | None
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Baseline:
    """What counts as normal from hour `from_hour` on, fitted on `learned_hours` hours before, and
    where each topic stood at that moment."""

    from_hour: int
    learned_hours: int
    false_alarms_per_week: float
    threshold: float
    normal: Normal
    states: Mapping[str, WatchState] = field(default_factory=dict)

    @property
    def next_fit(self) -> int:
        """The hour at which there is enough more to learn from."""
        return self.from_hour + min(self.learned_hours, HOURS_A_WEEK)

    def to_json(self) -> dict[str, Any]:
        """Fit for the database and for `from_json`."""
        return {
            "from_hour": self.from_hour,
            "learned_hours": self.learned_hours,
            "false_alarms_per_week": self.false_alarms_per_week,
            "threshold": self.threshold,
            "normal": self.normal.to_json(),
            "states": {topic: asdict(state) for topic, state in self.states.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Baseline:
        """What `to_json` gave."""
        states = {topic: WatchState(**said) for topic, said in document["states"].items()}
        rest = {k: document[k] for k in ("from_hour", "learned_hours", "false_alarms_per_week")}
        normal = Normal.from_json(document["normal"])
        return cls(**rest, threshold=document["threshold"], normal=normal, states=states)


@dataclass(frozen=True)
class Advance:
    """Where a walk ended: the baseline in force (None while still learning) and all alerts that
    were open at some time since the walk's first baseline."""

    baseline: Baseline | None
    alerts: tuple[Alert, ...]


def advance(
    baseline: Baseline | None,
    counts: HourlyCounts,
    until: int,
    *,
    false_alarms_per_week: float,
    settle_hours: int = 0,
    seed: int = 0,
) -> Advance:
    """Walk on from `baseline` (None: from the first hour) to hour `until` (exclusive).

    A new baseline is fitted only once `settle_hours` have passed since its hour: a story that comes
    in that late still counts.
    """
    found: dict[tuple[str, int], Alert] = {}
    while True:
        due = _first_fit(counts, until) if baseline is None else baseline.next_fit
        ripe = due is not None and due + settle_hours <= until
        end = due if ripe and due is not None else until
        states: Mapping[str, WatchState] = {}
        if baseline is not None:
            states, alerts = _watch(baseline, counts, end)
            found.update({(alert.topic, hour): alert for alert, hour in alerts})
        if not ripe:
            break
        baseline = _fitted(counts, end, states, false_alarms_per_week, seed)
    return Advance(baseline, tuple(sorted(found.values(), key=lambda a: (a.started_at, a.topic))))


def _first_fit(counts: HourlyCounts, until: int) -> int | None:
    """The hour after which there is enough to learn from, None where that has not come."""
    busy = np.flatnonzero(counts.between(counts.first_hour, until).stories.any(axis=0))
    if len(busy) == 0:
        return None
    start = counts.first_hour + int(busy[0])
    summed = np.cumsum(counts.between(start, until).stories.sum(axis=0))
    enough = int(np.searchsorted(summed, LEARNING_STORIES)) + 1
    hour = start + max(enough, LEARNING_HOURS)
    return hour if enough <= len(summed) and hour <= until else None


def _fitted(
    counts: HourlyCounts,
    hour: int,
    states: Mapping[str, WatchState],
    false_alarms_per_week: float,
    seed: int,
) -> Baseline:
    history = counts.between(hour - HISTORY_HOURS, hour)
    learned = hour - history.first_hour
    rng = np.random.default_rng([seed, hour])
    normal = fit(history, rng)
    threshold = threshold_for(normal, history, false_alarms_per_week, rng)
    return Baseline(hour, learned, false_alarms_per_week, threshold, normal, states)


def _watch(
    baseline: Baseline, counts: HourlyCounts, end: int
) -> tuple[dict[str, WatchState], list[tuple[Alert, int]]]:
    """Each topic's state at `end`, and its alerts with the hour each started in."""
    part = counts.between(baseline.from_hour, end)
    states, alerts = dict(baseline.states), []
    for row, topic in enumerate(part.topics):
        stories, negative = part.stories[row], part.negative[row]
        table = baseline.normal.table(topic, int(stories.max(initial=0)))
        before = baseline.states.get(topic, CALM)
        states[topic], surges = follow(
            before, part.first_hour, stories, negative, table, baseline.threshold
        )
        alerts += [(_alert(topic, s, baseline, counts, end), s.started) for s in surges]
    return states, alerts


def _alert(topic: str, surge: Surge, baseline: Baseline, counts: HourlyCounts, end: int) -> Alert:
    last = end if surge.resolved is None else surge.resolved + 1
    stories, negative = counts.total(topic, surge.onset, last)
    until_start, negative_until_start = counts.total(topic, surge.onset, surge.started + 1)
    return Alert(
        topic=topic,
        detector=DETECTOR,
        onset_at=moment_of(surge.onset),
        # An hour is known when it is over.
        started_at=moment_of(surge.started + 1),
        resolved_at=None if surge.resolved is None else moment_of(surge.resolved + 1),
        evidence={
            "since": moment_of(surge.onset).isoformat(),
            "stories": stories,
            "negative": negative,
            "stories_at_start": until_start,
            "negative_at_start": negative_until_start,
            "baseline_share": round(baseline.normal.of(topic).share, 4),
            "statistic": round(surge.statistic, 3),
            "threshold": round(surge.threshold, 3),
        },
    )
