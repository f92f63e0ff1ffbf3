"""Does a score tell what the model knows from what it does not, and what does refusing buy?

Scores are larger for what is more surely in scope; a row is refused when its score is below a
threshold. Equal scores are never parted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput

Floats = NDArray[np.float64]


def auroc(in_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """Chance that an in-scope row scores above an out-of-scope row, ties counting half.

    Area under the ROC curve by the Mann-Whitney statistic (Hanley and McNeil 1982).
    """
    inside, outside = _scores(in_scores, "in-scope"), _scores(out_scores, "out-of-scope")
    outside.sort()
    below = np.searchsorted(outside, inside, side="left")
    not_above = np.searchsorted(outside, inside, side="right")
    return float((below + not_above).mean() / 2 / outside.size)


def threshold_at_false_rejection(in_scores: ArrayLike, rate: float = 0.04) -> float:
    """The highest threshold that refuses at most a share `rate` of the in-scope rows."""
    if not 0 <= rate < 1:
        raise InvalidInput(f"rate must be in [0, 1), was: {rate}")
    inside = np.sort(_scores(in_scores, "in-scope"))
    return float(inside[math.floor(rate * inside.size + 1e-9)])


def recall_at_false_rejection(
    in_scores: ArrayLike, out_scores: ArrayLike, rate: float = 0.04
) -> float:
    """Share of out-of-scope rows refused when at most `rate` of the in-scope rows are."""
    threshold = threshold_at_false_rejection(in_scores, rate)
    return float(np.mean(_scores(out_scores, "out-of-scope") < threshold))


def fpr95(in_scores: ArrayLike, out_scores: ArrayLike) -> float:
    """Share of out-of-scope rows let in when 95 % of the in-scope rows are; lower is better."""
    return 1.0 - recall_at_false_rejection(in_scores, out_scores, rate=0.05)


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Points of the risk-coverage curve, from few answers to all; arrays of one length.

    Answering the rows with score ≥ `thresholds[i]` answers a share `coverage[i]` of rows, of which
    a share `risk[i]` is wrong. `area` is the mean risk over coverage (AURC, Geifman and El-Yaniv
    2017, "Selective Classification for Deep Neural Networks"); lower is better.
    """

    thresholds: Floats
    coverage: Floats
    risk: Floats
    area: float


def risk_coverage(scores: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """The curve over all thresholds that part the rows; `correct` says which answers are right."""
    values = _scores(scores, "all")
    right = np.asarray(correct, dtype=bool)
    if right.shape != values.shape:
        raise InvalidInput(f"expected {values.size} values in correct, found {right.size}")
    order = np.argsort(-values, kind="stable")
    ordered, wrong = values[order], np.cumsum(~right[order])
    last = np.append(np.flatnonzero(np.diff(ordered)), values.size - 1)
    answered = last + 1
    risk = wrong[last] / answered
    steps = np.diff(answered, prepend=0) / values.size
    return RiskCoverage(ordered[last], answered / values.size, risk, float(risk @ steps))


def _scores(scores: ArrayLike, name: str) -> Floats:
    values = np.array(scores, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise InvalidInput(f"expected at least 1 score of {name} rows, shape was: {values.shape}")
    if np.isnan(values).any():
        raise InvalidInput(f"scores of {name} rows must be numbers, some are NaN")
    return values
