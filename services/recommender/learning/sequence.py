"""What do users take soon after an item? From the log, for `collaborative.Sequel`.

A user's positive events fall into moments (a basket is one, a click is one). An item that was taken
d moments after another one speaks for it with 0.85 ** (d - 1), before it with half of that, at the
same moment with 1; the sum is divided by how often both are taken, so that the popular ones do not
follow everything. Item-kNN over positions, as in session-based recommendation (Ludewig and Jannach
2018, "Evaluation of Session-based Recommendation Algorithms").
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.recommender.collaborative import KEPT, Sequel
from services.recommender.learning.log import EventLog

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Moments apart that still count; at 6, a pair counts less than half of one that is next.
_REACH: Final = 6
_NEARER: Final = 0.85
_BEFORE: Final = 0.5
# Users by whom a pair is discounted that few have taken.
_SHRINKAGE: Final = 3.0
# A basket with more items says little of any two of them, and costs their square.
_LARGEST_BASKET: Final = 200


def follows(log: EventLog) -> Any:
    """(items, items) sparse: how much was taken near each item, mostly after it; row → column."""
    from scipy.sparse import csr_matrix

    user, item, time = (a[log.positive] for a in (log.user, log.item, log.time))
    order = np.lexsort((time, user))
    user, item, time = user[order], item[order], time[order]
    new = np.ones(len(user), dtype=np.bool_)
    new[1:] = (np.diff(user) != 0) | (np.diff(time) != 0)
    moment = np.cumsum(new) - 1
    of_user = user[new]
    baskets = csr_matrix(
        (np.ones(len(item), np.float32), (moment, item)), shape=(len(of_user), log.items)
    )
    baskets.data[:] = 1.0
    sizes = np.diff(baskets.indptr)
    small = np.flatnonzero(sizes <= _LARGEST_BASKET)
    total = baskets[small].T @ baskets[small]
    for apart in range(1, _REACH + 1):
        first = np.arange(len(of_user) - apart)
        pairs = of_user[first] == of_user[first + apart]
        pairs &= (sizes[first] <= _LARGEST_BASKET) & (sizes[first + apart] <= _LARGEST_BASKET)
        first = first[pairs]
        after = baskets[first].T @ baskets[first + apart]
        total = total + _NEARER ** (apart - 1) * (after + _BEFORE * after.T)
    total = total.tocsr()
    total.setdiag(0.0)
    return total


def sequel(counted: Any, popularity: FloatArray, own: float, fade: float) -> Sequel:
    """The strongest followers of each item. `counted` as from `follows`; `popularity` (items,)
    users who took each; `own` (0 to 1) is the share of the divisor that is the item's own
    popularity, the rest is the follower's."""
    popular = np.maximum(popularity.astype(np.float64), 1.0)
    counts = counted.tocoo()
    divisor = popular[counts.row] ** own * popular[counts.col] ** (1.0 - own) + _SHRINKAGE
    counts.data = counts.data / divisor
    return Sequel(*_largest(counts.tocsr()), fade)


def _largest(matrix: Any) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """(places, values), both (rows, KEPT): the largest entries of each row, 0 where there are
    fewer."""
    rows = matrix.shape[0]
    kept = min(KEPT, matrix.shape[1])
    places = np.zeros((rows, kept), dtype=np.int32)
    values = np.zeros((rows, kept), dtype=np.float32)
    for row in range(rows):
        own = slice(matrix.indptr[row], matrix.indptr[row + 1])
        weights, columns = matrix.data[own], matrix.indices[own]
        best = np.argsort(-weights, kind="stable")[:kept]
        places[row, : len(best)], values[row, : len(best)] = columns[best], weights[best]
    return places, values
