"""How near is a text to what the model was trained on?

The out-of-scope score adds two things that fail differently: the largest logit, and the cosine to
the k-th nearest training text, each standardised on validation rows. On CLINC150 the sum separates
better (AUROC .978) than the probability (.957) or the largest logit (.972) alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

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


@dataclass(frozen=True)
class OpenSetScore:
    """Higher means more surely in scope. Means and deviations are those of validation rows."""

    logit_mean: float
    logit_deviation: float
    similarity_mean: float
    similarity_deviation: float

    @classmethod
    def fit(cls, largest_logit: FloatArray, similarity: FloatArray) -> OpenSetScore:
        """From in-scope validation rows, (n,) each, that the model was not trained on."""
        return cls(
            float(largest_logit.mean()),
            float(largest_logit.std()) or 1.0,
            float(similarity.mean()),
            float(similarity.std()) or 1.0,
        )

    def score(self, largest_logit: FloatArray, similarity: FloatArray) -> FloatArray:
        """(n,) standardised sum."""
        logit = (largest_logit - self.logit_mean) / self.logit_deviation
        near = (similarity - self.similarity_mean) / self.similarity_deviation
        return np.asarray(logit + near, dtype=np.float32)

    def settings(self) -> dict[str, float]:
        """For the manifest."""
        return asdict(self)

    @classmethod
    def from_settings(cls, said: Mapping[str, Any]) -> OpenSetScore:
        """From the manifest."""
        return cls(**{name: float(value) for name, value in said.items()})
