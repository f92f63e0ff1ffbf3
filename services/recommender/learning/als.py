"""What few numbers of each item and user explain who took what? (implicit ALS)

Alternating least squares on taken (1) and not taken (0, counting `unobserved`), with the
regularisation growing with how much is known (Hu et al. 2008; Rendle et al. 2021, "Revisiting the
Performance of iALS on Item Recommendation Benchmarks").
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

WIDTH: Final = 64
_ROUNDS: Final = 8
# Rows whose equations are solved in one call.
_BLOCK: Final = 256


def item_factors(matrix: Any, unobserved: float, regularisation: float, seed: int) -> FloatArray:
    """(items, WIDTH) from `matrix`, sparse (users, items) of ones."""
    rng = np.random.default_rng(seed)
    items = rng.normal(0, 0.1 / np.sqrt(WIDTH), (matrix.shape[1], WIDTH)).astype(np.float32)
    by_item = matrix.T.tocsr()
    for _ in range(_ROUNDS):
        users = solve(matrix, items, unobserved, regularisation)
        items = solve(by_item, users, unobserved, regularisation)
    return items


def solve(matrix: Any, others: FloatArray, unobserved: float, regularisation: float) -> FloatArray:
    """(rows, WIDTH) the best vector of each row of `matrix`, given those of its columns; zeros for
    an empty row."""
    sizes = np.diff(matrix.indptr)
    everything = unobserved * (others.T @ others)
    penalty = (regularisation * (sizes + unobserved * len(others))).astype(np.float32)
    result = np.zeros((matrix.shape[0], WIDTH), dtype=np.float32)
    filled = np.flatnonzero(sizes)
    diagonal = np.arange(WIDTH)
    for start in range(0, len(filled), _BLOCK):
        rows = filled[start : start + _BLOCK]
        left = np.empty((len(rows), WIDTH, WIDTH), dtype=np.float32)
        right = np.empty((len(rows), WIDTH, 1), dtype=np.float32)
        for place, row in enumerate(rows.tolist()):
            own = others[matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]]
            np.matmul(own.T, own, out=left[place])
            right[place, :, 0] = own.sum(axis=0)
        left += everything
        left[:, diagonal, diagonal] += penalty[rows, None]
        result[rows] = np.linalg.solve(left, right)[..., 0]
    return result
