"""Do probabilities mean what they say?

Shapes: logits and probabilities (rows, classes), labels (rows,) with class positions from 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# A temperature outside says that the logits are useless (all wrong or all right by far), not that
# they should be stretched further.
_COLDEST, _HOTTEST = 0.01, 100.0


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities along the last axis, exp(z/T) / sum exp(z/T); T above 1 softens them."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise InvalidInput(f"temperature must be a number above 0, was: {temperature}")
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return result


def negative_log_likelihood(
    logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0
) -> float:
    """Mean of -log p(true class), in nats."""
    z, y = _checked(logits, labels)
    z = z / temperature
    peak = z.max(axis=1)
    log_sum = peak + np.log(np.exp(z - peak[:, None]).sum(axis=1))
    return float(np.mean(log_sum - z[np.arange(len(y)), y]))


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature in [0.01, 100] with the least negative log-likelihood on these rows.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". The likelihood is convex in 1/T,
    so its slope changes sign once and bisection finds the minimum. Where every row is right, colder
    is always likelier; the search stops where the gain is lost in rounding. Fit on rows that the
    model has not seen.
    """
    z, y = _checked(logits, labels)
    true = z[np.arange(len(y)), y]

    def slope(inverse: float) -> float:
        """d NLL / d (1/T): expected logit under the softened model minus the true class's."""
        expected = (softmax(z * inverse) * z).sum(axis=1)
        return float(np.mean(expected - true))

    low, high = math.log(1 / _HOTTEST), math.log(1 / _COLDEST)
    for _ in range(60):
        middle = (low + high) / 2
        if slope(math.exp(middle)) < 0:
            low = middle
        else:
            high = middle
    return math.exp(-(low + high) / 2)


def ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of the most likely class with bins of equal mass, in [0, 1].

    Mean over rows of |accuracy - confidence| of the row's bin; Naeini et al. 2015, "Obtaining Well
    Calibrated Probabilities Using Bayesian Binning", with bins of equal mass as in Nguyen and
    O'Connor 2015. Rows of the same confidence share a bin, so the order of rows does not matter.
    """
    p, y = _checked(probabilities, labels)
    return binary_ece(p.max(axis=1), p.argmax(axis=1) == y, bins)


def binary_ece(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """As `ece`, for one confidence a row and whether the row was right."""
    sure = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    if sure.shape != right.shape or sure.ndim != 1 or sure.size == 0:
        raise InvalidInput(f"expected two equal rows of numbers, were: {sure.shape}, {right.shape}")
    if bins < 1:
        raise InvalidInput(f"bins must be at least 1, was: {bins}")
    placed = _equal_mass_bins(sure, bins)
    gaps = np.bincount(placed, weights=right - sure, minlength=bins)
    return float(np.abs(gaps).sum() / sure.size)


def _equal_mass_bins(values: Floats, bins: int) -> Integers:
    """The bin of each value; a run of equal values goes where its middle falls."""
    ordered = np.sort(values)
    first = np.searchsorted(ordered, values, side="left")
    after = np.searchsorted(ordered, values, side="right")
    middle = (first + after) / 2  # in (0, n)
    return np.minimum((middle * bins / values.size).astype(np.int64), bins - 1)


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean squared distance to the one-hot truth, summed over classes, in [0, 2] (Brier 1950)."""
    p, y = _checked(probabilities, labels)
    distance = p.copy()
    distance[np.arange(len(y)), y] -= 1
    return float(np.mean((distance**2).sum(axis=1)))


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Integers]:
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if s.ndim != 2 or y.shape != s.shape[:1] or s.size == 0:
        raise InvalidInput(
            f"expected scores (rows, classes) and labels (rows,), were: {s.shape}, {y.shape}"
        )
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= s.shape[1]:
        raise InvalidInput(f"labels must be class positions from 0 to {s.shape[1] - 1}")
    if not np.isfinite(s).all():
        raise InvalidInput("scores must be finite numbers")
    return s, y.astype(np.int64)
