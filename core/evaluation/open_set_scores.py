"""How surely does a model know what it is looking at?

Four scores that fail differently, and their combination. All are larger for what is more surely in
scope. Shapes: embeddings (rows, width), logits (rows, classes), labels (rows,) with class numbers
from 0; a score is (rows,).

Which scores are taken, and with what weights, is chosen on validation rows alone: on rows that are
out of scope where there are some (`choose_combination`), else on classes that are held out in turn
(`choose_on_held_out_classes`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput
from core.evaluation.openset import auroc
from core.inference.neighbours import MAX_REFERENCE, NEIGHBOURS
from core.inference.open_set import (
    Combination,
    OpenSetModel,
    Scale,
    Scores,
    finite_table,
    unit_rows,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# (training embeddings, their labels 0..classes-1, embeddings to judge) → logits of the latter.
LogitsOf = Callable[[Floats, Integers, Floats], ArrayLike]

_MOST_SCORES = 8  # every subset is tried
_RIDGE = 1.0
_SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 0.95)
_FOLDS = 5


def fit_scores(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    temperature: float = 1.0,
    k: int = NEIGHBOURS,
) -> OpenSetModel:
    """Learn from training rows what the scores compare with.

    Relative Mahalanobis distance: Ren et al. 2021, "A Simple Fix to Mahalanobis Distance for
    Improving Near-OOD Detection"; one covariance for all classes and one for the background, both
    shrunk (`best_shrinkage`). Of more than 20,000 rows a random part is the reference of the
    nearest neighbours.
    """
    e, y = finite_table(embeddings, "embeddings"), np.asarray(labels)
    if y.shape != e.shape[:1] or y.dtype.kind not in "iu" or (y < 0).any():
        raise InvalidInput(f"expected a class number for each of {len(e)} rows, shape: {y.shape}")
    if k < 1:
        raise InvalidInput(f"k must be at least 1, was: {k}")
    y = np.unique(y, return_inverse=True)[1]
    kept = e
    if len(e) > MAX_REFERENCE:
        kept = e[rng.choice(len(e), MAX_REFERENCE, replace=False)]
    return OpenSetModel(
        reference=unit_rows(kept),
        means=_class_means(e, y).means,
        whitening=_whitening(e, y, rng),
        background_mean=e.mean(axis=0),
        background_whitening=_whitening(e, np.zeros_like(y), rng),
        temperature=temperature,
        k=k,
    )


def best_shrinkage(rows: ArrayLike, labels: ArrayLike, *, rng: np.random.Generator) -> float:
    """How far a covariance around the class means is to be shrunk towards a multiple of the
    identity, in (0, 1): of a few shares the one with the highest Gaussian likelihood on held-out
    folds, distances taken from the means of the other folds.

    Ledoit and Wolf's closed form shrinks for the least squared error of the matrix; with about as
    many rows a class as here its inverse, which is what a distance needs, fits new rows badly. 1
    where there are too few rows to hold any out.
    """
    x, y = finite_table(rows, "rows"), np.asarray(labels)
    fold = rng.permutation(len(x)) % _FOLDS
    likelihood = np.zeros(len(_SHRINKAGES))
    for number in range(_FOLDS):
        kept = fold != number
        judged = (fold == number) & np.isin(y, y[kept])
        if not judged.any():
            continue
        means = _class_means(x[kept], y[kept])
        values, vectors = np.linalg.eigh(_covariance(x[kept] - means.of(y[kept])))
        squares = (((x[judged] - means.of(y[judged])) @ vectors) ** 2).sum(axis=0)
        for i, share in enumerate(_SHRINKAGES):
            spread = _shrunk(values, share)
            likelihood[i] -= judged.sum() * np.log(spread).sum() + (squares / spread).sum()
    return _SHRINKAGES[int(likelihood.argmax())] if likelihood.any() else 1.0


@dataclass(frozen=True)
class _ClassMeans:
    classes: Integers
    means: Floats

    def of(self, labels: Integers) -> Floats:
        return np.asarray(self.means[np.searchsorted(self.classes, labels)])


def _class_means(rows: Floats, labels: Integers) -> _ClassMeans:
    classes, numbers = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(classes), rows.shape[1]))
    np.add.at(sums, numbers, rows)
    return _ClassMeans(classes, sums / np.bincount(numbers)[:, None])


def _covariance(centred: Floats) -> Floats:
    return np.asarray(centred.T @ centred / len(centred))


def _shrunk(values: Floats, share: float) -> Floats:
    """Eigenvalues after shrinking; none so small that its direction would weigh without limit."""
    shrunk = (1 - share) * values + share * values.mean()
    return np.asarray(np.maximum(shrunk, max(float(values.max()) * 1e-9, 1e-12)))


def _whitening(rows: Floats, labels: Integers, rng: np.random.Generator) -> Floats:
    centred = rows - _class_means(rows, labels).of(labels)
    values, vectors = np.linalg.eigh(_covariance(centred))
    return np.asarray(vectors / np.sqrt(_shrunk(values, best_shrinkage(rows, labels, rng=rng))))


def choose_combination(in_scores: Scores, out_scores: Scores) -> Combination:
    """The combination that best parts in-scope from out-of-scope validation rows, by AUROC.

    Every subset with equal weights is compared, and logistic regression over all scores, judged on
    folds that it was not fitted on. Of equals the one with fewer scores wins, and equal weights.
    """
    names = tuple(in_scores)
    if not 1 <= len(names) <= _MOST_SCORES or set(names) != set(out_scores):
        raise InvalidInput(
            f"expected the same 1 to {_MOST_SCORES} scores of both kinds of rows, "
            f"found {sorted(names)} and {sorted(out_scores)}"
        )
    scale = Scale.of(in_scores)
    inside, outside = scale.standard(in_scores), scale.standard(out_scores)
    best, best_auroc, how = np.zeros(len(names)), -1.0, "equal"
    for size in range(1, len(names) + 1):
        for subset in itertools.combinations(range(len(names)), size):
            weights = np.zeros(len(names))
            weights[list(subset)] = 1.0
            area = auroc(inside @ weights, outside @ weights)
            if area > best_auroc + 1e-12:
                best, best_auroc = weights, area
    if len(names) > 1 and min(len(inside), len(outside)) >= _FOLDS:
        area = _logistic_auroc(inside, outside)
        if area > best_auroc + 1e-12:
            best, best_auroc, how = _logistic_weights(inside, outside), area, "logistic"
    return _combination(names, scale, best, how, best_auroc)


def choose_on_held_out_classes(
    train: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike],
    logits_of: LogitsOf,
    *,
    rng: np.random.Generator,
    folds: int = _FOLDS,
    k: int = NEIGHBOURS,
) -> Combination:
    """As `choose_combination`, where no validation row is out of scope.

    The classes are parted at random; each part in turn plays what was never taught: scores and head
    (`logits_of`) are fitted without its training rows, and its validation rows are the ones to
    refuse. `train` and `validation` are (embeddings, labels). The result is standardised on rows of
    smaller models: call `rescaled` with the in-scope validation scores of the full one.
    """
    e, y = finite_table(train[0], "embeddings"), np.asarray(train[1])
    judged, truth = finite_table(validation[0], "embeddings"), np.asarray(validation[1])
    classes = np.intersect1d(y, truth)
    folds = min(folds, len(classes))
    if folds < 2 or len(np.unique(y)) < 3:
        raise InvalidInput(
            f"expected at least 3 classes, 2 of them with validation rows, found {len(classes)}",
            mend="Add rows of more classes, or out-of-scope rows.",
        )
    inside: dict[str, list[Floats]] = {}
    outside: dict[str, list[Floats]] = {}
    for away in np.array_split(rng.permutation(classes), folds):
        keep = ~np.isin(y, away)
        names, numbers = np.unique(y[keep], return_inverse=True)
        model = fit_scores(e[keep], numbers, rng=rng, k=k)
        logits = np.asarray(logits_of(e[keep], numbers.astype(np.int64), judged))
        scores = model.scores(judged, logits)
        known, unknown = np.isin(truth, names), np.isin(truth, away)
        # Each fold is another model, with a scale of its own.
        scale = Scale.of({name: score[known] for name, score in scores.items()})
        for name, column in zip(scores, scale.standard(scores).T, strict=True):
            inside.setdefault(name, []).append(column[known])
            outside.setdefault(name, []).append(column[unknown])
    return choose_combination(
        {name: np.concatenate(parts) for name, parts in inside.items()},
        {name: np.concatenate(parts) for name, parts in outside.items()},
    )


def _combination(
    names: tuple[str, ...], scale: Scale, weights: Floats, how: str, area: float
) -> Combination:
    used = [i for i in range(len(names)) if weights[i] != 0]
    return Combination(
        tuple(names[i] for i in used),
        tuple(scale.means[i] for i in used),
        tuple(scale.deviations[i] for i in used),
        tuple(float(weights[i]) for i in used),
        how,
        area,
    )


def _logistic_auroc(inside: Floats, outside: Floats) -> float:
    """Mean over folds of the AUROC on rows the weights were not fitted on."""
    in_fold, out_fold = np.arange(len(inside)) % _FOLDS, np.arange(len(outside)) % _FOLDS
    areas = []
    for fold in range(_FOLDS):
        weights = _logistic_weights(inside[in_fold != fold], outside[out_fold != fold])
        areas.append(auroc(inside[in_fold == fold] @ weights, outside[out_fold == fold] @ weights))
    return float(np.mean(areas))


def _logistic_weights(inside: Floats, outside: Floats) -> Floats:
    """Ridge-penalised logistic regression by Newton's method, both kinds of equal total weight."""
    x = np.column_stack([np.concatenate([inside, outside]), np.ones(len(inside) + len(outside))])
    y = np.repeat([1.0, 0.0], [len(inside), len(outside)])
    mass = np.repeat([0.5 / len(inside), 0.5 / len(outside)], [len(inside), len(outside)]) * len(y)
    penalty = np.full(x.shape[1], _RIDGE)
    penalty[-1] = 1e-6  # the intercept
    w = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -35, 35)))
        slope = x.T @ (mass * (p - y)) + penalty * w
        curve = (x * (mass * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        w -= step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-8:
            break
    return np.asarray(w[:-1])
