"""What does a model say of labelled rows, and which metric is which function of them?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.data.records import OUT_OF_SCOPE
from core.errors import InvalidInput
from core.evaluation.calibration import brier, ece
from core.evaluation.classification import accuracy, precision_recall_f1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Key in JSON → what a person reads.
METRICS: Final = {
    "accuracy": "accuracy",
    "macro_precision": "precision, mean of classes",
    "macro_recall": "recall, mean of classes",
    "macro_f1": "F1, mean of classes",
    "weighted_f1": "F1, weighted by rows",
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
}


@dataclass(frozen=True)
class Judged:
    """Labelled rows and what a model says of them.

    `probabilities` and `logits` (rows, classes) in the order of `classes`; `in_scope` (rows,) the
    out-of-scope score, higher is surer; `embeddings` (rows, width); `readable` (rows,) which texts
    the encoder could read (None: all). What is None is left out.
    """

    texts: Sequence[str]
    truth: Sequence[str]
    classes: Sequence[str]
    probabilities: NDArray[Any]
    in_scope: NDArray[Any] | None = None
    embeddings: NDArray[Any] | None = None
    logits: NDArray[Any] | None = None
    readable: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        expected = (len(self.texts), len(self.classes))
        if self.probabilities.shape != expected or len(self.truth) != len(self.texts):
            raise InvalidInput(
                f"expected probabilities of shape {expected} and as many labels as texts, "
                f"were: {self.probabilities.shape} and {len(self.truth)}"
            )

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(rows,) whether the row is in scope."""
        return np.array([label.casefold() != OUT_OF_SCOPE for label in self.truth], dtype=bool)

    @property
    def predicted(self) -> list[str]:
        """The most probable label of each row."""
        return [self.classes[i] for i in self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> Floats:
        """(rows,) its probability."""
        return np.asarray(self.probabilities.max(axis=1), dtype=np.float64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(rows,) whether it is the true one."""
        pairs = zip(self.truth, self.predicted, strict=True)
        return np.array([truth == guess for truth, guess in pairs], dtype=bool)

    def take(self, rows: NDArray[Any]) -> Judged:
        """Some of the rows."""
        numbers = np.arange(len(self.texts))[rows].tolist()

        def part(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[numbers]

        return Judged(
            [self.texts[i] for i in numbers],
            [self.truth[i] for i in numbers],
            self.classes,
            self.probabilities[numbers],
            part(self.in_scope),
            part(self.embeddings),
            part(self.logits),
            part(self.readable),
        )


class Coded:
    """In-scope rows with class numbers: metrics as functions of row positions.

    A true label that the model does not know gets a column of its own, with no chance at all.
    """

    def __init__(self, inside: Judged) -> None:
        names = [*inside.classes, *sorted(set(inside.truth) - set(inside.classes))]
        number = {name: i for i, name in enumerate(names)}
        self.truth = np.array([number[name] for name in inside.truth], dtype=np.int64)
        self.best = inside.probabilities.argmax(axis=1).astype(np.int64)
        extra = len(names) - len(inside.classes)
        self.probabilities = np.pad(
            np.asarray(inside.probabilities, dtype=np.float64), ((0, 0), (0, extra))
        )

    def metric(self, name: str, rows: Integers) -> float:
        """One of METRICS on these rows, repeats included."""
        truth, best = self.truth[rows], self.best[rows]
        if name == "accuracy":
            return accuracy(truth, best)
        if name in ("ece", "brier"):
            compute: Callable[..., float] = ece if name == "ece" else brier
            return compute(self.probabilities[rows], truth)
        scores = precision_recall_f1(truth, best)
        if name == "weighted_f1":
            return float(np.average(scores.f1, weights=scores.support))
        return float(np.mean(getattr(scores, name.removeprefix("macro_"))))
