"""Which of the ranked items make the answer? Pure rules on rows, the best first.

One item of a group (the colours of a shirt) is enough. The answer for a user of whom nothing is
known is spread over the shop, since nobody knows yet which corner is theirs: maximal marginal
relevance (Carbonell and Goldstein 1998).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from services.recommender.catalogue import NO_GROUP

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# How much likeness to what is chosen already costs, from 0 (nothing) to 1 (only that counts).
STRANGER_DIVERSITY = 0.4
# Items looked at for each place of a spread answer.
_POOL = 10


def best_first(scores: FloatArray, allowed: BoolArray) -> IntArray:
    """Rows of the allowed items by falling score; of equal scores the earlier row first."""
    rows: IntArray = np.flatnonzero(allowed)
    return np.asarray(rows[np.argsort(-scores[rows], kind="stable")])


def one_per_group(rows: IntArray, group: IntArray) -> IntArray:
    """The rows without those whose group stands before them already."""
    groups = group[rows]
    first = np.zeros(len(rows), dtype=bool)
    first[np.unique(groups, return_index=True)[1]] = True
    return np.asarray(rows[first | (groups == NO_GROUP)])


def spread(
    rows: IntArray, scores: FloatArray, vectors: FloatArray, count: int, diversity: float
) -> IntArray:
    """`count` of the best rows, each the best compromise between its score and being unlike those
    before it. `vectors` (n, width) are unit vectors; scores are brought to 0 to 1."""
    pool = rows[: count * _POOL]
    if len(pool) == 0:
        return pool
    values = scores[pool] - scores[pool].min()
    values = values / max(float(values.max()), 1e-9)
    likeness = np.zeros(len(pool), dtype=np.float32)
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        gain = (1 - diversity) * values - diversity * likeness
        gain[chosen] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        likeness = np.maximum(likeness, vectors[pool] @ vectors[pool[best]])
    return np.asarray(pool[chosen])
