"""Which items go together in this shop's behaviour, whatever their texts say?

`Neighbours` holds, for each item of the training log, the items that speak for or against each
other item once a user has shown interest in it: the largest weights of EASE (Steck 2019,
"Embarrassingly Shallow Autoencoders for Sparse Data") or of item-kNN, whichever ranked better.
`Sequel` beside it knows the order: what users took soon after an item, which fades with every
moment that has passed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt
from services.recommender.factors import Factors

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Kept for each item. On UCI Online Retail (3,676 items) ranking by 200 equals ranking by all.
KEPT = 200


@dataclass(frozen=True)
class Sequel:
    """Row i of `others` (m, k) int32 are the items that were taken soon after i, with `weights`
    (m, k) float32; an interest counts `fade` (0 to 1) to the power of its steps."""

    others: npt.NDArray[np.int32]
    weights: FloatArray
    fade: float

    def faded(
        self, weights: npt.NDArray[np.float64], steps: IntArray | None
    ) -> npt.NDArray[np.float64]:
        """(h,) the weights of interests as they count here."""
        return weights if steps is None else np.asarray(weights * self.fade**steps)


@dataclass(frozen=True)
class Neighbours:
    """`item_ids` of m items; row i of `others` (m, k) int32 are the items that i speaks for, with
    `weights` (m, k) float32, 0 where there are fewer. `sequel` None where no order is known,
    `factors` (saved beside, factors.py) where there are none."""

    item_ids: Sequence[str]
    others: npt.NDArray[np.int32]
    weights: FloatArray
    sequel: Sequel | None = None
    factors: Factors | None = None

    @property
    def following(self) -> Neighbours:
        """The same items by what came after them; none where no order is known."""
        none = np.zeros((len(self.item_ids), 0))
        if self.sequel is None:
            return Neighbours(self.item_ids, none.astype(np.int32), none.astype(np.float32))
        return Neighbours(self.item_ids, self.sequel.others, self.sequel.weights)

    def score(self, rows: IntArray, weights: npt.NDArray[np.float64]) -> FloatArray:
        """(m,) how much behaviour speaks for each item, given interests in the items `rows`."""
        if len(rows) == 0:
            return np.zeros(len(self.item_ids), dtype=np.float32)
        spoken = self.weights[rows] * weights[:, None]
        places = self.others[rows].ravel()
        return np.bincount(places, spoken.ravel(), len(self.item_ids)).astype(np.float32)

    def named(
        self, rows: IntArray, weights: npt.NDArray[np.float64]
    ) -> tuple[IntArray, npt.NDArray[np.float64]]:
        """(items, their scores): those of `score` that the interests name at all."""
        places, number = np.unique(self.others[rows], return_inverse=True)
        spoken = self.weights[rows] * weights[:, None]
        scores = np.bincount(number.ravel(), spoken.ravel().astype(np.float64), len(places))
        return places.astype(np.int64), scores.astype(np.float64)

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

        arrays = {"others": self.others, "weights": self.weights}
        if self.sequel is not None:
            arrays |= {
                "sequel.others": self.sequel.others,
                "sequel.weights": self.sequel.weights,
                "sequel.fade": np.array([self.sequel.fade], dtype=np.float32),
            }
        save_file(arrays, path)

    @classmethod
    def load(cls, path: Path, item_ids: Sequence[str]) -> Neighbours:
        """Read what `save` wrote. ModelCorrupt where it does not fit the ids."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(path)
            sequel = None
            if "sequel.fade" in arrays:
                fade = float(arrays["sequel.fade"][0])
                sequel = Sequel(arrays["sequel.others"], arrays["sequel.weights"], fade)
            others, weights = arrays["others"], arrays["weights"]
            for table in (others, others if sequel is None else sequel.others):
                if len(table) != len(item_ids) or (table.size and table.max() >= len(item_ids)):
                    raise ValueError(f"{len(table)} rows for {len(item_ids)} items")
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelCorrupt(
                f"{path} cannot be read: {error}", mend="Train again, or take another version."
            ) from error
        return cls(item_ids, others, weights, sequel)


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
