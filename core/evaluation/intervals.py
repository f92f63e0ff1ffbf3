"""How far could a figure be from the truth, given so few rows?

Bootstrap intervals for any metric (Efron and Tibshirani 1993, percentile method), and closed ones
for shares. The random generator is always passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Interval = tuple[float, float]
Statistic = Callable[[Integers], float]

_CELLS = 2_000_000  # random positions held at once


def bootstrap_interval(
    values: ArrayLike, rng: np.random.Generator, *, level: float = 0.95, resamples: int = 1000
) -> Interval:
    """(low, high) for the mean of `values` (rows,); NaN rows, undefined ones, are left out.

    (nan, nan) when no row is left.
    """
    sample = _defined(values)
    _check(level, resamples)
    if sample.size == 0:
        return math.nan, math.nan
    return _percentiles(_resampled_means(sample, rng, resamples), level)


def bootstrap_statistic(
    rows: int,
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """(low, high) for a metric that is no mean, such as macro-F1.

    `statistic` gets the positions drawn from 0..rows-1 with replacement and gives the figure on
    them; NaN figures are left out.
    """
    _check(level, resamples)
    if rows < 1:
        return math.nan, math.nan
    draws = np.array([statistic(rng.integers(rows, size=rows)) for _ in range(resamples)])
    draws = draws[~np.isnan(draws)]
    return _percentiles(draws, level) if draws.size else (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean of a - b on the same rows, its interval, and the share of resamples at or below 0."""

    difference: float
    low: float
    high: float
    share_not_better: float

    @property
    def is_better(self) -> bool:
        """True when the whole interval lies above 0."""
        return self.low > 0

    @property
    def is_worse(self) -> bool:
        """True when the whole interval lies below 0."""
        return self.high < 0


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 1000,
) -> PairedDifference:
    """Is `a` better than `b`, row by row? Rows are resampled together (Koehn 2004).

    Rows where either figure is undefined (NaN) are left out; with none left all figures are NaN.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise InvalidInput(f"expected pairs of rows, found {first.shape} and {second.shape}")
    _check(level, resamples)
    sample = _defined(first - second)
    if sample.size == 0:
        return PairedDifference(math.nan, math.nan, math.nan, math.nan)
    means = _resampled_means(sample, rng, resamples)
    low, high = _percentiles(means, level)
    return PairedDifference(float(sample.mean()), low, high, float(np.mean(means <= 0)))


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Two-sided score interval for a share (Wilson 1927); (0, 1) without any trial."""
    _check_counts(successes, trials, level)
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low = 0.0 if successes == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if successes == trials else min(1.0, (centre + spread) / scale)
    return low, high


def clopper_pearson_upper(errors: int, trials: int, level: float = 0.95) -> float:
    """One-sided exact upper bound for an error rate (Clopper and Pearson 1934).

    The largest rate under which seeing at most `errors` in `trials` has a chance of at least
    1 - level. 1 without any trial: nothing seen, nothing promised.
    """
    _check_counts(errors, trials, level)
    if errors >= trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if binomial_cdf(errors, trials, middle) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def binomial_cdf(successes: int, trials: int, share: float) -> float:
    """P(X ≤ successes) for X ~ Binomial(trials, share), with 0 < share ≤ 1."""
    if share >= 1:
        return 1.0 if successes >= trials else 0.0
    counts = np.arange(min(successes, trials) + 1, dtype=np.float64)
    # log C(n, k) grows by log((n - k + 1) / k) with each k
    steps = np.log((trials - counts[1:] + 1) / counts[1:])
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    logs += counts * math.log(share) + (trials - counts) * math.log1p(-share)
    peak = logs.max()
    return float(min(1.0, math.exp(peak) * np.exp(logs - peak).sum()))


def _resampled_means(sample: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    means = np.empty(resamples)
    step = max(1, _CELLS // sample.size)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(sample.size, size=(count, sample.size))
        means[start : start + count] = sample[drawn].mean(axis=1)
    return means


def _percentiles(draws: Floats, level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _defined(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InvalidInput(f"expected one figure a row, shape was: {array.shape}")
    return array[~np.isnan(array)]


def _check(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise InvalidInput(f"level must be between 0 and 1 (exclusive), was: {level}")
    if resamples < 1:
        raise InvalidInput(f"resamples must be at least 1, was: {resamples}")


def _check_counts(successes: int, trials: int, level: float) -> None:
    if not 0 <= successes <= trials:
        raise InvalidInput(f"expected 0 ≤ count ≤ trials, were: {successes} and {trials}")
    _check(level, 1)
