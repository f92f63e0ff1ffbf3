"""Is one model better than another on the same rows, or did chance say so?

The first model is the one there is, the second the candidate: differences are second − first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput
from core.evaluation.intervals import binomial_cdf, bootstrap_statistic

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Verdict = Literal["better", "worse", "no difference shown"]
# Positions of rows → the figure of one model on them; larger is better.
Metric = Callable[[Integers], float]


@dataclass(frozen=True, slots=True)
class McNemar:
    """`only_first` and `only_second`: rows that only this model has right. `p_value`: the chance of
    a split at least as uneven where both models are equally good."""

    only_first: int
    only_second: int
    p_value: float

    def verdict(self, alpha: float = 0.05) -> Verdict:
        """What may be said of the second model, with a share `alpha` of false alarms."""
        if self.p_value >= alpha:
            return "no difference shown"
        return "better" if self.only_second > self.only_first else "worse"


def mcnemar(first_correct: ArrayLike, second_correct: ArrayLike) -> McNemar:
    """The exact two-sided test on the rows where just one model is right (McNemar 1947).

    Where the models are equally good, each such row is a toss of a fair coin.
    """
    first, second = _pairs(first_correct, second_correct)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    few, both = min(only_first, only_second), only_first + only_second
    p_value = min(1.0, 2 * binomial_cdf(few, both, 0.5)) if both else 1.0
    return McNemar(only_first, only_second, p_value)


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """A metric of both models and second − first with its bootstrap interval."""

    first: float
    second: float
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """By whether the interval lies on one side of 0; NaN figures show nothing."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference shown"


def metric_difference(
    rows: int,
    first: Metric,
    second: Metric,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 1000,
) -> MetricDifference:
    """Paired bootstrap of any metric: both models are judged on the same drawn rows (Koehn 2004,
    "Statistical Significance Tests for Machine Translation Evaluation")."""
    if rows < 1:
        raise InvalidInput(f"expected at least 1 row to compare on, found {rows}")
    everything = np.arange(rows)
    one, other = first(everything), second(everything)
    low, high = bootstrap_statistic(
        rows, lambda drawn: second(drawn) - first(drawn), rng, level=level, resamples=resamples
    )
    return MetricDifference(one, other, other - one, low, high)


@dataclass(frozen=True, slots=True)
class DifferentRow:
    """A row that the models label differently; `row` is its position."""

    row: int
    truth: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """Two models on the same rows. `differences`: metric → figures; `rows`: where they differ,
    those that the second lost first, then those it won, then those that both have wrong."""

    rows_compared: int
    test: McNemar
    differences: Mapping[str, MetricDifference]
    rows: tuple[DifferentRow, ...]

    @property
    def verdict(self) -> Verdict:
        """Of the second model, by the test on the rows where just one model is right."""
        return self.test.verdict()

    def sentence(self, first: str = "the first model", second: str = "the second model") -> str:
        """The verdict for a person."""
        test = self.test
        what = {
            "better": f"{second} is better than {first}",
            "worse": f"{second} is worse than {first}",
            "no difference shown": f"no difference shown between {first} and {second}",
        }[self.verdict]
        return (
            f"{what}: on {self.rows_compared} rows {second} alone is right on {test.only_second}, "
            f"{first} alone on {test.only_first} (McNemar p = {test.p_value:.2g})"
        )


def compare(
    truth: Sequence[str],
    first: Sequence[str],
    second: Sequence[str],
    metrics: Mapping[str, tuple[Metric, Metric]],
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
) -> Comparison:
    """Compare predicted labels; `metrics`: name → the metric of the first and of the second model,
    as functions of row positions."""
    if not len(truth) == len(first) == len(second):
        raise InvalidInput(
            f"expected one label of each model a row, found {len(truth)} true, "
            f"{len(first)} and {len(second)} predicted"
        )
    right = np.array([t == a for t, a in zip(truth, first, strict=True)], dtype=bool)
    right_too = np.array([t == b for t, b in zip(truth, second, strict=True)], dtype=bool)
    test = mcnemar(right, right_too)
    differences = {
        name: metric_difference(len(truth), one, other, rng, resamples=resamples)
        for name, (one, other) in metrics.items()
    }
    different = [i for i in range(len(truth)) if first[i] != second[i]]
    different.sort(key=lambda i: (not right[i], not right_too[i], i))
    rows = tuple(DifferentRow(i, truth[i], first[i], second[i]) for i in different)
    return Comparison(len(truth), test, differences, rows)


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[Booleans, Booleans]:
    one, other = np.asarray(first), np.asarray(second)
    if one.shape != other.shape or one.ndim != 1 or one.size == 0:
        raise InvalidInput(f"expected two equal rows of answers, were: {one.shape}, {other.shape}")
    if one.dtype.kind != "b" or other.dtype.kind != "b":
        raise InvalidInput("expected true or false for each row: is the answer right?")
    return one, other
