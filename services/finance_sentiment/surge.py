"""Has a topic turned bad? A beta-binomial likelihood-ratio CUSUM on its negative share.

Of n stories in an hour, k are negative. Normally k is beta-binomial with share p and overdispersion
ρ (hours differ more than chance alone would have it: news come in bunches). In a surge the odds of
p are `SHIFT` times as high. With a = p(1−ρ)/ρ and b = (1−p)(1−ρ)/ρ, and a', b' for the surge, the
hour's evidence is

    log P(k | surge) / P(k | normal) = Σ_{i<k} log (a'+i)/(a+i) + Σ_{j<n−k} log (b'+j)/(b+j)

since a + b = a' + b', so that all else cancels. Every negative story adds to it and every other one
takes away; by how much falls with each further one of the same hour.

The statistic is Page's (1954): S ← max(0, S + evidence). An alert starts when S reaches the
threshold. While it lasts the same sum runs the other way, R ← max(0, R − evidence), and the alert
ends when R reaches `RECOVERY`: then the hours since its last high speak ten to one for normal. S
begins at 0 again. An hour without stories is no evidence either way: silence resolves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from services.finance_sentiment.counts import IntArray

DETECTOR = "beta_binomial_cusum"
# From 20 % to 40 % negative: the surge that is looked for, as a factor on the odds.
SHIFT = 8 / 3
RECOVERY = math.log(10)
# A share closer to 0 or 1 would let one story decide everything.
MIN_SHARE, MAX_SHARE = 0.01, 0.9
MIN_OVERDISPERSION, MAX_OVERDISPERSION = 1e-4, 0.5

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EvidenceTable:
    """`negative[k]` and `other[j]`: what k negative and j other stories of an hour say together
    is negative[k] + other[j]."""

    negative: FloatArray
    other: FloatArray

    @classmethod
    def build(
        cls, share: float, overdispersion: float, largest: int, shift: float = SHIFT
    ) -> EvidenceTable:
        """For hours of up to `largest` stories; share and overdispersion are clipped to the
        bounds above."""
        p = min(max(share, MIN_SHARE), MAX_SHARE)
        rho = min(max(overdispersion, MIN_OVERDISPERSION), MAX_OVERDISPERSION)
        odds = shift * p / (1 - p)
        surge = odds / (1 + odds)
        weight = (1 - rho) / rho
        step = np.arange(largest, dtype=np.float64)
        negative = np.log((surge * weight + step) / (p * weight + step))
        other = np.log(((1 - surge) * weight + step) / ((1 - p) * weight + step))
        return cls(_cumulated(negative), _cumulated(other))

    def of(self, stories: int, negative: int) -> float:
        """The evidence of one hour."""
        return float(self.negative[negative] + self.other[stories - negative])


def _cumulated(steps: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(steps)])


@dataclass(frozen=True, slots=True)
class WatchState:
    """Where one topic stands. `statistic` is S, kept as it was at the start of an alert while that
    lasts; `onset` the hour in which S left 0, `started` the hour that raised the alert (None while
    there is none), `recovery` is R, `threshold` the one that the alert reached, which a later fit
    does not change."""

    statistic: float = 0.0
    onset: int | None = None
    started: int | None = None
    recovery: float = 0.0
    threshold: float = 0.0


CALM = WatchState()


@dataclass(frozen=True, slots=True)
class Surge:
    """One alert of a topic, in hours since 1970; it was known at the end of hour `started`."""

    onset: int
    started: int
    resolved: int | None
    statistic: float
    threshold: float


def step(state: WatchState, hour: int, evidence: float, threshold: float) -> WatchState:
    """The state after one more hour."""
    if state.started is not None:
        recovery = max(0.0, state.recovery - evidence)
        if recovery >= RECOVERY:
            return CALM
        return replace(state, recovery=recovery)
    statistic = state.statistic + evidence
    if statistic <= 0:
        return CALM
    onset = hour if state.onset is None else state.onset
    if statistic >= threshold:
        return WatchState(statistic, onset, started=hour, threshold=threshold)
    return WatchState(statistic, onset)


def follow(
    state: WatchState,
    first_hour: int,
    stories: IntArray,
    negative: IntArray,
    table: EvidenceTable,
    threshold: float,
) -> tuple[WatchState, list[Surge]]:
    """Take one topic through its hours, (hours,) each. Gives the last state and every alert that
    was open at some time, the last one with `resolved` None if it still is."""
    surges: list[Surge] = []
    busy = np.flatnonzero(stories)
    evidence = table.negative[negative[busy]] + table.other[stories[busy] - negative[busy]]
    for offset, found in zip(busy.tolist(), evidence.tolist(), strict=True):
        hour = first_hour + offset
        after = step(state, hour, found, threshold)
        if state.started is not None and after.started is None:
            surges.append(_surge(state, hour))
        state = after
    if state.started is not None:
        surges.append(_surge(state, None))
    return state, surges


def _surge(state: WatchState, resolved: int | None) -> Surge:
    assert state.onset is not None and state.started is not None
    return Surge(state.onset, state.started, resolved, state.statistic, state.threshold)


def alert_counts(
    evidence: npt.NDArray[np.float32], thresholds: Sequence[float], burn_in: int
) -> IntArray:
    """How many alerts start on many simulated topics, for each of several thresholds.

    `evidence` (hours, paths); the same life of an alert as in `step`. Alerts of the first `burn_in`
    hours are not counted. Gives (thresholds,).
    """
    hours, paths = evidence.shape
    limit = np.asarray(thresholds, dtype=np.float32)[:, None]
    statistic = np.zeros((len(thresholds), paths), dtype=np.float32)
    firing = np.zeros(statistic.shape, dtype=np.bool_)
    counts = np.zeros(len(thresholds), dtype=np.int64)
    for hour in range(hours):
        # One array serves S and R: R is what S is when the evidence counts the other way.
        statistic += np.where(firing, -evidence[hour], evidence[hour])
        np.maximum(statistic, 0, out=statistic)
        changed = statistic >= np.where(firing, np.float32(RECOVERY), limit)
        if changed.any():
            if hour >= burn_in:
                counts += (changed & ~firing).sum(axis=1)
            statistic[changed] = 0
            firing ^= changed
    return counts
