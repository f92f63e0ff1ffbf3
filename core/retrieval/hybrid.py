"""How do dense and lexical answers become one list?

By a weighted sum of normalised scores where a weight was tuned on validation queries, by reciprocal
rank fusion where there was nothing to tune on. Where the encoder cannot read the query, the lexical
side decides alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from core.errors import InvalidInput
from core.evaluation.ranking import mrr
from core.retrieval.dense import DenseIndex
from core.retrieval.ids import Hit, check_top_k
from core.retrieval.lexical import LexicalIndex

Encode = Callable[[str], ArrayLike]

RRF_K = 60
CANDIDATES = 100
WEIGHT_GRID = tuple(round(step * 0.05, 2) for step in range(21))


class FusedHit(NamedTuple):
    """One answer with its fused score, and the raw ones (None where a side did not give it)."""

    id: str
    score: float
    dense: float | None
    lexical: float | None


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]], k: int = RRF_K) -> list[Hit]:
    """One list from several, best first: each id scores the sum of 1 / (k + its rank), from 1.

    Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion Outperforms Condorcet and Individual
    Rank Learning Methods". Equal scores go by id.
    """
    if k < 0:
        raise InvalidInput(f"k must be at least 0, was: {k}")
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, name in enumerate(dict.fromkeys(ranking), start=1):
            scores[name] = scores.get(name, 0.0) + 1 / (k + rank)
    return [Hit(name, score) for name, score in sorted(scores.items(), key=_by_score)]


def weighted_sum(
    dense_hits: Sequence[Hit], lexical_hits: Sequence[Hit], weight: float
) -> list[FusedHit]:
    """weight · dense + (1 - weight) · lexical, best first, each side scaled to [0, 1].

    Scaling is by the side's largest and smallest score (a single score counts 1); an id that a side
    did not give has 0 there. `weight` is in [0, 1]. Equal sums go by dense, then lexical score,
    then id. Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval".
    """
    if not 0 <= weight <= 1:
        raise InvalidInput(f"weight must be in [0, 1], was: {weight}")
    dense, lexical = dict(dense_hits), dict(lexical_hits)
    dense_scaled, lexical_scaled = _scaled(dense), _scaled(lexical)
    fused = [
        FusedHit(
            name,
            weight * dense_scaled.get(name, 0.0) + (1 - weight) * lexical_scaled.get(name, 0.0),
            dense.get(name),
            lexical.get(name),
        )
        for name in {**dense, **lexical}
    ]
    return sorted(fused, key=_fused_order)


def _scaled(scores: dict[str, float]) -> dict[str, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high <= low:
        return dict.fromkeys(scores, 1.0)
    return {name: (score - low) / (high - low) for name, score in scores.items()}


def _by_score(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]


def _fused_order(hit: FusedHit) -> tuple[float, float, float, str]:
    dense = -np.inf if hit.dense is None else hit.dense
    lexical = -np.inf if hit.lexical is None else hit.lexical
    return -hit.score, -dense, -lexical, hit.id


@dataclass(frozen=True, slots=True)
class TunedWeight:
    """The weight that was best, its MRR@10, and the MRR@10 of every weight tried."""

    weight: float
    mrr: float
    curve: tuple[tuple[float, float], ...]


def tune_weight(
    dense: Sequence[Sequence[Hit]],
    lexical: Sequence[Sequence[Hit]],
    relevants: Sequence[Collection[str]],
    *,
    grid: Sequence[float] = WEIGHT_GRID,
) -> TunedWeight:
    """The weight of `grid` with the largest MRR@10 over validation queries.

    One list of hits a side and one set of relevant ids a query. Of equally good weights the middle
    one is taken: the edge of a plateau is where luck ends.
    """
    if not len(dense) == len(lexical) == len(relevants):
        raise InvalidInput(
            f"expected as many lists as queries, found {len(dense)} dense, {len(lexical)} lexical "
            f"and {len(relevants)} sets of relevant ids"
        )
    if not relevants or not all(len(relevant) for relevant in relevants):
        raise InvalidInput("expected at least 1 query, and a relevant id for each")
    curve = []
    for weight in grid:
        values = [
            mrr([hit.id for hit in weighted_sum(one, other, weight)], relevant, k=10)
            for one, other, relevant in zip(dense, lexical, relevants, strict=True)
        ]
        curve.append((weight, float(np.mean(values))))
    best = max(value for _, value in curve)
    plateau = [weight for weight, value in curve if value >= best - 1e-9]
    return TunedWeight(plateau[len(plateau) // 2], best, tuple(curve))


class HybridIndex:
    """A dense and a lexical index over the same ids, searched as one."""

    def __init__(
        self,
        dense: DenseIndex,
        lexical: LexicalIndex,
        encode: Encode,
        weight: float | None = None,
        *,
        candidates: int = CANDIDATES,
    ) -> None:
        """`encode` turns a query into a vector (dimensions,). `weight` is the dense share in
        [0, 1]; None fuses by rank. `candidates`: how many hits of each side are fused."""
        if weight is not None and not 0 <= weight <= 1:
            raise InvalidInput(f"weight must be in [0, 1] or None, was: {weight}")
        self.dense = dense
        self.lexical = lexical
        self.weight = weight
        self._encode = encode
        self._candidates = candidates

    def add(self, ids: Sequence[str], texts: Sequence[str], embeddings: ArrayLike) -> None:
        """Store texts with their vectors (n, dimensions); ids that are there are replaced."""
        self.dense.add(ids, embeddings)
        self.lexical.add(ids, texts)

    def delete(self, ids: Collection[str]) -> None:
        """Forget `ids` on both sides; unknown ones are no error."""
        self.dense.delete(ids)
        self.lexical.delete(ids)

    def search(
        self,
        query: str,
        top_k: int,
        trust_dense: bool = True,
        *,
        embedding: ArrayLike | None = None,
    ) -> list[FusedHit]:
        """The best `top_k` ids, best first.

        `trust_dense` False (the encoder cannot read the query) leaves all to the lexical side.
        `embedding` (dimensions,) spares encoding a query that was encoded already.
        """
        check_top_k(top_k)
        dense, lexical = self._candidates_of(query, top_k, trust_dense, embedding)
        if not trust_dense:
            return [FusedHit(hit.id, hit.score, None, hit.score) for hit in lexical[:top_k]]
        if self.weight is not None:
            return weighted_sum(dense, lexical, self.weight)[:top_k]
        return _fuse_by_rank(dense, lexical)[:top_k]

    def _candidates_of(
        self, query: str, top_k: int, trust_dense: bool, embedding: ArrayLike | None
    ) -> tuple[list[Hit], list[Hit]]:
        depth = max(top_k, self._candidates)
        lexical = self.lexical.search(query, depth)
        if not trust_dense:
            return [], lexical
        vector = self._encode(query) if embedding is None else embedding
        dense = self.dense.search(vector, depth)[0]
        return dense, lexical

    def tune(self, queries: Sequence[str], relevants: Sequence[Collection[str]]) -> TunedWeight:
        """Find the best weight on validation queries with their relevant ids, and use it."""
        pairs = [self._candidates_of(query, 1, True, None) for query in queries]
        tuned = tune_weight([d for d, _ in pairs], [x for _, x in pairs], relevants)
        self.weight = tuned.weight
        return tuned


def _fuse_by_rank(dense: Sequence[Hit], lexical: Sequence[Hit]) -> list[FusedHit]:
    fused = reciprocal_rank_fusion([[hit.id for hit in side] for side in (dense, lexical)])
    by_dense, by_lexical = dict(dense), dict(lexical)
    return [
        FusedHit(hit.id, hit.score, by_dense.get(hit.id), by_lexical.get(hit.id)) for hit in fused
    ]
