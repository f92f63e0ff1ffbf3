"""Which alerts do the counts of a stretch of time hold?

Time is walked through as it was lived: what is normal is learned on the hours before, used on the
hours after, and learned again when there is half a week, a week, and from then on another week more
to learn from. The worker takes one step of this walk at each tick, a backtest the whole of it; they
call the same `advance` and find the same alerts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from services.finance_sentiment.baseline import HISTORY_HOURS, Normal, learnable
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts, IntArray
from services.finance_sentiment.domain import hour_of, moment_of
from services.finance_sentiment.evidence import COUNT, DETECTORS
from services.finance_sentiment.life import AT_ONCE, BORN, NO_DATA, OK, Life, News, Policy, step
from services.finance_sentiment.promise import Marks, Promise, learn
from services.finance_sentiment.series import company_of
from services.finance_sentiment.surge import (
    AT_REST,
    BoolArray,
    Rise,
    Thresholds,
    WatchState,
    follow,
    rescaled,
)

# Before the first fit: so much time and so many stories, over all topics.
LEARNING_HOURS = 72
LEARNING_STORIES = 100
# Silence for as many stories as e^7 : 1 speaks against, beyond the longest one known, is no chance.
_SILENCE = math.log(1000)


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
class Standing:
    """Where a topic stands: its detectors, its alert's life, what raised the alert that is open,
    and how many stories should have come since the last one did."""

    watch: WatchState = AT_REST
    life: Life = BORN
    cause: Rise | None = None
    silent: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Fit for `from_json`."""
        return {
            "watch": self.watch.to_json(),
            "life": asdict(self.life),
            "cause": None if self.cause is None else asdict(self.cause),
            "silent": self.silent,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Standing:
        """What `to_json` gave."""
        cause = document["cause"]
        return cls(
            WatchState.from_json(document["watch"]),
            Life(**document["life"]),
            None if cause is None else Rise(**cause),
            document["silent"],
        )


NEW = Standing()


@dataclass(frozen=True)
class Baseline:
    """What counts as normal from hour `from_hour` on, learned on `learned_hours` hours before, and
    where each topic stood at that moment."""

    from_hour: int
    learned_hours: int
    promise: Promise
    normal: Normal
    states: Mapping[str, Standing] = field(default_factory=dict)

    @property
    def next_fit(self) -> int:
        """The hour at which there is enough more to learn from."""
        return self.from_hour + min(self.learned_hours, HOURS_A_WEEK)

    @property
    def false_alarms_per_week(self) -> float:
        """What was promised."""
        return self.promise.false_alarms_per_week

    @property
    def threshold(self) -> float:
        """Of the share's CUSUM, in nats."""
        return self.promise.thresholds[0]

    def to_json(self) -> dict[str, Any]:
        """Fit for the database and for `from_json`."""
        return {
            "from_hour": self.from_hour,
            "learned_hours": self.learned_hours,
            "promise": self.promise.to_json(),
            "normal": self.normal.to_json(),
            "states": {topic: state.to_json() for topic, state in self.states.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Baseline:
        """What `to_json` gave."""
        states = {topic: Standing.from_json(said) for topic, said in document["states"].items()}
        promise = Promise.from_json(document["promise"])
        normal = Normal.from_json(document["normal"])
        return cls(document["from_hour"], document["learned_hours"], promise, normal, states)


@dataclass(frozen=True)
class Advance:
    """Where a walk ended: the baseline in force (None while still learning), where each topic
    stands now, and all alerts that were open at some time since the walk's first baseline."""

    baseline: Baseline | None
    alerts: tuple[Alert, ...]
    standing: Mapping[str, Standing] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """What a walk is made under. `settle_hours`: a new baseline waits so long for late stories.
    `news`: the hours in which feeds or labels were missing. `marks_of`: what people said of alerts
    from one hour to another. `times`: watch as if for so many times the budget, with the thresholds
    that were solved for it."""

    false_alarms_per_week: float
    settle_hours: int = 0
    seed: int = 0
    policy: Policy = AT_ONCE
    news: Mapping[int, News] = field(default_factory=dict)
    marks_of: Callable[[int, int], Marks] | None = None
    times: str = "1"
    # What was learned, by hour: a second walk over the same hours need not learn it again.
    learned: dict[int, tuple[Normal, Promise]] = field(default_factory=dict)

    def thresholds(self, baseline: Baseline) -> Thresholds:
        """In force under this baseline."""
        return baseline.promise.others.get(self.times, baseline.promise.thresholds)


def advance(baseline: Baseline | None, counts: HourlyCounts, until: int, terms: Terms) -> Advance:
    """Walk on from `baseline` (None: from the first hour) to hour `until` (exclusive)."""
    found: dict[tuple[str, datetime], Alert] = {}
    while True:
        due = _first_fit(counts, until) if baseline is None else baseline.next_fit
        ripe = due is not None and due + terms.settle_hours <= until
        end = due if ripe and due is not None else until
        states: Mapping[str, Standing] = {}
        if baseline is not None:
            states, alerts = _watch(baseline, counts, end, terms)
            found.update({(alert.topic, alert.started_at): alert for alert in alerts})
        if not ripe:
            break
        baseline = _learned(counts, end, states, terms, baseline)
    ordered = sorted(found.values(), key=lambda a: (a.started_at, a.topic))
    return Advance(baseline, tuple(ordered), states)


def _first_fit(counts: HourlyCounts, until: int) -> int | None:
    """The hour after which there is enough to learn from, None where that has not come."""
    # A story of a company is one of a topic too.
    counts = counts.only(lambda series: company_of(series) is None)
    busy = np.flatnonzero(counts.between(counts.first_hour, until).stories.any(axis=0))
    if len(busy) == 0:
        return None
    start = counts.first_hour + int(busy[0])
    summed = np.cumsum(counts.between(start, until).stories.sum(axis=0))
    enough = int(np.searchsorted(summed, LEARNING_STORIES)) + 1
    hour = start + max(enough, LEARNING_HOURS)
    return hour if enough <= len(summed) and hour <= until else None


def _learned(
    counts: HourlyCounts,
    hour: int,
    states: Mapping[str, Standing],
    terms: Terms,
    before: Baseline | None,
) -> Baseline:
    history = learnable(counts.between(hour - HISTORY_HOURS, hour))
    learned = hour - history.first_hour
    if hour not in terms.learned:
        rng = np.random.default_rng([terms.seed, hour])
        marks = terms.marks_of(history.first_hour, hour) if terms.marks_of else None
        terms.learned[hour] = learn(history, terms.false_alarms_per_week, rng, marks=marks)
    normal, promise = terms.learned[hour]
    now = Baseline(hour, learned, promise, normal)
    if before is not None:
        old, new = terms.thresholds(before), terms.thresholds(now)
        states = {
            topic: replace(said, watch=rescaled(said.watch, old, new))
            for topic, said in states.items()
            if company_of(topic) is None or normal.knows(topic)
        }
    return replace(now, states=states)


def _watch(
    baseline: Baseline, counts: HourlyCounts, end: int, terms: Terms
) -> tuple[dict[str, Standing], list[Alert]]:
    """Where each topic stands at `end`, and its alerts."""
    part = counts.between(baseline.from_hour, end)
    states, alerts = dict(baseline.states), []
    for row, topic in enumerate(part.topics):
        if company_of(topic) is not None and not baseline.normal.knows(topic):
            continue
        before = baseline.states.get(topic, NEW)
        news, silent = _news(baseline.normal, topic, part, part.stories[row], before, terms.news)
        evidence = baseline.normal.evidence(topic, part)
        # What was not seen says nothing; what is half seen says nothing for calm.
        quiet = np.array([said == NO_DATA for said in news], dtype=np.bool_)
        half = np.array([said != OK for said in news], dtype=np.bool_)
        evidence[COUNT] = np.where(half, np.maximum(evidence[COUNT], 0.0), evidence[COUNT])
        evidence[:, quiet] = 0.0
        watch, rises, up = follow(
            before.watch, part.first_hour, evidence, terms.thresholds(baseline)
        )
        life, cause, lived = _live(before, part.first_hour, up, news, rises, terms.policy)
        states[topic] = Standing(watch, life, cause, silent)
        alerts += [_alert(topic, *said, baseline, counts, end) for said in lived]
    return states, alerts


def _news(
    normal: Normal,
    topic: str,
    part: HourlyCounts,
    stories: IntArray,
    before: Standing,
    known: Mapping[int, News],
) -> tuple[list[News], float]:
    """The state of the news after each hour, and the silence that the last one ends in."""
    expected = normal.expected(topic).stories
    limit = normal.of(topic).silence + _SILENCE
    silent, found = before.silent, []
    for hour, count in enumerate(stories.tolist(), start=part.first_hour):
        silent = 0.0 if count else silent + float(expected[hour % HOURS_A_WEEK])
        found.append(NO_DATA if silent > limit else known.get(hour, OK))
    return found, silent


def _live(
    before: Standing,
    first_hour: int,
    up: BoolArray,
    news: list[News],
    rises: list[Rise],
    policy: Policy,
) -> tuple[Life, Rise | None, list[tuple[Rise, Life]]]:
    """The life at the end, what raised its alert, and each alert that was open: what raised it and
    the life it had when it ended, or has now."""
    life, cause, lived = before.life, before.cause, []
    for hour, (condition, state) in enumerate(zip(up.tolist(), news, strict=True), first_hour):
        life, happened = step(life, hour, condition, state, policy)
        if happened == "fired":
            cause = _raised_by(rises, hour) or cause
        elif happened == "resolved" and cause is not None:
            lived.append((cause, life))
    if life.phase == "firing" and cause is not None:
        lived.append((cause, life))
    return life, cause if life.phase == "firing" else None, lived


def _raised_by(rises: list[Rise], hour: int) -> Rise | None:
    """The first detector that is up in that hour."""
    return next(
        (r for r in rises if r.started <= hour and (r.resolved is None or hour < r.resolved)), None
    )


def _alert(
    topic: str, cause: Rise, life: Life, baseline: Baseline, counts: HourlyCounts, end: int
) -> Alert:
    assert life.fired is not None
    last = end if life.resolved is None else life.resolved + 1
    stories, negative = counts.total(topic, cause.onset, last)
    until_start, negative_until_start = counts.total(topic, cause.onset, life.fired + 1)
    return Alert(
        topic=topic,
        detector=DETECTORS[cause.detector],
        onset_at=moment_of(cause.onset),
        # An hour is known when it is over.
        started_at=moment_of(life.fired + 1),
        resolved_at=None if life.resolved is None else moment_of(life.resolved + 1),
        evidence={
            "since": moment_of(cause.onset).isoformat(),
            "stories": stories,
            "negative": negative,
            "stories_at_start": until_start,
            "negative_at_start": negative_until_start,
            "baseline_share": round(baseline.normal.of(topic).share, 4),
            "statistic": round(cause.statistic, 3),
            "threshold": round(cause.threshold, 3),
            "news": life.news,
        },
    )


def hours_of(alert: Alert) -> tuple[int, int]:
    """(onset, the hour that raised it), in hours since 1970."""
    return hour_of(alert.onset_at), hour_of(alert.started_at) - 1
