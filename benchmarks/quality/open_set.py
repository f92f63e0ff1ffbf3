"""How well does a score tell in-scope from out-of-scope rows?

Scores are dictionaries of part ("in", "out") → (n,) values, higher = surer in scope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.quality.common import Bar, Board, Frozen, Served
from core.evaluation.openset import auroc, fpr95, recall_at_false_rejection
from core.inference.neighbours import kth_similarity

Scores = Mapping[str, npt.NDArray[np.float64]]


def frozen_scores(rival: Frozen, texts: Mapping[str, Sequence[str]]) -> tuple[Scores, str]:
    """Largest logit + fifth nearest neighbour, each standardised on in-scope validation rows."""
    largest = rival.logits.max(axis=1)
    near = kth_similarity(rival.test_embeddings, rival.train_embeddings)
    parts, start = {}, 0
    for name in texts:
        rows = slice(start, start + len(texts[name]))
        parts[name] = (largest[rows], near[rows])
        start += len(texts[name])
    logit, similarity = parts["valid_in"]
    return {
        name: (a - logit.mean()) / logit.std() + (b - similarity.mean()) / similarity.std()
        for name, (a, b) in parts.items()
    }, "largest logit + 5th neighbour"


def served_scores(served: Served, texts: Mapping[str, Sequence[str]]) -> tuple[Scores, str]:
    """What the artefact says by itself."""
    scores = {
        name: served.predict(of).in_scope.astype(np.float64) for name, of in texts.items() if of
    }
    return scores, "the served score"


def add_open_set(
    board: Board,
    system: str,
    scores: Scores,
    note: str,
    *,
    auroc_bar: Bar | None = None,
    recall_bar: Bar | None = None,
) -> None:
    """AUROC, recall at 4 % false rejection and FPR95 on the test parts."""
    inside, outside = scores["in"], scores["out"]
    count = len(inside) + len(outside)

    def part(
        rows: npt.NDArray[np.intp],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return inside[rows[rows < len(inside)]], outside[rows[rows >= len(inside)] - len(inside)]

    board.add(system, "oos AUROC", count, lambda r: auroc(*part(r)), bar=auroc_bar, note=note)
    board.add(
        system,
        "oos recall at 4 % false rejection",
        count,
        lambda r: recall_at_false_rejection(*part(r)),
        bar=recall_bar,
    )
    board.add(system, "oos FPR95", count, lambda r: fpr95(*part(r)))
