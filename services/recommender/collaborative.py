"""Which items go together in this shop's behaviour, whatever their texts say?

`Neighbours` holds, for each item of the training log, the items that speak for or against each
other item once a user has shown interest in it: the largest weights of EASE (Steck 2019,
"Embarrassingly Shallow Autoencoders for Sparse Data") or of item-kNN, whichever ranked better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Kept for each item. On UCI Online Retail (3,676 items) ranking by 200 equals ranking by all.
KEPT = 200


@dataclass(frozen=True)
class Neighbours:
    """`item_ids` of m items; row i of `others` (m, k) int32 are the items that i speaks for, with
    `weights` (m, k) float32, 0 where there are fewer."""

    item_ids: Sequence[str]
    others: npt.NDArray[np.int32]
    weights: FloatArray

    def score(self, rows: IntArray, weights: npt.NDArray[np.float64]) -> FloatArray:
        """(m,) how much behaviour speaks for each item, given interests in the items `rows`."""
        if len(rows) == 0:
            return np.zeros(len(self.item_ids), dtype=np.float32)
        spoken = self.weights[rows] * weights[:, None]
        places = self.others[rows].ravel()
        return np.bincount(places, spoken.ravel(), len(self.item_ids)).astype(np.float32)

    def parts(
        self, rows: IntArray, weights: npt.NDArray[np.float64], targets: IntArray
    ) -> FloatArray:
        """(targets, rows): what each interest adds to the score of each target, 0 for target -1."""
        result = np.zeros((len(targets), len(rows)), dtype=np.float32)
        place = np.full(len(self.item_ids), -1)
        known = np.flatnonzero(targets >= 0)
        place[targets[known]] = known
        number = place[self.others[rows]]
        column, entry = np.nonzero(number >= 0)
        added = self.weights[rows[column], entry] * weights[column]
        np.add.at(result, (number[column, entry], column), added)
        return result

    def save(self, path: Path) -> None:
        """Write into one safetensors file; the ids stand beside it, as text."""
        from safetensors.numpy import save_file

        save_file({"others": self.others, "weights": self.weights}, path)

    @classmethod
    def load(cls, path: Path, item_ids: Sequence[str]) -> Neighbours:
        """Read what `save` wrote. ModelCorrupt where it does not fit the ids."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(path)
            others, weights = arrays["others"], arrays["weights"]
            if len(others) != len(item_ids) or (others.size and others.max() >= len(item_ids)):
                raise ValueError(f"{len(others)} rows for {len(item_ids)} items")
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelCorrupt(
                f"{path} cannot be read: {error}", mend="Train again, or take another version."
            ) from error
        return cls(item_ids, others, weights)


def largest_in_rows(
    matrix: FloatArray, kept: int = KEPT
) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """(places, values), both (rows, kept): the entries of each row that are largest in size."""
    kept = min(kept, matrix.shape[1])
    if kept == matrix.shape[1]:
        places = np.tile(np.arange(kept), (len(matrix), 1))
    else:
        places = np.argpartition(-np.abs(matrix), kept, axis=1)[:, :kept]
    return places.astype(np.int32), np.take_along_axis(matrix, places, axis=1)
