"""Which rows of a large matrix are near a query, among those that a filter allows?

An inverted file (Jégou, Douze and Schmid 2011): the rows are shared out among cells around
centroids, and a search looks into the cells nearest to the query, at vectors of one byte a
dimension. It names rows and no scores: the caller has the exact vectors and ranks by those. Rows
that came after it was built are the caller's to look at, until it is built again.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.retrieval.dense import faiss

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

# Cells for each root of the number of rows; a search of PROBES of them then looks at some 4 % of
# 100,000 rows and 1.2 % of a million. Where a filter leaves a share s of the rows, the nearest lie
# as many times farther out: PROBES / s cells are looked into, and as many rows.
_CELLS_PER_ROOT: Final = 4
PROBES: Final = 48
# Rows a cell that the centroids are learnt from, and rounds of learning.
_SAMPLE: Final = 40
_ROUNDS: Final = 8
# Rows taken in at once, so that building needs little memory beside the result.
_BLOCK: Final = 65_536


class RowIndex:
    """Rows 0 to `len` - 1 of a matrix of unit vectors. Safe to search from any number of threads.

    A byte a dimension and eight for the number: 264 MB for a million rows of 256 dimensions.
    """

    def __init__(self, vectors: Floats, *, seed: int = 0, threads: int = 1) -> None:
        """Build it from `vectors` (n, dimensions), n at least 1. Seconds for 100,000 rows."""
        rows, dimensions = vectors.shape
        cells = max(1, min(round(_CELLS_PER_ROOT * math.sqrt(rows)), rows // _SAMPLE))
        self._threads = threads
        faiss.omp_set_num_threads(threads)
        self._centroids = faiss.IndexFlatIP(dimensions)
        self._index: Any = faiss.IndexIVFScalarQuantizer(
            self._centroids,
            dimensions,
            cells,
            faiss.ScalarQuantizer.QT_8bit,
            faiss.METRIC_INNER_PRODUCT,
            False,
        )
        self._index.cp.niter = _ROUNDS
        self._index.cp.seed = seed
        self._index.cp.spherical = True
        rng = np.random.default_rng(seed)
        sample = rng.choice(rows, min(rows, _SAMPLE * cells), replace=False)
        self._index.train(np.ascontiguousarray(vectors[np.sort(sample)]))
        for start in range(0, rows, _BLOCK):
            self._index.add(np.ascontiguousarray(vectors[start : start + _BLOCK]))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, queries: Floats, top_k: int, allowed: Bools | None = None) -> Integers:
        """(m,) the numbers of the rows that are among the `top_k` nearest of any of `queries`
        (q, dimensions), each once, in order of number. `allowed` (n or more,) leaves rows out."""
        options: dict[str, Any] = {}
        probes = PROBES
        if allowed is not None:
            # Kept in a name of its own: FAISS holds no reference to the bits.
            bits = np.packbits(allowed[: len(self)], bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
            left = int(np.count_nonzero(allowed[: len(self)]))
            probes = math.ceil(PROBES * len(self) / max(left, 1))
        faiss.omp_set_num_threads(self._threads)
        _, found = self._index.search(
            np.ascontiguousarray(queries, dtype=np.float32),
            top_k,
            params=faiss.SearchParametersIVF(nprobe=min(probes, self._index.nlist), **options),
        )
        return np.unique(found[found >= 0]).astype(np.int64)
