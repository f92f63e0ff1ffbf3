"""Which items are taken by the same users? EASE and item-kNN.

Both start from who took what: X (users, items), 1 where the user has a positive event on the item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from services.recommender.collaborative import Neighbours, largest_in_rows
from services.recommender.learning.log import EventLog

FloatArray = npt.NDArray[np.float32]
# EASE inverts an (items, items) matrix: above this it is not tried.
EASE_LIMIT: Final = 20_000
_BLOCK = 1_000


def taken(log: EventLog) -> Any:
    """X as a scipy sparse matrix (users, items) of ones."""
    from scipy.sparse import csr_matrix

    user, item = log.user[log.positive], log.item[log.positive]
    matrix = csr_matrix(
        (np.ones(len(user), dtype=np.float32), (user, item)), shape=(len(log.users), log.items)
    )
    matrix.data[:] = 1.0  # a pair that happened twice was added up
    return matrix


def ease(matrix: Any, regularisation: float) -> FloatArray:
    """B of EASE (Steck 2019, closed form), (items, items): row i speaks for the columns."""
    from scipy.linalg.lapack import dpotrf, dpotri

    gram = np.asarray((matrix.T @ matrix).todense(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += regularisation
    # By Cholesky, in place: half the work of a general inverse, and one matrix in memory. The
    # result stands in the upper triangle, in the order of the columns.
    factor, failed = dpotrf(np.asfortranarray(gram), overwrite_a=True)
    if failed:
        raise ModelError(
            f"the items' matrix cannot be inverted (LAPACK says {failed})",
            mend="Report this; until then leave items without events out.",
        )
    precision, _ = dpotri(factor, overwrite_c=True)
    diagonal = np.diag(precision).copy()
    weights = np.triu(precision, 1).astype(np.float32)
    del precision, factor
    weights += weights.T
    return np.asarray(-weights / diagonal.astype(np.float32))


def item_knn(matrix: Any, shrinkage: float, item_ids: Sequence[str] | None = None) -> Neighbours:
    """The nearest items of each by cosine of their users; `shrinkage` (users) discounts what few
    users say. Worked out block by block, so that a large catalogue needs no square matrix.

    `item_ids` name the columns, where the result is kept longer than the numbers mean something.
    """
    sizes = np.sqrt(np.asarray(matrix.sum(axis=0), dtype=np.float32).ravel())
    blocks = []
    for start in range(0, matrix.shape[1], _BLOCK):
        block = matrix[:, start : start + _BLOCK]
        cosines = np.asarray((block.T @ matrix).todense(), dtype=np.float32)
        cosines /= np.maximum(np.outer(sizes[start : start + _BLOCK], sizes) + shrinkage, 1e-9)
        own = np.arange(len(cosines))
        cosines[own, start + own] = 0.0
        blocks.append(largest_in_rows(cosines))
    others, weights = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    names = [str(n) for n in range(matrix.shape[1])] if item_ids is None else item_ids
    return Neighbours(names, others, weights)
