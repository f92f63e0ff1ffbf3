"""Which linear head suits these features, and how sure may it be?

A dense head reads the embedding, a lexical one the hashed n-grams; both are multinomial logistic
regressions. Everything that could be chosen (the regularisation, whether n-grams help beside the
embedding, the temperature) is chosen on rows that the judged head was not fitted on.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import fit_temperature
from core.inference.heads import LinearHead, softmax
from core.inference.ngrams import BUCKETS, SparseRows
from core.training.rows import Fold, IntArray

FloatArray = npt.NDArray[np.float32]

DENSE_C = (3.0, 10.0, 30.0, 100.0)
LEXICAL_C = (3.0, 10.0, 30.0)
# Rows × classes beyond which the lexical head takes the middle value unsearched: there its best
# value is the same within noise (BANKING77), and a search would take a minute.
_LEXICAL_SEARCH_LIMIT = 200_000
LEXICAL_WEIGHTS = (0.0, 0.2, 0.4, 0.7, 1.0)
# A gain in log-loss below this is noise; the simpler model is kept.
_MIN_GAIN = 0.005
# The logit of a class that was never seen among the rows of a head.
_UNSEEN = -10.0


@dataclass(frozen=True)
class Features:
    """Of n rows: `embeddings` (n, width), `ngrams` (n rows), `readable` (n,)."""

    embeddings: FloatArray
    ngrams: SparseRows
    readable: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Linear:
    """`weight` (features, classes) and `bias` (classes,)."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class HeldOut:
    """What the chosen head says of rows it was not fitted on.

    `rows`: (m,) row numbers; `logits`: (m, classes); `fold_heads`: the head of each fold, which
    judges other versions of the same rows (int8).
    """

    rows: IntArray
    logits: FloatArray
    fold_heads: tuple[tuple[Fold, LinearHead], ...]


@dataclass(frozen=True)
class FittedHead:
    """The head fitted on all rows, and the evidence for its settings."""

    head: LinearHead
    held_out: HeldOut
    choices: Mapping[str, Any]


def fit_head(
    name: str,
    classes: tuple[str, ...],
    labels: IntArray,
    features: Features,
    folds: Sequence[Fold],
    *,
    seed: int,
    tuned: Linear | None = None,
    refit: bool = True,
) -> FittedHead:
    """Fit one head. `labels` (n,) class numbers, −1 for rows without one.

    `tuned` is a dense part that was learnt together with the encoder on the only fold's training
    rows; it is then taken as it is. Without `refit`, or with `tuned`, the final head is the first
    fold's; else it is fitted anew on all rows.
    """
    problem = _Problem(name, classes, labels, features, seed)
    dense_c = problem.best_dense_c(folds[0]) if tuned is None else None
    lexical_c = problem.best_lexical_c(folds[0])
    parts = [
        (fold, tuned or problem.dense(fold.train, dense_c), problem.lexical(fold.train, lexical_c))
        for fold in folds
    ]
    fold_heads = [(fold, problem.head(dense, lexical)) for fold, dense, lexical in parts]
    weight, gain = problem.best_lexical_weight(fold_heads)
    fold_heads = [(fold, _with(head, lexical_weight=weight)) for fold, head in fold_heads]
    rows, logits = problem.held_out_logits(fold_heads)
    temperatures = problem.temperatures(rows, logits, fold_heads)
    if tuned is None and refit:
        every = np.arange(len(labels))
        final = problem.head(problem.dense(every, dense_c), problem.lexical(every, lexical_c))
    else:
        final = fold_heads[0][1]
    settings: dict[str, Any] = {"lexical_weight": weight, **temperatures}
    choices = {"C": dense_c, "lexical_C": lexical_c, "lexical_gain_nats": gain, **settings}
    calibrated = tuple((fold, _with(head, **settings)) for fold, head in fold_heads)
    return FittedHead(_with(final, **settings), HeldOut(rows, logits, calibrated), choices)


class _Problem:
    """The rows of one head, and the fits on parts of them."""

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...],
        labels: IntArray,
        features: Features,
        seed: int,
    ) -> None:
        self.name = name
        self.classes = classes
        self.labels = labels
        self.features = features
        self.seed = seed
        self._sparse = _as_scipy(features.ngrams)
        self._fits: dict[tuple[str, bytes, float], Linear] = {}

    def dense(self, rows: IntArray, c: float | None) -> Linear:
        """On the readable ones of `rows`; all zero where they hold fewer than two classes."""
        rows = rows[(self.labels[rows] >= 0) & self.features.readable[rows]]
        return self._spread(_multinomial, self.features.embeddings, rows, c or DENSE_C[-2])

    def lexical(self, rows: IntArray, c: float) -> Linear:
        """On all of `rows`, readable or not."""
        rows = rows[self.labels[rows] >= 0]
        return self._spread(_one_against_rest, self._sparse, rows, c)

    def head(self, dense: Linear, lexical: Linear) -> LinearHead:
        return LinearHead(
            self.name, self.classes, dense.weight, dense.bias, lexical.weight, lexical.bias
        )

    def best_dense_c(self, fold: Fold) -> float:
        held = self._labelled(fold.held_out, readable=True)
        return self._best(
            DENSE_C,
            lambda c: _apply(self.dense(fold.train, c), self.features.embeddings[held]),
            held,
        )

    def best_lexical_c(self, fold: Fold) -> float:
        if len(fold.train) * len(self.classes) > _LEXICAL_SEARCH_LIMIT:
            return LEXICAL_C[1]
        # The lexical head decides alone on unreadable text, so that is where it is judged,
        # if there is enough of it.
        held = self._labelled(fold.held_out, readable=False)
        if len(held) < 20:
            held = self._labelled(fold.held_out)
        return self._best(
            LEXICAL_C,
            lambda c: _apply(self.lexical(fold.train, c), self._sparse[held]),
            held,
        )

    def best_lexical_weight(
        self, fold_heads: Sequence[tuple[Fold, LinearHead]]
    ) -> tuple[float, float]:
        """The weight beside the embedding with the least held-out log-loss, and its gain."""
        losses = []
        for weight in LEXICAL_WEIGHTS:
            heads = [(fold, _with(head, lexical_weight=weight)) for fold, head in fold_heads]
            rows, logits = self.held_out_logits(heads)
            keep = self.features.readable[rows]
            if not keep.any():
                return 1.0, 0.0
            losses.append(_calibrated_loss(logits[keep], self.labels[rows[keep]]))
        best = int(np.argmin(losses))
        gain = float(losses[0] - losses[best])
        return (LEXICAL_WEIGHTS[best], gain) if gain >= _MIN_GAIN else (0.0, 0.0)

    def held_out_logits(
        self, fold_heads: Sequence[tuple[Fold, LinearHead]]
    ) -> tuple[IntArray, FloatArray]:
        rows = np.concatenate([self._labelled(fold.held_out) for fold, _ in fold_heads])
        logits = [
            head.logits(*self._take(self._labelled(fold.held_out))) for fold, head in fold_heads
        ]
        return rows, np.concatenate(logits)

    def temperatures(
        self,
        rows: IntArray,
        logits: FloatArray,
        fold_heads: Sequence[tuple[Fold, LinearHead]],
    ) -> dict[str, float]:
        """One for readable and one for unreadable text; few of a kind → from all rows."""
        readable = self.features.readable[rows]
        lexical = np.concatenate(
            [
                _apply(
                    Linear(head.lexical, head.lexical_bias),
                    self._sparse[self._labelled(fold.held_out)],
                )
                for fold, head in fold_heads
            ]
        )
        of_lexical = ~readable if (~readable).sum() >= 20 else np.ones_like(readable)
        of_dense = readable if readable.sum() >= 20 else np.ones_like(readable)
        if len(rows) == 0:  # nothing to calibrate on
            return {"temperature": 1.0, "lexical_temperature": 1.0}
        return {
            "temperature": fit_temperature(logits[of_dense], self.labels[rows[of_dense]]),
            "lexical_temperature": fit_temperature(
                lexical[of_lexical], self.labels[rows[of_lexical]]
            ),
        }

    def _take(self, rows: IntArray) -> tuple[FloatArray, SparseRows, npt.NDArray[np.bool_]]:
        return (
            self.features.embeddings[rows],
            take_rows(self.features.ngrams, rows),
            self.features.readable[rows],
        )

    def _labelled(self, rows: IntArray, readable: bool | None = None) -> IntArray:
        keep = self.labels[rows] >= 0
        if readable is not None:
            keep &= self.features.readable[rows] == readable
        return rows[keep]

    def _best(self, candidates: Sequence[float], predict: Any, held: IntArray) -> float:
        if len(held) == 0:
            return candidates[len(candidates) // 2]
        losses = [_calibrated_loss(predict(c), self.labels[held]) for c in candidates]
        return candidates[int(np.argmin(losses))]

    def _spread(self, fit: Any, x: Any, rows: IntArray, c: float) -> Linear:
        """Fit on the classes that occur in `rows`; the others get weight 0 and a low bias."""
        key = (fit.__name__, rows.tobytes(), c)
        if key in self._fits:  # the search for C has fitted it already
            return self._fits[key]
        weight = np.zeros((x.shape[1], len(self.classes)), dtype=np.float32)
        bias = np.full(len(self.classes), _UNSEEN, dtype=np.float32)
        seen = np.unique(self.labels[rows])
        if len(seen) < 2:
            bias[:] = 0.0
        else:
            weight[:, seen], bias[seen] = fit(x[rows], self.labels[rows], c, self.seed)
        self._fits[key] = Linear(weight, bias)
        return self._fits[key]


def _multinomial(x: FloatArray, labels: IntArray, c: float, seed: int) -> tuple[Any, Any]:
    """Weights (width, classes) and biases (classes,) of one softmax over the classes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Stopping short of the optimum does no harm: validation judges what came out.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=c, max_iter=300, random_state=seed).fit(x, labels)
    if len(fitted.classes_) == 2:  # one row of weights, for the second class
        half = fitted.coef_[0] / 2, fitted.intercept_[0] / 2
        return np.stack([-half[0], half[0]], axis=1), np.array([-half[1], half[1]])
    return fitted.coef_.T, fitted.intercept_


def _one_against_rest(x: Any, labels: IntArray, c: float, seed: int) -> tuple[Any, Any]:
    """As `_multinomial`, but a logistic regression per class, in the dual.

    On 32,768 sparse columns that takes a second where one softmax takes minutes, and the
    temperature makes probabilities of its scores as well.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weights, biases = [], []
    for class_number in np.unique(labels):
        model = LogisticRegression(
            C=c, solver="liblinear", dual=True, tol=0.1, max_iter=50, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, labels == class_number)
        weights.append(model.coef_[0])
        biases.append(model.intercept_[0])
    return np.stack(weights, axis=1), np.array(biases)


def take_rows(ngrams: SparseRows, rows: IntArray) -> SparseRows:
    """The given rows, in the given order."""
    if len(rows) == len(ngrams) and np.array_equal(rows, np.arange(len(ngrams))):
        return ngrams
    spans = [slice(ngrams.starts[r], ngrams.starts[r + 1]) for r in rows]
    lengths = [s.stop - s.start for s in spans]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    empty: list[Any] = [np.empty(0, np.int32)]
    return SparseRows(
        np.concatenate([ngrams.indices[s] for s in spans] or empty),
        np.concatenate([ngrams.values[s] for s in spans] or empty).astype(np.float32),
        starts,
    )


def _as_scipy(ngrams: SparseRows) -> Any:
    from scipy.sparse import csr_matrix

    shape = (len(ngrams), BUCKETS)
    return csr_matrix((ngrams.values, ngrams.indices, ngrams.starts), shape=shape)


def _apply(linear: Linear, x: Any) -> FloatArray:
    return np.asarray(x @ linear.weight + linear.bias, dtype=np.float32)


def _calibrated_loss(logits: FloatArray, labels: IntArray) -> float:
    """Mean negative log-likelihood (nats) at the best temperature."""
    probabilities = softmax((logits / fit_temperature(logits, labels)).astype(np.float32))
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean())


def _with(head: LinearHead, **changes: Any) -> LinearHead:
    from dataclasses import replace

    return replace(head, **changes)
