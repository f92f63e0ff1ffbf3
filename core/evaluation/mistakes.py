"""Which rows did the model get wrong, how sure was it, and what in training speaks for its answer?

The surest mistakes come first: they are wrong labels in the data, two classes that mean the same,
or what the model truly misses. The training rows beside each tell which of the three it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Examples:
    """Training rows: texts, labels, and embeddings (rows, width) of the model that is judged.

    `readable` (rows,): which texts the encoder can read; the embeddings of others mean nothing, and
    they are no one's neighbours. None: all.
    """

    texts: Sequence[str]
    labels: Sequence[str]
    embeddings: NDArray[np.float32]
    readable: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or not (
            len(self.texts) == len(self.labels) == len(self.embeddings)
        ):
            raise InvalidInput(
                f"expected a label and an embedding for each of {len(self.texts)} texts, found "
                f"{len(self.labels)} and {self.embeddings.shape}"
            )


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training row near to a wrong one; `cosine` in [-1, 1]."""

    text: str
    label: str
    cosine: float


@dataclass(frozen=True, slots=True)
class WrongRow:
    """`row`: its position; `confidence`: the probability of the predicted label; `nearest`: the
    training rows nearest to it, nearest first, empty where none were given."""

    row: int
    text: str
    truth: str
    predicted: str
    confidence: float
    nearest: tuple[Neighbour, ...]


def surest_mistakes(
    texts: Sequence[str],
    truth: Sequence[str],
    predicted: Sequence[str],
    confidence: ArrayLike,
    *,
    embeddings: ArrayLike | None = None,
    training: Examples | None = None,
    readable: ArrayLike | None = None,
    limit: int = 20,
    neighbours: int = 3,
) -> list[WrongRow]:
    """At most `limit` wrong rows, surest first, with their `neighbours` nearest training rows.

    Neighbours need both `embeddings` (rows, width) and `training`, of one encoder; rows that it
    cannot read (`readable` (rows,) is False) have none.
    """
    sure = np.asarray(confidence, dtype=np.float64)
    if not len(texts) == len(truth) == len(predicted) == len(sure):
        raise InvalidInput(
            f"expected a true label, a predicted one and a confidence for each of {len(texts)} "
            f"texts, found {len(truth)}, {len(predicted)} and {len(sure)}"
        )
    if limit < 0 or neighbours < 0:
        raise InvalidInput(f"limit and neighbours must not be negative: {limit}, {neighbours}")
    wrong = [i for i in range(len(texts)) if truth[i] != predicted[i]]
    wrong.sort(key=lambda i: (-sure[i], i))
    wrong = wrong[:limit]
    nearest: list[tuple[Neighbour, ...]] = [()] * len(wrong)
    if embeddings is not None and training is not None and wrong:
        nearest = _nearest(np.asarray(embeddings)[wrong], training, neighbours)
        if readable is not None:
            known = np.asarray(readable, dtype=bool)[wrong]
            nearest = [near if can else () for near, can in zip(nearest, known, strict=True)]
    return [
        WrongRow(i, texts[i], truth[i], predicted[i], float(sure[i]), near)
        for i, near in zip(wrong, nearest, strict=True)
    ]


def _nearest(
    embeddings: NDArray[np.generic], training: Examples, count: int
) -> list[tuple[Neighbour, ...]]:
    rows, known = _unit(embeddings), _unit(training.embeddings)
    if rows.shape[1] != known.shape[1]:
        raise InvalidInput(
            f"embeddings are {rows.shape[1]} wide, those of training {known.shape[1]}",
            mend="Make both with the model that is judged.",
        )
    cosine = rows @ known.T
    if training.readable is not None:
        cosine[:, ~training.readable] = -np.inf
        count = min(count, int(training.readable.sum()))
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
    return [
        tuple(
            Neighbour(training.texts[j], training.labels[j], float(cosine[i, j]))
            for j in order[i].tolist()
        )
        for i in range(len(rows))
    ]


def _unit(rows: NDArray[np.generic]) -> Floats:
    table = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.where(length > 0, length, 1.0))
