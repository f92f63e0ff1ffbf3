"""What does a model that never saw them say of the held-out rows, and what is it worth?

Everything that is served with a model beside its weights is measured here on such rows: the figures
of the manifest, the scale of the out-of-scope score, and whether int8 does any harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.calibration import ece
from core.evaluation.classification import accuracy, macro_f1
from core.evaluation.intervals import bootstrap_interval
from core.evaluation.open_set_scores import fit_scores
from core.inference.encoder import Encoded
from core.inference.heads import LinearHead
from core.inference.ngrams import SparseRows
from core.inference.open_set import (
    ENERGY,
    LOGIT,
    MAHALANOBIS,
    NEIGHBOUR,
    Combination,
    OpenSetModel,
)
from core.inference.quantize import PrecisionReport, choose_precision
from core.training.heads import FittedHead, HeldOut
from core.training.linear import take_rows
from core.training.rows import IntArray, TrainingRows

FloatArray = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

# Equal weights of scores that fail differently: the neighbour knows other domains best, logit and
# distance unknown classes of the same one (docs/decisions/0019-open-set-score.md).
OPEN_SET = (LOGIT, ENERGY, NEIGHBOUR, MAHALANOBIS)
# Fewer rows of a kind tell nothing of its scale.
_FEWEST = 10


@dataclass(frozen=True)
class HeldOutPredictions:
    """What a model that never saw them says of m rows.

    `rows` (m,) numbers of the rows given, `labels` (m,) class numbers, `probabilities`
    (m, classes), `in_scope` (m,) score, higher is surer.
    """

    rows: IntArray
    labels: IntArray
    classes: tuple[str, ...]
    probabilities: FloatArray
    in_scope: FloatArray


def judge_precision(
    folder: Path,
    rows: TrainingRows,
    ngrams: SparseRows,
    encoded: Encoded,
    held_out: HeldOut,
    *,
    threads: int,
) -> PrecisionReport:
    """Judged on the first head's readable held-out rows, each by the head that never saw it.

    `encoded` is what the fp32 encoder in `folder` says of all rows.
    """
    judges: list[tuple[LinearHead, IntArray]] = []
    label_of = dict.fromkeys(held_out.rows.tolist())
    for fold, head in held_out.fold_heads:
        mine = [r for r in fold.held_out.tolist() if r in label_of and encoded.readable[r]]
        judges.append((head, np.array(mine, dtype=np.intp)))
    order = np.concatenate([rows for _, rows in judges]).astype(np.intp)
    name = held_out.fold_heads[0][1].name

    def decide(embeddings: FloatArray) -> IntArray:
        decided, start = [], 0
        for head, mine in judges:
            part = embeddings[start : start + len(mine)]
            start += len(mine)
            known = np.ones(len(mine), dtype=np.bool_)
            logits = head.logits(part, take_rows(ngrams, mine), known)
            decided.append(logits.argmax(axis=1))
        return np.concatenate(decided)

    return choose_precision(
        folder,
        [rows.texts[r] for r in order],
        rows.labels[name][order],
        decide,
        reference=encoded.embeddings[order],
        threads=threads,
    )


def judge_held_out(
    fitted: Sequence[FittedHead],
    rows: TrainingRows,
    ngrams: SparseRows,
    encoded: Encoded,
    *,
    seed: int,
) -> tuple[dict[str, HeldOutPredictions], tuple[Combination, Combination]]:
    """Held-out predictions of each head, and the out-of-scope scores' scale for text that the
    encoder can read and for text that it cannot.

    `encoded`: all rows in the precision that is served. Each row is compared with the training
    rows of its own fold only.
    """
    predictions = {
        f.head.name: _predict(f, rows.labels[f.head.name], ngrams, encoded) for f in fitted
    }
    first = next(iter(predictions.values()))
    readable = encoded.readable[first.rows]
    scores = _held_out_scores(fitted[0], rows.labels[fitted[0].head.name], ngrams, encoded, seed)
    dense, lexical = _scaled(scores, OPEN_SET, readable), _scaled(scores, (LOGIT,), ~readable)
    in_scope = np.empty(0)
    if len(first.rows):
        in_scope = np.where(readable, dense.score(scores), lexical.score(scores))
    named = {row: float(s) for row, s in zip(first.rows.tolist(), in_scope, strict=True)}
    return {
        name: HeldOutPredictions(
            p.rows,
            p.labels,
            p.classes,
            p.probabilities,
            np.array([named.get(r, np.nan) for r in p.rows.tolist()], dtype=np.float32),
        )
        for name, p in predictions.items()
    }, (dense, lexical)


def fit_open_set(labels: IntArray, encoded: Encoded, rows: IntArray, seed: int) -> OpenSetModel:
    """From the labelled ones of `rows` that the encoder can read; from all where it reads none."""
    labelled = rows[labels[rows] >= 0]
    readable = labelled[encoded.readable[labelled]]
    kept = readable if len(readable) else labelled
    rng = np.random.default_rng(seed)
    return fit_scores(encoded.embeddings[kept], labels[kept], rng=rng)


def _held_out_scores(
    fitted: FittedHead, labels: IntArray, ngrams: SparseRows, encoded: Encoded, seed: int
) -> dict[str, Floats]:
    """Score → (m,) in the order of `_predict`'s rows."""
    parts: dict[str, list[Floats]] = {}
    for fold, head in fitted.held_out.fold_heads:
        mine = fold.held_out[labels[fold.held_out] >= 0]
        if len(mine) == 0:
            continue
        model = fit_open_set(labels, encoded, fold.train, seed)
        logits = head.logits(
            encoded.embeddings[mine], take_rows(ngrams, mine), encoded.readable[mine]
        )
        for name, score in model.scores(encoded.embeddings[mine], logits).items():
            parts.setdefault(name, []).append(score)
    return {name: np.concatenate(of) for name, of in parts.items()}


def _scaled(
    scores: Mapping[str, Floats], names: tuple[str, ...], keep: npt.NDArray[np.bool_]
) -> Combination:
    """Equal weights, standardised on the rows to keep, or on all where those are too few."""
    ones = (1.0,) * len(names)
    plain = Combination(names, (0.0,) * len(names), ones, ones, "equal")
    if not scores:
        return plain
    if keep.sum() < _FEWEST:
        keep = np.ones_like(keep)
    return plain.rescaled({name: scores[name][keep] for name in names})


def _predict(
    fitted: FittedHead, labels: IntArray, ngrams: SparseRows, encoded: Encoded
) -> HeldOutPredictions:
    rows, probabilities = [], []
    for fold, head in fitted.held_out.fold_heads:
        mine = fold.held_out[labels[fold.held_out] >= 0]
        prediction = head.predict(
            encoded.embeddings[mine], take_rows(ngrams, mine), encoded.readable[mine]
        )
        rows.append(mine)
        probabilities.append(prediction.probabilities)
    order = np.concatenate(rows)
    unscored = np.full(len(order), np.nan, dtype=np.float32)
    return HeldOutPredictions(
        order, labels[order], fitted.head.labels, np.concatenate(probabilities), unscored
    )


def figures(held_out: HeldOutPredictions, seed: int) -> dict[str, Any]:
    """Accuracy, macro F1 and ECE on held-out rows, with bootstrap intervals (95 %).

    All are None for a head of which no labelled row could be held out.
    """
    if len(held_out.rows) == 0:
        names = ("accuracy", "accuracy_ci", "macro_f1", "ece")
        return {"rows": 0, **dict.fromkeys(names)}
    best = held_out.probabilities.argmax(axis=1)
    right = (best == held_out.labels).astype(np.float64)
    return {
        "rows": len(best),
        "accuracy": accuracy(held_out.labels, best),
        "accuracy_ci": list(bootstrap_interval(right, np.random.default_rng(seed))),
        "macro_f1": macro_f1(held_out.labels, best),
        "ece": ece(held_out.probabilities, held_out.labels),
    }
