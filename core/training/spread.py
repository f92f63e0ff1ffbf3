"""What do texts without a label say about each other's labels?

Label spreading (Zhou et al. 2004, "Learning with Local and Global Consistency"): each text takes
over a part of what its nearest neighbours in the embedding space say, again and again, so that few
labels reach along the dense regions. What a classifier says of every text is the beginning; the
known labels stay fixed in it. On BANKING77 with 10 examples a class it lifts the labels of the
other 9,233 training texts from 84 to 86 % right, with 5 from 78 to 82 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.training.rows import IntArray

FloatArray = npt.NDArray[np.float32]

NEIGHBOURS = 10
# How much of its neighbours' word a text takes over in each round.
_SHARE = 0.8
_ROUNDS = 30
# Cosine differences of this size make one neighbour count e times as much as another.
_SCALE = 0.05
_BLOCK = 1024


def spread(
    embeddings: FloatArray, probabilities: FloatArray, labels: IntArray, k: int = NEIGHBOURS
) -> FloatArray:
    """(n, classes) probabilities after spreading.

    `embeddings` (n, width) of unit length, `probabilities` (n, classes) what a classifier says,
    `labels` (n,) class numbers, −1 where none is known.
    """
    graph = _graph(embeddings, min(k, len(embeddings) - 1))
    start = probabilities.astype(np.float64)
    known = labels >= 0
    start[known] = np.eye(start.shape[1])[labels[known]]
    found = start
    for _ in range(_ROUNDS):
        found = _SHARE * (graph @ found) + (1 - _SHARE) * start
    total = found.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(found, total, out=start, where=total > 0).astype(np.float32)
    return shares


def _graph(embeddings: FloatArray, k: int) -> Any:
    """Symmetric weights between nearest neighbours, (n, n) sparse, with D^-1/2 W D^-1/2 norms."""
    from scipy.sparse import csr_matrix

    count = len(embeddings)
    nearest = np.empty((count, k), dtype=np.int64)
    weights = np.empty((count, k))
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        cosine = embeddings[start:stop] @ embeddings.T
        cosine[np.arange(stop - start), np.arange(start, stop)] = -np.inf  # not itself
        found = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(cosine, found, axis=1)
        nearest[start:stop] = found
        weights[start:stop] = np.exp((values - values.max(axis=1, keepdims=True)) / _SCALE)
    starts = np.arange(0, count * k + 1, k)
    one_way = csr_matrix((weights.ravel(), nearest.ravel(), starts), shape=(count, count))
    both = one_way + one_way.T
    scale = 1 / np.sqrt(np.asarray(both.sum(axis=1)).ravel())
    return both.multiply(scale[:, None]).multiply(scale[None, :]).tocsr()
