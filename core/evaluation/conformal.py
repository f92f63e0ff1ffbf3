"""Which labels can a text have, so that the true one is among them as often as promised?

Split conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021, "A Gentle Introduction
to Conformal Prediction"): calibration rows that the model never saw give one threshold, and the set
of every later row holds its true label with the promised chance, whatever the model, as long as the
rows come from one source. The promise is of all rows together, not of each class. MAPIE does the
work. Shapes: probabilities (rows, classes), labels (rows,) with class numbers from 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput
from core.evaluation.intervals import Interval, wilson_interval

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Method = Literal["lac", "aps"]

_TOLERANCE = 1e-8  # MAPIE's own: what is equal but for rounding is inside


@dataclass(frozen=True)
class ConformalSets:
    """`sets` (rows, classes): which labels each row may have, at the promised `level`.

    `threshold` is what a server needs to make them again (`sets_at`).
    """

    level: float
    method: Method
    threshold: float
    sets: Booleans

    def figures(self, labels: ArrayLike) -> SetFigures:
        """What the sets turned out to be worth on rows with these true labels."""
        truth = np.asarray(labels)
        if truth.shape != self.sets.shape[:1]:
            raise InvalidInput(f"expected {len(self.sets)} labels, shape was: {truth.shape}")
        inside = self.sets[np.arange(len(truth)), truth]
        sizes = self.sets.sum(axis=1)
        low_high = wilson_interval(int(inside.sum()), len(inside))
        return SetFigures(
            level=self.level,
            threshold=self.threshold,
            coverage=float(inside.mean()),
            coverage_ci=low_high,
            mean_size=float(sizes.mean()),
            singletons=float((sizes == 1).mean()),
            empty=float((sizes == 0).mean()),
        )


@dataclass(frozen=True, slots=True)
class SetFigures:
    """`coverage`: share of rows whose set holds the true label, with its 95 % interval; `mean_size`
    in labels; `singletons` and `empty`: shares of rows whose set has one label, or none."""

    level: float
    threshold: float
    coverage: float
    coverage_ci: Interval
    mean_size: float
    singletons: float
    empty: float


def rows_needed(level: float) -> int:
    """The fewest calibration rows for which MAPIE promises `level`: 11 for 90 %, 20 for 95 %."""
    if not 0.5 <= level < 1:
        raise InvalidInput(f"level must be in [0.5, 1), was: {level}")
    return math.floor(1 / (1 - level)) + 1


def conformal_sets(
    calibration: ArrayLike,
    calibration_labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    levels: Sequence[float] = (0.9, 0.95),
    method: Method = "lac",
    seed: int = 0,
) -> list[ConformalSets]:
    """Sets for `probabilities` (rows, classes), one for each level, from calibration rows.

    Methods: `lac`, all labels above one probability (Sadinle et al. 2019), the smallest sets;
    `aps`, the likeliest labels up to a summed probability (Romano et al. 2020), larger sets that
    grow where the row is hard and hold the true label somewhat more often than promised, for 3
    classes or more. Raises InvalidInput where the calibration rows are too few for a level.
    """
    known, truth = _probabilities(calibration), np.asarray(calibration_labels)
    judged = _probabilities(probabilities)
    _check(known, truth, judged, levels, method)
    classifier = _mapie(known.shape[1], levels, method, seed)
    with warnings.catch_warnings():
        # The promise is of all rows together, so a class without a calibration row is no fault.
        warnings.filterwarnings("ignore", message=".*conformalization dataset has less labels")
        classifier.conformalize(known, truth)
    _, sets = classifier.predict_set(judged)
    scores = np.asarray(classifier.conformity_scores).ravel()
    return [
        ConformalSets(level, method, _quantile(scores, level), np.asarray(sets[:, :, i], bool))
        for i, level in enumerate(levels)
    ]


def cross_conformal_sets(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    levels: Sequence[float] = (0.9, 0.95),
    method: Method = "lac",
    folds: int = 5,
) -> list[ConformalSets]:
    """Sets for rows from the other rows: each fold's threshold comes from the other folds.

    So the coverage is measured on rows that did not set it, though only one labelled file is there.
    `threshold` is that of all rows, the one to serve with.
    """
    p, y = _probabilities(probabilities), np.asarray(labels)
    if not 2 <= folds <= len(p):
        raise InvalidInput(f"folds must be from 2 to {len(p)} (the rows), was: {folds}")
    seed = int(rng.integers(2**31))
    result = conformal_sets(p, y, p, levels=levels, method=method, seed=seed)
    sets = [np.zeros(p.shape, dtype=bool) for _ in levels]
    for away in np.array_split(rng.permutation(len(p)), folds):
        keep = np.setdiff1d(np.arange(len(p)), away)
        found = conformal_sets(p[keep], y[keep], p[away], levels=levels, method=method, seed=seed)
        for part, whole in zip(found, sets, strict=True):
            whole[away] = part.sets
    return [
        ConformalSets(all_rows.level, method, all_rows.threshold, whole)
        for all_rows, whole in zip(result, sets, strict=True)
    ]


def sets_at(probabilities: ArrayLike, threshold: float, method: Method = "lac") -> Booleans:
    """(rows, classes) the sets of a threshold, in plain numpy, as a server makes them."""
    p = _probabilities(probabilities)
    if method == "lac":
        return np.asarray((1 - p) - threshold <= _TOLERANCE)
    ordered = -np.sort(-p, axis=1)
    mass = np.cumsum(ordered, axis=1)
    # Up to and with the label that passes the threshold, and all that are as likely as that one.
    last = np.argmax(mass - threshold >= -_TOLERANCE, axis=1)
    last[mass[:, -1] - threshold < -_TOLERANCE] = p.shape[1] - 1
    least = np.take_along_axis(ordered, last[:, None], axis=1)
    # Labels without any chance stay outside.
    above_zero = np.where(p >= _TOLERANCE, p, np.inf).min(axis=1, keepdims=True)
    least = np.where(least <= _TOLERANCE, above_zero, least)
    return np.asarray(p - least >= -_TOLERANCE)


def _mapie(classes: int, levels: Sequence[float], method: Method, seed: int) -> Any:
    from mapie.classification import SplitConformalClassifier
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Probabilities that a model gave already: the features are the answer."""

        def __init__(self, classes: int = classes) -> None:
            self.classes = classes
            self.classes_ = np.arange(classes)
            self.n_features_in_ = classes

        def fit(self, features: Floats, labels: Integers) -> Given:
            return self

        def predict(self, features: Floats) -> Integers:
            return np.asarray(features.argmax(axis=1))

        def predict_proba(self, features: Floats) -> Floats:
            return features

    return SplitConformalClassifier(
        Given(),
        confidence_level=list(levels),
        conformity_score=method,
        prefit=True,
        random_state=seed,
    )


def _quantile(scores: Floats, level: float) -> float:
    """The ceil(level · (n + 1))-th smallest conformity score."""
    rank = math.ceil(round(level * (scores.size + 1), 9))
    return float(np.sort(scores)[min(rank, scores.size) - 1])


def _probabilities(values: ArrayLike) -> Floats:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim != 2 or p.shape[0] == 0 or p.shape[1] < 2 or not np.isfinite(p).all():
        raise InvalidInput(
            f"expected probabilities (rows, classes) of at least 2 classes, shape was: {p.shape}"
        )
    total = p.sum(axis=1, keepdims=True)
    if (p < 0).any() or (np.abs(total - 1) > 1e-3).any():
        raise InvalidInput(
            "probabilities must not be negative and must sum to 1 in every row",
            mend="Pass logits through softmax first.",
        )
    result: Floats = p / total  # what float32 rounded away
    return result


def _check(
    known: Floats, truth: NDArray[Any], judged: Floats, levels: Sequence[float], method: str
) -> None:
    if method not in get_args(Method):
        raise InvalidInput(f"method must be one of {', '.join(get_args(Method))}, was: {method}")
    if method == "aps" and known.shape[1] < 3:
        raise InvalidInput("aps needs at least 3 classes, found 2", mend="Take lac.")
    if truth.shape != known.shape[:1] or truth.dtype.kind not in "iu":
        raise InvalidInput(f"expected {len(known)} class numbers, shape was: {truth.shape}")
    if truth.min() < 0 or truth.max() >= known.shape[1] or judged.shape[1] != known.shape[1]:
        raise InvalidInput(
            f"labels must be from 0 to {known.shape[1] - 1}, and all rows have as many classes"
        )
    needed = max(map(rows_needed, levels))
    if len(known) < needed:
        raise InvalidInput(
            f"{len(known)} calibration rows are too few for a level of {max(levels):.0%}",
            mend=f"Give at least {needed} rows, or a lower level.",
        )
