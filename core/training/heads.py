"""Which linear head suits these features, and how sure may it be?

A dense head reads the embedding, a lexical one the hashed n-grams; both are multinomial logistic
regressions. Everything that could be chosen (the regularisation, whether n-grams help beside the
embedding, the temperature) is chosen on rows that the judged head was not fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import fit_temperature
from core.inference.heads import LinearHead, softmax
from core.inference.ngrams import SparseRows
from core.training.linear import (
    Linear,
    apply,
    as_scipy,
    multinomial,
    one_against_rest,
    take_rows,
)
from core.training.rows import Fold, IntArray

FloatArray = npt.NDArray[np.float32]

DENSE_C = (3.0, 10.0, 30.0, 100.0)
LEXICAL_C = (3.0, 10.0, 30.0)
_MIDDLE_C = 10.0
# Rows × classes beyond which both heads take a middle value unsearched: there the best ones are the
# same within noise (BANKING77), and a search would take a minute.
_SEARCH_LIMIT = 200_000
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
) -> FittedHead:
    """Fit one head. `labels` (n,) class numbers, −1 for rows without one.

    `tuned` is a dense part that was learnt together with the encoder on the only fold's training
    rows; it is taken as it is unless a regression on the tuned embeddings has the lower held-out
    loss. With `tuned` the final head is the first fold's; else it is fitted anew on all rows.
    """
    problem = _Problem(name, classes, labels, features, seed)
    refit = tuned is None
    dense_c: float | None = problem.best_dense_c(folds[0])
    if tuned is not None and problem.tuned_is_better(tuned, dense_c, folds[0]):
        dense_c = None
    else:
        tuned = None
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
    if refit:
        every = np.arange(len(labels))
        final = problem.head(problem.dense(every, dense_c), problem.lexical(every, lexical_c))
    else:
        final = fold_heads[0][1]
    settings: dict[str, Any] = {"lexical_weight": weight, **temperatures}
    choices = {"C": dense_c, "lexical_C": lexical_c, "lexical_gain_nats": gain, **settings}
    calibrated = tuple((fold, _with(head, **settings)) for fold, head in fold_heads)
    return FittedHead(_with(final, **settings), HeldOut(rows, logits, calibrated), choices)


def starting_head(
    classes: tuple[str, ...],
    labels: IntArray,
    features: Features,
    rows: IntArray,
    *,
    seed: int,
) -> Linear:
    """The dense part that tuning begins with: a regression on `rows` with a middle penalty."""
    return _Problem("start", classes, labels, features, seed).dense(rows, _MIDDLE_C)


def refit_head(
    fitted: FittedHead, labels: IntArray, features: Features, tuned: Linear, *, seed: int
) -> FittedHead:
    """The same head after tuning on all rows.

    Its dense part is `tuned`, or a regression anew where that was chosen; the lexical one is fitted
    on all rows; everything that was chosen on held-out rows stays.
    """
    head = fitted.head
    problem = _Problem(head.name, head.labels, labels, features, seed)
    every = np.arange(len(labels))
    lexical = problem.lexical(every, fitted.choices["lexical_C"])
    c = fitted.choices["C"]
    tuned = tuned if c is None else problem.dense(every, c)
    final = _with(
        head,
        weight=tuned.weight,
        bias=tuned.bias,
        lexical=lexical.weight,
        lexical_bias=lexical.bias,
    )
    # Of the held-out rows only the agreement of int8 with fp32 is judged from now on.
    judges = tuple((fold, final) for fold, _ in fitted.held_out.fold_heads)
    held_out = HeldOut(fitted.held_out.rows, fitted.held_out.logits, judges)
    return FittedHead(final, held_out, fitted.choices)


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
        self._sparse = as_scipy(features.ngrams)
        self._fits: dict[tuple[str, bytes, float], Linear] = {}
        # Classes and solution of the last dense fit.
        self._before: tuple[IntArray, tuple[Any, Any]] | None = None

    def dense(self, rows: IntArray, c: float | None) -> Linear:
        """On the readable ones of `rows`; all zero where they hold fewer than two classes.

        Begins where the fit before ended, on other rows or with another `c`: the optimum is one,
        and from there it is half as far.
        """
        rows = rows[(self.labels[rows] >= 0) & self.features.readable[rows]]

        def fit(x: FloatArray, labels: IntArray, c: float, seed: int) -> tuple[Any, Any]:
            seen = np.unique(labels)
            before = self._before
            near = before[1] if before and np.array_equal(before[0], seen) else None
            found = multinomial(x, labels, c, seed, near)
            self._before = (seen, found)
            return found

        return self._spread("dense", fit, self.features.embeddings, rows, c or DENSE_C[-2])

    def lexical(self, rows: IntArray, c: float) -> Linear:
        """On all of `rows`, readable or not."""
        rows = rows[self.labels[rows] >= 0]
        return self._spread("lexical", one_against_rest, self._sparse, rows, c)

    def head(self, dense: Linear, lexical: Linear) -> LinearHead:
        return LinearHead(
            self.name, self.classes, dense.weight, dense.bias, lexical.weight, lexical.bias
        )

    def best_dense_c(self, fold: Fold) -> float:
        if len(fold.train) * len(self.classes) > _SEARCH_LIMIT:
            return _MIDDLE_C
        held = self._labelled(fold.held_out, readable=True)
        return self._best(
            DENSE_C,
            lambda c: apply(self.dense(fold.train, c), self.features.embeddings[held]),
            held,
        )

    def tuned_is_better(self, tuned: Linear, c: float | None, fold: Fold) -> bool:
        """Whether the head that was learnt with the encoder has no higher held-out loss than the
        regression with `c`; so also where there is nothing to judge by."""
        held = self._labelled(fold.held_out, readable=True)
        if len(held) == 0:
            return True
        x = self.features.embeddings[held]
        losses = [
            _calibrated_loss(apply(dense, x), self.labels[held])
            for dense in (tuned, self.dense(fold.train, c))
        ]
        return losses[0] <= losses[1]

    def best_lexical_c(self, fold: Fold) -> float:
        if len(fold.train) * len(self.classes) > _SEARCH_LIMIT:
            return LEXICAL_C[1]
        # The lexical head decides alone on unreadable text, so that is where it is judged,
        # if there is enough of it.
        held = self._labelled(fold.held_out, readable=False)
        if len(held) < 20:
            held = self._labelled(fold.held_out)
        return self._best(
            LEXICAL_C,
            lambda c: apply(self.lexical(fold.train, c), self._sparse[held]),
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
                apply(
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
        best, least = candidates[0], float("inf")
        for c in candidates:  # the loss has one valley: where it rises, the rest is worse
            loss = _calibrated_loss(predict(c), self.labels[held])
            if loss > least:
                break
            best, least = c, loss
        return best

    def _spread(self, kind: str, fit: Any, x: Any, rows: IntArray, c: float) -> Linear:
        """Fit on the classes that occur in `rows`; the others get weight 0 and a low bias."""
        key = (kind, rows.tobytes(), c)
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


def _calibrated_loss(logits: FloatArray, labels: IntArray) -> float:
    """Mean negative log-likelihood (nats) at the best temperature."""
    probabilities = softmax((logits / fit_temperature(logits, labels)).astype(np.float32))
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean())


def _with(head: LinearHead, **changes: Any) -> LinearHead:
    from dataclasses import replace

    return replace(head, **changes)
