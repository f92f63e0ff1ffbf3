"""How near is a text to what the model was trained on?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

NEIGHBOURS = 5
# Training rows kept as reference: beyond this more rows cost time and tell nothing new.
MAX_REFERENCE = 20_000


def kth_similarity(
    embeddings: FloatArray, reference: FloatArray, k: int = NEIGHBOURS
) -> FloatArray:
    """(n,) cosine to the k-th nearest row of `reference` (rows of both of unit length).

    With fewer than k reference rows the farthest of them counts.
    """
    k = min(k, len(reference))
    similarity = embeddings @ reference.T
    return np.asarray(np.partition(similarity, -k, axis=1)[:, -k], dtype=np.float32)
