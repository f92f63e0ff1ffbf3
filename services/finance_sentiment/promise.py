"""Which thresholds keep the promise on false alarms?

One number comes from the user: the alerts a week, over all that is watched, that may come when
nothing is wrong. `learn` turns it into three thresholds, the same ones for every topic:

1. The past is cleaned: stretches that strict thresholds (a false exclusion in one history of five)
   show as surges are left out of what is normal, except where an alert was marked as false.
2. Weeks are simulated under what was fitted (simulation.py). `SPLIT` of the budget goes to each
   detector; what one surge raises twice counts once, so that all shares are then widened together
   until alerts come as often as promised.
3. The thresholds are put to the past itself: its own days in blocks, all topics together, drawn
   anew (block bootstrap). Where that gives more alerts than the simulation, and where alerts of the
   past were marked as false more often than promised, the budget that is aimed at shrinks. Both
   are weighed against `_TRUST` alerts' worth of belief in the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from services.finance_sentiment.baseline import Normal, fit
from services.finance_sentiment.counts import HOURS_A_DAY, HOURS_A_WEEK, HourlyCounts, IntArray
from services.finance_sentiment.simulation import (
    BURN_IN,
    MAX_PATHS,
    simulated_evidence,
)
from services.finance_sentiment.surge import (
    AT_REST,
    OFF,
    BoolArray,
    SingleArray,
    Thresholds,
    follow,
    rise_counts,
)

# Of the budget, to the share, the single hour and the count; see benchmarks/surges.py.
SPLIT = (0.7, 0.15, 0.15)
# The count needs to have seen each day of the week twice.
COUNT_NEEDS = 2 * HOURS_A_WEEK
_FALSE_EXCLUSIONS = 0.2
# A stretch that stays high for longer is the new normal.
_LONGEST_EXCLUDED = HOURS_A_WEEK
_GRID = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0, 30.0)
_WIDER = (0.9, 1.1, 1.35, 1.7)
# Fewer simulated alerts than this say too little of a rate; beyond, it is extrapolated.
_LEAST_EVENTS = 40
# 1 / 0.3²: realised false alarms of simulated histories that fit the model badly (whole days that
# lean one way) are off by a factor of e^±0.3.
_TRUST = 11.0
# The block bootstrap looks where the simulation gives so many times the promise: at the promise
# itself eight weeks hold too few alerts to judge by.
_LOOKED_AT = 4.0
_BLOCK_DAYS = 35
_BLOCK_PATHS = 16
OTHER_BUDGETS = (0.25, 0.5, 2.0, 4.0)


@dataclass(frozen=True)
class Promise:
    """What was promised and what is known of it. `simulated` and `bootstrap`: alerts a week at
    `thresholds` in simulated weeks and in the past's own days; `aimed_at`: the budget after
    what the bootstrap and marked false alarms said. `others`: thresholds for other budgets, as
    multiples of this one."""

    false_alarms_per_week: float
    aimed_at: float
    thresholds: Thresholds
    simulated: float
    bootstrap: float | None
    marked: int = 0
    others: Mapping[str, Thresholds] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Fit for `from_json`; an infinite threshold is null."""
        document = asdict(self)
        document["thresholds"] = _finite(self.thresholds)
        document["others"] = {k: _finite(v) for k, v in self.others.items()}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Promise:
        """What `to_json` gave."""
        others = {k: _thresholds(v) for k, v in document["others"].items()}
        thresholds = _thresholds(document["thresholds"])
        return cls(**{**document, "thresholds": thresholds, "others": others})


def _finite(thresholds: Thresholds) -> list[float | None]:
    return [None if math.isinf(value) else value for value in thresholds]


def _thresholds(said: Sequence[float | None]) -> Thresholds:
    share, hour, count = (OFF if value is None else float(value) for value in said)
    return share, hour, count


@dataclass(frozen=True)
class Marks:
    """What people said of the alerts of the history: `false` alarms among them, over so many
    `weeks` of watching, and (topic, from, to) of the `spans` of those, which stay in what is
    normal."""

    false: int = 0
    weeks: float = 0.0
    spans: tuple[tuple[str, int, int], ...] = ()


def learn(
    history: HourlyCounts,
    false_alarms_per_week: float,
    rng: np.random.Generator,
    *,
    marks: Marks | None = None,
) -> tuple[Normal, Promise]:
    """What is normal, and the thresholds that keep the promise. At least one story needed."""
    marks = marks or Marks()
    normal = fit(history)
    weeks = max(1.0, history.stories.shape[1] / HOURS_A_WEEK)
    evidence = simulated_evidence(normal, history, rng, max_paths=MAX_PATHS // 4)
    strict = _Solver(evidence, len(history.topics), _split(history))
    limits = strict.thresholds(_FALSE_EXCLUSIONS / weeks)
    used = _used(normal, history, limits, marks.spans)
    if history.stories[used].any():
        normal = fit(history, used)
    evidence = simulated_evidence(normal, history, rng, max_paths=MAX_PATHS, used=used)
    solver = _Solver(evidence, len(history.topics), _split(history))
    aimed = false_alarms_per_week / _misfit(
        solver, normal, history, used, false_alarms_per_week, rng, marks
    )
    thresholds = solver.thresholds(aimed)
    own = _own_days(normal, history, used, rng)
    return normal, Promise(
        false_alarms_per_week=false_alarms_per_week,
        aimed_at=aimed,
        thresholds=thresholds,
        simulated=solver.rate(thresholds),
        bootstrap=None if own is None else _rate_of(own, thresholds, len(history.topics)),
        marked=marks.false,
        others={f"{times:g}": solver.near(aimed, aimed * times) for times in OTHER_BUDGETS},
    )


def _split(history: HourlyCounts) -> tuple[float, float, float]:
    if history.stories.shape[1] >= COUNT_NEEDS:
        return SPLIT
    share, hour, _ = SPLIT
    return share / (share + hour), hour / (share + hour), 0.0


class _Solver:
    """Thresholds for any budget, from one simulation."""

    def __init__(
        self, evidence: SingleArray, topics: int, split: tuple[float, float, float]
    ) -> None:
        self._evidence, self._topics, self._split = evidence, topics, split
        self._overlaps: dict[float, float] = {}
        # A part of the paths finds the neighbourhood, all of them the place in it.
        part = evidence[:, :, :: 4 if evidence.shape[2] >= 64 else 1]
        counts, _ = rise_counts(part, np.repeat(np.array(_GRID)[:, None], 3, axis=1), BURN_IN)
        self._alone = [_RateCurve(counts[:, d], topics / _weeks(part)) for d in range(3)]

    def thresholds(self, wanted: float) -> Thresholds:
        """At which all detectors together raise so many alerts a week."""
        return self._shared_out(wanted * self._overlap(wanted))

    def near(self, wanted: float, other: float) -> Thresholds:
        """As `thresholds` for `other`, taking for granted that the detectors overlap as at
        `wanted`."""
        return self._shared_out(other * self._overlap(wanted))

    def _overlap(self, wanted: float) -> float:
        """By how much all may be widened, since what is raised twice counts once."""
        if wanted not in self._overlaps:
            self._overlaps[wanted] = self._simulated_overlap(wanted)
        return self._overlaps[wanted]

    def _simulated_overlap(self, wanted: float) -> float:
        tried = np.array([self._shared_out(wanted * factor) for factor in _WIDER])
        _, surges = rise_counts(self._evidence, tried, BURN_IN)
        counts = surges.sum(axis=1)
        if counts[0] < _LEAST_EVENTS:
            # Too rare to see what they share; apart they raise at most as many.
            return 1.0
        rates = np.maximum.accumulate(counts) * self._topics / _weeks(self._evidence)
        at = np.interp(math.log(wanted), np.log(rates), np.log(_WIDER))
        return math.exp(float(at))

    def rate(self, thresholds: Thresholds) -> float:
        """Alerts a week in the simulation."""
        return _rate_of(self._evidence, thresholds, self._topics)

    def _shared_out(self, budget: float) -> Thresholds:
        share, hour, count = (
            curve.threshold(budget * part) if part else OFF
            for curve, part in zip(self._alone, self._split, strict=True)
        )
        return share, hour, count


def _weeks(evidence: SingleArray) -> float:
    """Weeks of single topics that these paths hold."""
    return float(evidence.shape[2] * (evidence.shape[0] - BURN_IN) / HOURS_A_WEEK)


def _rate_of(evidence: SingleArray, thresholds: Thresholds, topics: int) -> float:
    _, surges = rise_counts(evidence, [thresholds], BURN_IN)
    alerts = int(surges.sum())
    return float(alerts * topics / _weeks(evidence))


class _RateCurve:
    """How often one detector rises, by its threshold; log-linear between what was counted."""

    def __init__(self, counts: IntArray, per_count: float) -> None:
        usable = np.flatnonzero(counts >= _LEAST_EVENTS)
        self._tried = np.asarray(_GRID)[usable]
        self._logs = np.log(counts[usable] * per_count)

    def threshold(self, wanted: float) -> float:
        """At which it rises so often; at least the lowest of the grid, 1 nat: less would be an
        alert on a single story."""
        if len(self._tried) == 0:
            return _GRID[0]
        target = math.log(wanted)
        if target >= self._logs[0]:
            return float(self._tried[0])
        if target >= self._logs[-1]:
            # np.interp wants rising positions; the rate falls with the threshold.
            return float(np.interp(-target, -self._logs, self._tried))
        # Beyond what the simulation shows, at the slope of its end; e^-h is the theory's slope.
        slope = 1.0
        if len(self._tried) >= 2:
            fall = (self._logs[-2] - self._logs[-1]) / (self._tried[-1] - self._tried[-2])
            slope = float(np.clip(fall, 0.3, 1.0))
        return float(self._tried[-1] + (self._logs[-1] - target) / slope)


def _used(
    normal: Normal,
    history: HourlyCounts,
    thresholds: Thresholds,
    kept: Sequence[tuple[str, int, int]],
) -> BoolArray:
    """(topics, hours) that count as normal."""
    used = np.ones(history.stories.shape, dtype=np.bool_)
    for row, topic in enumerate(history.topics):
        evidence = normal.evidence(topic, history)
        _, rises, _ = follow(AT_REST, history.first_hour, evidence, thresholds)
        for rise in rises:
            end = rise.resolved or history.end_hour
            end = min(end, rise.onset + _LONGEST_EXCLUDED) + 1
            used[row, rise.onset - history.first_hour : end - history.first_hour] = False
    for topic, start, end in kept:
        if topic in history.topics:
            low, high = (max(0, hour - history.first_hour) for hour in (start, end))
            used[history.topics.index(topic), low:high] = True
    return used


def _misfit(
    solver: _Solver,
    normal: Normal,
    history: HourlyCounts,
    used: BoolArray,
    promised: float,
    rng: np.random.Generator,
    marks: Marks,
) -> float:
    """By how much more often alerts come than the simulation says; at least 1."""
    weeks = history.stories.shape[1] / HOURS_A_WEEK
    own = _own_days(normal, history, used, rng)
    shown = expected = 0.0
    if own is not None:
        loose = solver.near(promised, promised * _LOOKED_AT)
        shown = _rate_of(own, loose, len(history.topics)) * weeks
        expected = solver.rate(loose) * weeks
    by_bootstrap = (_TRUST + shown) / (_TRUST + expected)
    by_marks = (_TRUST + marks.false) / (_TRUST + promised * marks.weeks)
    return max(1.0, by_bootstrap) * max(1.0, by_marks)


def _own_days(
    normal: Normal, history: HourlyCounts, used: BoolArray, rng: np.random.Generator
) -> SingleArray | None:
    """(hours, 3, paths of all topics): the past's own days in blocks of one, all topics of a day
    together, drawn with replacement. None where there are fewer than a week of them."""
    first = -history.first_hour % HOURS_A_DAY
    days = (history.stories.shape[1] - first) // HOURS_A_DAY
    if days < 7:
        return None
    evidence = np.stack([normal.evidence(topic, history) for topic in history.topics], axis=1)
    evidence[:, ~used] = 0.0
    end = first + days * HOURS_A_DAY
    by_day = evidence[:, :, first:end].astype(np.float32)
    by_day = by_day.reshape(3, len(history.topics), days, HOURS_A_DAY)
    paths = max(1, min(_BLOCK_PATHS, 1_000 // len(history.topics)))
    drawn = rng.integers(days, size=(paths, _BLOCK_DAYS))
    chained = by_day[:, :, drawn].reshape(3, -1, _BLOCK_DAYS * HOURS_A_DAY)
    return np.ascontiguousarray(chained.transpose(2, 0, 1))
