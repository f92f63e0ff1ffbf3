"""How good is a ranked list?

Relevance is binary: an id is relevant or it is not. A list names an id once. The functions of the
first part take one list; `rank_metrics` does thousands of users over a whole catalogue at once and
gives a figure a user, so that intervals can be bootstrapped. A metric of a user without a relevant
item is undefined: NaN.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import InvalidInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOT_RANKED = 0


def ndcg_at_k(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Normalised discounted cumulative gain of the first `k`, in [0, 1].

    A hit at rank r gains 1 / log2(r + 1); the sum is divided by that of the best possible list
    (Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques").
    """
    return _ndcg(_ranks_of_one(ranked, relevant, k), len(set(relevant)), k)


def recall_at_k(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Share of the relevant ids among the first `k`, in [0, 1]."""
    wanted = len(set(relevant))
    return len(_ranks_of_one(ranked, relevant, k)) / wanted if wanted else math.nan


def precision_at_k(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Relevant ids among the first `k`, divided by `k`, in [0, 1]."""
    return len(_ranks_of_one(ranked, relevant, k)) / k if len(relevant) and k else math.nan


def mrr(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int | None = None) -> float:
    """Reciprocal rank of the first relevant id (of the first `k`), 0 when there is none.

    Its mean over lists is the MRR (Voorhees 1999, "The TREC-8 Question Answering Track Report").
    """
    ranks = _ranks_of_one(ranked, relevant, len(ranked) if k is None else k)
    if len(relevant) == 0:
        return math.nan
    return 1.0 / ranks[0] if ranks.size else 0.0


def catalogue_coverage(
    lists: Iterable[Sequence[Hashable]], catalogue_size: int, k: int | None = None
) -> float:
    """Share of the catalogue that stands in any of the lists (in their first `k`), in [0, 1]."""
    if catalogue_size < 1:
        raise InvalidInput(f"catalogue_size must be at least 1, was: {catalogue_size}")
    return len({item for ranked in lists for item in ranked[:k]}) / catalogue_size


def ild(embeddings: ArrayLike) -> float:
    """Intra-list diversity: mean cosine distance over the pairs of a list, in [0, 2].

    `embeddings` (items, dimensions) of one list, of any length but 0 each; NaN for fewer than two
    items. Ziegler et al. 2005, "Improving Recommendation Lists Through Topic Diversification".
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    if vectors.ndim != 2:
        raise InvalidInput(f"expected embeddings (items, dimensions), shape was: {vectors.shape}")
    count = len(vectors)
    if count < 2:
        return math.nan
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1.0)
    # |sum of unit vectors|² = (their squares) + 2 · (sum of cosines over pairs)
    total = unit.sum(axis=0)
    cosines = (total @ total - (unit * unit).sum()) / 2
    return float(1 - cosines / (count * (count - 1) / 2))


def _ranks_of_one(ranked: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> Integers:
    """Ranks, from 1, of the relevant ids among the first `k`; an id counts once."""
    if k < 0:
        raise InvalidInput(f"k must be at least 0, was: {k}")
    open_ids = set(relevant)
    ranks = []
    for rank, item in enumerate(ranked[:k], start=1):
        if item in open_ids:
            open_ids.discard(item)
            ranks.append(rank)
    return np.array(ranks, dtype=np.int64)


# --- many users at once ------------------------------------------------------------------------


def rank_metrics(
    relevants: Sequence[ArrayLike],
    *,
    scores: ArrayLike | None = None,
    ranked: ArrayLike | None = None,
    exclude: Sequence[ArrayLike] | None = None,
    ndcg_at: Sequence[int] = (10,),
    recall_at: Sequence[int] = (10, 20),
) -> dict[str, Floats]:
    """Metric → one figure a user, shape (users,): "ndcg@10", "recall@10", "recall@20", "mrr".

    `relevants[u]` holds the item positions relevant to user u. Give either `scores` (users, items),
    where `exclude[u]` are positions left out of the ranking (known items), or `ranked` (users, k),
    item positions best first, padded with -1. Large sets go block by block: see `concatenate`.
    """
    if (scores is None) == (ranked is None):
        raise InvalidInput("expected either scores or ranked, and only one of them")
    if scores is not None:
        ranks = ranks_from_scores(scores, relevants, exclude)
    elif exclude is not None:
        raise InvalidInput("exclude goes with scores; leave known items out of ranked lists")
    else:
        ranks = ranks_from_lists(cast(ArrayLike, ranked), relevants)
    return metrics_from_ranks(ranks, ndcg_at=ndcg_at, recall_at=recall_at)


def ranks_from_scores(
    scores: ArrayLike, relevants: Sequence[ArrayLike], exclude: Sequence[ArrayLike] | None = None
) -> list[Integers]:
    """For each user the rank, from 1, of each relevant item in the full ranking by score.

    Of equal scores the item with the smaller position comes first. Excluded items take no place;
    a relevant item that is excluded or scored -inf has rank NOT_RANKED.
    """
    matrix = np.asarray(scores)
    if matrix.ndim != 2 or len(matrix) != len(relevants):
        raise InvalidInput(
            f"expected scores (users, items) for {len(relevants)} users, shape was: {matrix.shape}"
        )
    if exclude is not None and len(exclude) != len(relevants):
        raise InvalidInput(f"expected exclude for {len(relevants)} users, found {len(exclude)}")
    result = []
    for user, relevant in enumerate(relevants):
        row = matrix[user].copy()
        if np.isnan(row).any():
            raise InvalidInput(f"scores of user {user} hold NaN", mend="Score every item.")
        if exclude is not None:
            row[_positions(exclude[user], len(row))] = -np.inf
        result.append(_ranks_in_row(row, _positions(relevant, len(row))))
    return result


def _ranks_in_row(row: NDArray[np.floating], relevant: Integers) -> Integers:
    if relevant.size == 0:
        return relevant
    wanted = row[relevant]
    ordered = np.sort(row)
    above = len(row) - np.searchsorted(ordered, wanted, side="right")
    equal = len(row) - above - np.searchsorted(ordered, wanted, side="left")
    ranks = above + 1
    for tied in np.flatnonzero((equal > 1) & (wanted > -np.inf)):
        ranks[tied] += np.count_nonzero(row[: relevant[tied]] == wanted[tied])
    return np.where(wanted > -np.inf, ranks, NOT_RANKED).astype(np.int64)


def ranks_from_lists(ranked: ArrayLike, relevants: Sequence[ArrayLike]) -> list[Integers]:
    """As `ranks_from_scores`, from lists (users, k) of item positions padded with -1."""
    lists = np.asarray(ranked, dtype=np.int64)
    if lists.ndim != 2 or len(lists) != len(relevants):
        raise InvalidInput(
            f"expected ranked (users, k) for {len(relevants)} users, shape was: {lists.shape}"
        )
    result = []
    for row, relevant in zip(lists, relevants, strict=True):
        hits = row[None, :] == _positions(relevant, None)[:, None]
        ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1 if row.size else 0, NOT_RANKED)
        result.append(ranks.astype(np.int64))
    return result


def metrics_from_ranks(
    ranks: Sequence[ArrayLike],
    *,
    ndcg_at: Sequence[int] = (10,),
    recall_at: Sequence[int] = (10, 20),
) -> dict[str, Floats]:
    """The figures of `rank_metrics` from the ranks of each user's relevant items."""
    found = [np.asarray(r, dtype=np.int64) for r in ranks]
    sizes = [len(r) for r in found]
    hits = [np.sort(r[r != NOT_RANKED]) for r in found]
    metrics: dict[str, Floats] = {}
    for k in ndcg_at:
        pairs = zip(hits, sizes, strict=True)
        metrics[f"ndcg@{k}"] = np.array([_ndcg(h[h <= k], n, k) for h, n in pairs])
    for k in recall_at:
        pairs = zip(hits, sizes, strict=True)
        metrics[f"recall@{k}"] = np.array(
            [np.count_nonzero(h <= k) / n if n else math.nan for h, n in pairs]
        )
    metrics["mrr"] = np.array(
        [
            math.nan if not n else 1.0 / h[0] if h.size else 0.0
            for h, n in zip(hits, sizes, strict=True)
        ]
    )
    return metrics


def concatenate(blocks: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    """The figures of several blocks of users as one, in order."""
    names = blocks[0] if blocks else {}
    return {name: np.concatenate([block[name] for block in blocks]) for name in names}


def mean_metrics(metrics: dict[str, Floats]) -> dict[str, float | None]:
    """Mean of each metric over the users for whom it is defined; None where there is none."""
    means: dict[str, float | None] = {}
    for name, values in metrics.items():
        defined = values[~np.isnan(values)]
        means[name] = float(defined.mean()) if defined.size else None
    return means


def top_k_items(scores: ArrayLike, k: int, exclude: Sequence[ArrayLike] | None = None) -> Integers:
    """The positions of each user's best `k` items, shape (users, k), best first, -1 where fewer.

    The order is that of `ranks_from_scores`: equal scores by position, -inf never.
    """
    matrix = np.asarray(scores)
    users, items = matrix.shape
    result = np.full((users, k), -1, dtype=np.int64)
    for user in range(users):
        row = matrix[user].copy()
        if exclude is not None:
            row[_positions(exclude[user], items)] = -np.inf
        best = _best_positions(row, min(k, items))
        result[user, : len(best)] = best
    return result


def _best_positions(row: NDArray[np.floating], k: int) -> Integers:
    if k < 1:
        return np.empty(0, dtype=np.int64)
    floor = np.partition(row, len(row) - k)[len(row) - k]
    candidates = np.flatnonzero((row >= floor) & (row > -np.inf))
    order = np.argsort(-row[candidates], kind="stable")
    best: Integers = candidates[order][:k]
    return best


def _ndcg(ranks: Integers, relevant: int, k: int) -> float:
    if relevant == 0 or k < 1:
        return math.nan
    gain = (1 / np.log2(ranks + 1)).sum()
    ideal = (1 / np.log2(np.arange(2, min(relevant, k) + 2))).sum()
    return float(gain / ideal)


def _positions(items: ArrayLike, size: int | None) -> Integers:
    positions = np.unique(np.asarray(items, dtype=np.int64))
    if positions.size and (positions[0] < 0 or (size is not None and positions[-1] >= size)):
        raise InvalidInput(f"item positions must be from 0 to {size}, exclusive")
    return positions
