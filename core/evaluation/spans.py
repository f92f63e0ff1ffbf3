"""How many of the spans in the texts were found, exactly?

A span counts as found where start, end and label all agree, as in the CoNLL-2003 shared task
(Tjong Kim Sang and De Meulder 2003); nothing is given for a part of one. Micro figures count spans
over all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.data.tagged import Span
from core.errors import InvalidInput
from core.evaluation.intervals import bootstrap_statistic

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Precision, recall and F1 in [0, 1], 0 where undefined; `support`: spans in the truth."""

    precision: float
    recall: float
    f1: float
    support: int


def span_counts(truth: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> Counts:
    """(texts, 3): spans found and true, spans found, spans true, of each text."""
    if len(truth) != len(found):
        raise InvalidInput(f"expected spans of {len(truth)} texts, found those of {len(found)}")
    rows = [
        (len(set(true) & set(guess)), len(set(guess)), len(set(true)))
        for true, guess in zip(truth, found, strict=True)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def scores_of(counts: Counts) -> SpanScores:
    """Micro scores of the rows of `span_counts`."""
    right, found, true = (int(n) for n in counts.sum(axis=0))
    f1 = 2 * right / (found + true) if found + true else 0.0
    return SpanScores(right / found if found else 0.0, right / true if true else 0.0, f1, true)


def micro_scores(truth: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> SpanScores:
    """Scores over all spans of all texts."""
    return scores_of(span_counts(truth, found))


def scores_by_label(
    truth: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]
) -> dict[str, SpanScores]:
    """Label → scores over its spans alone, labels sorted."""
    labels = sorted({span.label for spans in (*truth, *found) for span in spans})
    return {
        label: micro_scores(
            [[s for s in spans if s.label == label] for spans in truth],
            [[s for s in spans if s.label == label] for spans in found],
        )
        for label in labels
    }


def f1_interval(counts: Counts, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval of micro F1; texts are drawn, since spans of a text hang together."""
    return bootstrap_statistic(len(counts), lambda rows: scores_of(counts[rows]).f1, rng)
