"""Has a topic turned bad? Three detectors walk through its hours.

Two are Page's CUSUMs (1954), of the negative share and of the negative count: S ← max(0, S +
evidence); the detector rises when S reaches its threshold. The third, the fast path, remembers
nothing: it rises in an hour whose surprise reaches its threshold. See evidence.py for what an hour
says to each.

While a detector is up the sum runs the other way, R ← max(0, R − evidence), and it comes down when
R reaches `RECOVERY`: then the hours since its last high speak ten to one for normal. (The fast path
comes down by the evidence of the share.) S begins at 0 again. A topic surges while any of the three
is up. An hour without stories is no evidence about the share: silence brings nothing down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from services.finance_sentiment.evidence import COUNT, HOUR, SHARE, FloatArray

RECOVERY = math.log(10)
# Which evidence brings each detector down.
_FALLS_BY = (SHARE, SHARE, COUNT)
# A detector that does not watch.
OFF = math.inf

BoolArray = npt.NDArray[np.bool_]
SingleArray = npt.NDArray[np.float32]
Thresholds = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Gauge:
    """Where one detector of one topic stands. `statistic` is S, kept as it was at the rise while
    the detector is up; `onset` the hour in which S left 0, `started` the hour of the rise (None
    while down), `recovery` is R, `threshold` the one that was reached, which a later fit does not
    change."""

    statistic: float = 0.0
    onset: int | None = None
    started: int | None = None
    recovery: float = 0.0
    threshold: float = 0.0


CALM = Gauge()


@dataclass(frozen=True, slots=True)
class WatchState:
    """The three gauges of a topic, in the order of evidence.DETECTORS."""

    gauges: tuple[Gauge, Gauge, Gauge] = (CALM, CALM, CALM)

    def to_json(self) -> list[dict[str, Any]]:
        """Fit for `from_json`."""
        return [{name: getattr(gauge, name) for name in Gauge.__slots__} for gauge in self.gauges]

    @classmethod
    def from_json(cls, document: Sequence[Mapping[str, Any]]) -> WatchState:
        """What `to_json` gave."""
        share, hour, count = (Gauge(**said) for said in document)
        return cls((share, hour, count))


AT_REST = WatchState()


@dataclass(frozen=True, slots=True)
class Rise:
    """One detector that went up, in hours since 1970; it was known at the end of hour `started`.
    `resolved` is None while it is up."""

    detector: int
    onset: int
    started: int
    resolved: int | None
    statistic: float
    threshold: float


def rescaled(state: WatchState, old: Sequence[float], new: Sequence[float]) -> WatchState:
    """The same state under other thresholds: a sum that had come half of the way still has, so
    that a lower threshold is not reached by nothing that happened. What a detector gathered while
    it was off is forgotten; one that is up stays so."""
    share, hour, count = (
        gauge if gauge.started is not None else _on_its_way(gauge, before, after)
        for gauge, before, after in zip(state.gauges, old, new, strict=True)
    )
    return WatchState((share, hour, count))


def _on_its_way(gauge: Gauge, before: float, after: float) -> Gauge:
    if math.isinf(before) or math.isinf(after) or gauge.onset is None:
        return CALM
    return replace(gauge, statistic=gauge.statistic * after / before)


def step(gauge: Gauge, detector: int, hour: int, said: FloatArray, threshold: float) -> Gauge:
    """The gauge after one more hour; `said` (3,), the evidence of that hour."""
    if gauge.started is not None:
        recovery = max(0.0, gauge.recovery - float(said[_FALLS_BY[detector]]))
        return CALM if recovery >= RECOVERY else replace(gauge, recovery=recovery)
    before = 0.0 if detector == HOUR else gauge.statistic
    statistic = before + float(said[detector])
    if statistic <= 0:
        return CALM
    onset = hour if gauge.onset is None or detector == HOUR else gauge.onset
    if statistic >= threshold:
        return Gauge(statistic, onset, started=hour, threshold=threshold)
    return CALM if detector == HOUR else Gauge(statistic, onset)


def follow(
    state: WatchState, first_hour: int, evidence: FloatArray, thresholds: Sequence[float]
) -> tuple[WatchState, list[Rise], BoolArray]:
    """Take one topic through its hours; `evidence` (3, hours). Gives the last state, every rise
    that was up at some time (the last one with `resolved` None if it still is), and whether any
    detector was up after each hour, (hours,)."""
    gauges, rises = [], []
    up = np.zeros(evidence.shape[1:], dtype=np.bool_)
    for detector, threshold in enumerate(thresholds):
        gauge = state.gauges[detector]
        # Nothing happens in an hour that says nothing.
        for offset in np.flatnonzero(evidence[[detector, _FALLS_BY[detector]]].any(axis=0)):
            hour = first_hour + int(offset)
            after = step(gauge, detector, hour, evidence[:, offset], threshold)
            if gauge.started is not None and after.started is None:
                rises.append(_rise(detector, gauge, hour))
                up[max(0, gauge.started - first_hour) : offset] = True
            gauge = after
        if gauge.started is not None:
            rises.append(_rise(detector, gauge, None))
            up[max(0, gauge.started - first_hour) :] = True
        gauges.append(gauge)
    share, hour_test, count = gauges
    return WatchState((share, hour_test, count)), sorted(rises, key=lambda r: r.started), up


def _rise(detector: int, gauge: Gauge, resolved: int | None) -> Rise:
    assert gauge.onset is not None and gauge.started is not None
    return Rise(detector, gauge.onset, gauge.started, resolved, gauge.statistic, gauge.threshold)


def walk_paths(
    evidence: SingleArray, limits: npt.ArrayLike
) -> Iterator[tuple[BoolArray, BoolArray]]:
    """Many topics at once, for several sets of thresholds: the same life as in `step`.

    `evidence` (hours, 3, paths); `limits` (sets, 3) or (sets, 3, paths). Gives for each hour what
    rose in it, (sets, 3, paths), and which topics began to surge, (sets, paths).
    """
    limit = np.asarray(limits, dtype=np.float32)
    limit = limit[:, :, None] if limit.ndim == 2 else limit
    shape = (limit.shape[0], *evidence.shape[1:])
    gauge, up = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.bool_)
    recovery = np.float32(RECOVERY)
    for said in evidence:
        # One array serves S and R: R is what S is when the evidence counts the other way.
        gauge[:, HOUR][~up[:, HOUR]] = 0
        gauge += np.where(up, -said[list(_FALLS_BY)], said)
        np.maximum(gauge, 0, out=gauge)
        changed = gauge >= np.where(up, recovery, limit)
        surging = up.any(axis=1)
        rose = changed & ~up
        if changed.any():
            gauge[changed] = 0
            up ^= changed
        yield rose, np.asarray(rose.any(axis=1) & ~surging)


def rise_counts(
    evidence: SingleArray, limits: npt.ArrayLike, burn_in: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How often each detector rises on many simulated topics, (sets, 3), and how many surges that
    makes on each, (sets, paths). The first `burn_in` hours are not counted."""
    sets = np.asarray(limits).shape[0]
    each = np.zeros((sets, 3), dtype=np.int64)
    surges = np.zeros((sets, evidence.shape[2]), dtype=np.int64)
    for hour, (rose, began) in enumerate(walk_paths(evidence, limits)):
        if hour >= burn_in:
            each += rose.sum(axis=2)
            surges += began
    return each, surges
