"""How well do predicted labels agree with the truth?

Labels are strings or integers. Classes are those that stand in the truth or in the predictions.
Every function needs at least one row and the same number of labels on both sides (InvalidInput).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Label = str | int


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[i, j]`: rows whose true class is `labels[i]` and predicted class `labels[j]`."""

    labels: tuple[Label, ...]
    counts: Integers


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of each class, in [0, 1], aligned with `labels`; `support` counts its true rows.

    Precision of a class never predicted, and recall of a class never true, count as 0.
    """

    labels: tuple[Label, ...]
    precision: Floats
    recall: Floats
    f1: Floats
    support: Integers


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike) -> Confusion:
    """Counts of (true, predicted) pairs, shape (classes, classes), classes in sorted order."""
    true, guess = _aligned(truth, predicted)
    labels, codes = np.unique(np.concatenate([true, guess]), return_inverse=True)
    size = len(labels)
    pairs = codes[: len(true)] * size + codes[len(true) :]
    counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
    return Confusion(tuple(labels.tolist()), counts.astype(np.int64))


def accuracy(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Share of rows whose predicted label is the true one."""
    true, guess = _aligned(truth, predicted)
    return float(np.mean(true == guess))


def precision_recall_f1(truth: ArrayLike, predicted: ArrayLike) -> ClassScores:
    """Precision TP/(TP+FP), recall TP/(TP+FN) and their harmonic mean F1, for each class."""
    confusion = confusion_matrix(truth, predicted)
    hits = np.diagonal(confusion.counts).astype(np.float64)
    guessed, support = confusion.counts.sum(axis=0), confusion.counts.sum(axis=1)
    return ClassScores(
        labels=confusion.labels,
        precision=_ratio(hits, guessed),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, guessed + support),
        support=support,
    )


def macro_f1(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Plain mean of the classes' F1: a rare class counts as much as a frequent one."""
    return float(np.mean(precision_recall_f1(truth, predicted).f1))


def weighted_f1(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of the classes' F1 weighted by support."""
    scores = precision_recall_f1(truth, predicted)
    return float(np.average(scores.f1, weights=scores.support))


def mcc(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Matthews correlation coefficient for any number of classes, in [-1, 1].

    R_K of Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation
    coefficient". 0 where truth or predictions hold a single class.
    """
    counts = confusion_matrix(truth, predicted).counts.astype(np.float64)
    total, hits = counts.sum(), np.trace(counts)
    true, guessed = counts.sum(axis=1), counts.sum(axis=0)
    spread = (total**2 - guessed @ guessed) * (total**2 - true @ true)
    if spread <= 0:
        return 0.0
    return float((hits * total - true @ guessed) / np.sqrt(spread))


def per_class_report(truth: ArrayLike, predicted: ArrayLike) -> dict[str, dict[str, float]]:
    """Label → precision, recall, f1, support.

    Ready for JSON: `{"refund": {"precision": .9, "recall": .8, "f1": .85, "support": 40}}`.
    """
    scores = precision_recall_f1(truth, predicted)
    return {
        str(label): {
            "precision": float(scores.precision[i]),
            "recall": float(scores.recall[i]),
            "f1": float(scores.f1[i]),
            "support": int(scores.support[i]),
        }
        for i, label in enumerate(scores.labels)
    }


def top_confusions(truth: ArrayLike, predicted: ArrayLike, top_k: int = 10) -> list[Mistake]:
    """The most frequent mistakes, most frequent first."""
    confusion = confusion_matrix(truth, predicted)
    wrong = confusion.counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:top_k]
    mistakes = []
    for true, guess in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[true, guess]:
            labels = confusion.labels
            mistakes.append(Mistake(labels[true], labels[guess], int(wrong[true, guess])))
    return mistakes


@dataclass(frozen=True, slots=True)
class Mistake:
    """`count` rows of class `truth` were predicted as `predicted`."""

    truth: Label
    predicted: Label
    count: int


def _ratio(numerator: Floats, denominator: Integers) -> Floats:
    return np.divide(
        numerator, denominator, out=np.zeros(len(numerator)), where=denominator.astype(bool)
    )


def _aligned(truth: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.generic], ...]:
    true, guess = _labels(truth), _labels(predicted)
    if true.shape != guess.shape or true.ndim != 1:
        raise InvalidInput(
            f"expected one prediction a row, found {true.shape} true and {guess.shape} predicted"
        )
    if true.size == 0:
        raise InvalidInput("expected at least 1 row to measure on, found 0")
    if (true.dtype.kind == "U") != (guess.dtype.kind == "U"):
        raise InvalidInput("expected labels of one kind, found strings and integers")
    return true, guess


def _labels(values: ArrayLike) -> NDArray[np.generic]:
    array: NDArray[np.generic] = np.asarray(
        list(values) if isinstance(values, Sequence) and not isinstance(values, str) else values
    )
    return array.astype(np.str_) if array.dtype.kind in "OT" else array
