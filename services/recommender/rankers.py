"""How do the signals of an item become one score, and the score a probability?

    score      = sum over signals of  weight * (signal - mean) / scale,  and what trees add to it
    p_interest = 1 / (1 + exp(-(slope * score + offset)))

Weights are learnt as a conditional logit over the whole catalogue (learning/ranker.py), so that a
signal that says nothing in this shop gets no weight. Trees (trees.py) mend the sum where that was
seen to rank better; slope and offset calibrate the score on pairs
of user and item that no fitted part had seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt
from services.recommender.trees import Trees

FloatArray = npt.NDArray[np.float32]

# name → the part of the answer that it belongs to. The order is that of the columns everywhere.
SIGNALS: Final[dict[str, str]] = {
    "text_learnt": "text",
    "text_plain": "text",
    "text_learnt_new": "text",
    "text_plain_new": "text",
    "behaviour": "behaviour",
    "sequence": "behaviour",
    "ials": "behaviour",
    "popular": "popularity",
    "popular_stranger": "popularity",
    "recent": "recency",
    "fresh": "freshness",
    "new": "freshness",
    "price": "price",
    "category": "category",
    "brand": "brand",
    "seen": "seen",
}
PARTS: Final = tuple(dict.fromkeys(SIGNALS.values()))
_PART_OF = np.array([PARTS.index(part) for part in SIGNALS.values()])
# Where there is nothing to learn from: the text first, then what others like.
PRIOR: Final[dict[str, float]] = {
    "text_learnt": 0.3,
    "text_plain": 0.3,
    "text_learnt_new": 0.0,
    "text_plain_new": 0.2,
    "behaviour": 0.3,
    "sequence": 0.1,
    "ials": 0.0,
    "popular": 0.2,
    "popular_stranger": 0.1,
    "recent": 0.3,
    "fresh": 0.1,
    "new": 0.0,
    "price": 0.0,
    "category": 0.0,
    "brand": 0.0,
    "seen": 0.0,
}


@dataclass(frozen=True)
class Ranker:
    """`weights`, `means`, `scales`: (signals,); `slope` ≥ 0 and `offset` of the probability;
    `trees` None for the sum alone. They are kept in a file of their own (model.py)."""

    weights: FloatArray
    means: FloatArray
    scales: FloatArray
    slope: float
    offset: float
    trees: Trees | None = None

    def score(self, signals: FloatArray) -> FloatArray:
        """(n,) score of n items from their signals (n, signals)."""
        scores = self.linear(signals)
        return scores if self.trees is None else scores + self.trees.added(signals, scores)

    def linear(self, signals: FloatArray) -> FloatArray:
        """(n,) the weighted sum alone; an item's is the same to the last bit whoever stands beside
        it, so that it always falls on the same side of the trees' gate."""
        return np.asarray(self._added(signals).sum(axis=1))

    def parts(self, signals: FloatArray) -> FloatArray:
        """(n, PARTS): what each part adds to the score; a row sums to the score."""
        added = self._added(signals)
        if self.trees is not None:
            added += self.trees.contributions(signals, added.sum(axis=1))
        result = np.zeros((len(signals), len(PARTS)), dtype=np.float32)
        for column, part in enumerate(_PART_OF):
            result[:, part] += added[:, column]
        return result

    def probability(self, score: FloatArray) -> FloatArray:
        """(n,) calibrated probability of interest."""
        logits = np.clip(self.slope * score + self.offset, -30.0, 30.0)
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)

    def only(self, *parts: str) -> Ranker:
        """The weighted sum with the other parts' weights at 0, without trees."""
        kept = np.array([part in parts for part in SIGNALS.values()])
        return Ranker(self.weights * kept, self.means, self.scales, self.slope, self.offset)

    def weight(self, name: str) -> float:
        """Of one signal."""
        return float(self.weights[list(SIGNALS).index(name)])

    def _added(self, signals: FloatArray) -> FloatArray:
        return np.asarray((signals - self.means) * (self.weights / self.scales))

    def settings(self) -> dict[str, Any]:
        """As it stands in the manifest: one entry a signal."""
        columns = zip(SIGNALS, self.weights, self.means, self.scales, strict=True)
        return {
            "signals": {
                name: {"weight": float(weight), "mean": float(mean), "scale": float(scale)}
                for name, weight, mean, scale in columns
            },
            "slope": self.slope,
            "offset": self.offset,
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Ranker:
        """The ranker that `settings` describes. ModelCorrupt where a signal is missing."""
        try:
            rows = [settings["signals"][name] for name in SIGNALS]
            weights, means, scales = (
                np.array([row[key] for row in rows], dtype=np.float32)
                for key in ("weight", "mean", "scale")
            )
            slope, offset = float(settings["slope"]), float(settings["offset"])
            return cls(weights, means, scales, slope, offset)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelCorrupt(
                f"the ranker in the manifest cannot be read: {error!r}",
                mend="Train again, or take another version.",
            ) from error


def prior() -> Ranker:
    """The ranker of a shop without events, on signals as they are."""
    count = len(SIGNALS)
    weights = np.array([PRIOR[name] for name in SIGNALS], dtype=np.float32)
    return Ranker(weights, np.zeros(count, np.float32), np.ones(count, np.float32), 1.0, -3.0)
