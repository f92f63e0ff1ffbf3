"""Which items suit a user by what they took altogether, put in few numbers? (implicit ALS, served)

Every item of the training log has a vector of factors (learning/als.py). The user's own is worked
out when they ask: the one that best explains what they took (1) against all they did not (0,
counting `unobserved`), which is one small system of linear equations. It sees pairs of items that
no two users share, where `Neighbours` sees none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Factors:
    """`items` (m, f) in the order of `Neighbours`; `everything` (f, f) is the sum over items of
    the outer products of their factors, `total` (f,) the sum of them."""

    items: FloatArray
    unobserved: float
    regularisation: float
    everything: FloatArray
    total: FloatArray

    @classmethod
    def of(cls, items: FloatArray, unobserved: float, regularisation: float) -> Factors:
        """With the sums that every request needs."""
        total = items.sum(axis=0)
        return cls(items, unobserved, regularisation, items.T @ items, total)

    def user(self, rows: IntArray) -> FloatArray:
        """(f,) the factors of a user who took the items in these rows; zeros without any."""
        if len(rows) == 0:
            return np.zeros(self.items.shape[1], dtype=np.float32)
        own = self.items[rows]
        return np.asarray(np.linalg.solve(self._left(own), own.sum(axis=0)), dtype=np.float32)

    def parts(self, rows: IntArray, targets: IntArray) -> FloatArray:
        """(targets, rows): what each item taken adds to the score of each target, 0 for target -1;
        they sum to it (section 5 of Hu et al. 2008)."""
        own = self.items[rows]
        spoken = np.linalg.solve(self._left(own), own.T) if len(rows) else own.T
        found = self.items[np.maximum(targets, 0)] @ spoken
        return np.where(targets[:, None] < 0, np.float32(0.0), found).astype(np.float32)

    def _left(self, own: FloatArray) -> FloatArray:
        left = self.unobserved * self.everything + own.T @ own
        penalty = self.regularisation * (len(own) + self.unobserved * len(self.items))
        left[np.diag_indices(len(left))] += penalty
        return left

    def score(self, user: FloatArray, rows: IntArray) -> FloatArray:
        """(n,) how well the items in `rows` suit; 0 for row -1, an item without factors."""
        found = self.items[np.maximum(rows, 0)] @ user if len(self.items) else np.zeros(len(rows))
        return np.where(rows < 0, np.float32(0.0), found).astype(np.float32)

    def spread(self, user: FloatArray, count: int) -> tuple[float, float]:
        """(mean, standard deviation) of the scores of all items of a shelf of `count`, where those
        without factors have 0; from the sums alone."""
        wide = user.astype(np.float64)
        mean = float(self.total @ wide) / max(count, 1)
        square = float(wide @ self.everything @ wide) / max(count, 1)
        return mean, max(square - mean * mean, 0.0) ** 0.5

    def save(self, path: Path) -> None:
        """Write into one safetensors file."""
        from safetensors.numpy import save_file

        numbers = np.array([self.unobserved, self.regularisation], dtype=np.float32)
        save_file({"items": self.items, "unobserved_regularisation": numbers}, path)

    @classmethod
    def load(cls, path: Path, count: int) -> Factors:
        """Read what `save` wrote. ModelCorrupt where it is not of `count` items."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(path)
            if len(arrays["items"]) != count:
                raise ValueError(f"{len(arrays['items'])} rows for {count} items")
            return cls.of(arrays["items"], *map(float, arrays["unobserved_regularisation"]))
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ModelCorrupt(
                f"{path} cannot be read: {error}", mend="Train again, or take another version."
            ) from error
