"""How often does a search find the text that belongs to the query, and how far up?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.evaluation.intervals import bootstrap_interval
from core.evaluation.ranking import NOT_RANKED, Integers, metrics_from_ranks, ranks_from_scores

Floats = npt.NDArray[np.float64]
TOP_K = 10
_BLOCK = 256


def search_metrics(
    queries: npt.NDArray[np.floating],
    texts: npt.NDArray[np.floating],
    relevant: Sequence[npt.ArrayLike],
    *,
    top_k: int = TOP_K,
) -> dict[str, Floats]:
    """ "recall@k" and "mrr@k", (queries,) each, of the ranking of all texts by inner product.

    `queries` (n, width), `texts` (m, width), `relevant[i]`: positions of the texts of query i.
    """
    ranks: list[Integers] = []
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ texts.T
        ranks += ranks_from_scores(scores, relevant[start : start + _BLOCK])
    return metrics_at(ranks, top_k)


def metrics_at(ranks: Sequence[npt.ArrayLike], top_k: int = TOP_K) -> dict[str, Floats]:
    """ "recall@k" and "mrr@k" of each query, from the ranks of its relevant texts (0: not found).

    The reciprocal rank of a first hit beyond k counts as 0, as in MS MARCO.
    """
    found = [np.asarray(r, dtype=np.int64) for r in ranks]
    cut = [np.where(r <= top_k, r, NOT_RANKED) for r in found]
    metrics = metrics_from_ranks(cut, ndcg_at=(), recall_at=(top_k,))
    return {f"recall@{top_k}": metrics[f"recall@{top_k}"], f"mrr@{top_k}": metrics["mrr"]}


def with_intervals(metrics: Mapping[str, Floats], seed: int) -> dict[str, Any]:
    """Means over the queries, each with a 95 % bootstrap interval under `…_ci`."""
    report: dict[str, Any] = {}
    for name, values in metrics.items():
        report[name] = float(np.nanmean(values))
        report[f"{name}_ci"] = list(bootstrap_interval(values, np.random.default_rng(seed)))
    return report
