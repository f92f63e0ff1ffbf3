"""How good are the usual methods on the same task? The rivals that every report stands beside.

Each gives scores (users, items) for users whose known items are the rows of a sparse matrix of
ones. They use what was known at the time and nothing of this service's own learning; their few
settings are tuned on the same part of the log as ours. A user without known items gets the popular
ones from all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.recommender.collaborative import Neighbours
from services.recommender.domain import DAY
from services.recommender.learning.als import item_factors, solve
from services.recommender.learning.behaviour import EASE_LIMIT, ease, item_knn, taken
from services.recommender.learning.log import EventLog

FloatArray = npt.NDArray[np.float32]
# Known items of some users, sparse (users, items) → scores (users, items).
Scorer = Callable[[Any], FloatArray]

NAMES: Final = ("popular", "recent_popular", "item_knn", "ease", "ials", "frozen_text")
RECENT_DAYS: Final = 30


@dataclass(frozen=True)
class BaselineSettings:
    """What was tuned; see the classes below for the meaning."""

    ease_regularisation: float = 100.0
    knn_shrinkage: float = 5.0
    als_unobserved: float = 0.1
    als_regularisation: float = 0.01
    text_sharpness: float = 5.0

    def to_json(self) -> dict[str, float]:
        """As it stands in the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> BaselineSettings:
        """From the manifest; what is not there keeps its default."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: float(value) for name, value in content.items() if name in known})


# What tuning tries, one setting after the other.
CANDIDATES: Final[dict[str, tuple[str, tuple[float, ...]]]] = {
    "ease": ("ease_regularisation", (30.0, 100.0, 300.0, 1000.0)),
    "item_knn": ("knn_shrinkage", (0.0, 5.0, 20.0)),
    "ials": ("als_unobserved", (0.03, 0.1, 0.3)),
    "frozen_text": ("text_sharpness", (0.0, 5.0, 10.0)),
}


def fit(
    name: str, log: EventLog, embeddings: FloatArray, settings: BaselineSettings, *, seed: int
) -> Scorer | None:
    """The baseline `name`, learnt from `log`; None where it cannot be worked out.

    `embeddings` (items, width) are the frozen encoder's, of unit length.
    """
    if name == "ease" and log.items > EASE_LIMIT:
        return None
    matrix = taken(log)
    popularity = np.asarray(matrix.sum(axis=0), dtype=np.float32).ravel()
    makers: dict[str, Callable[[], Scorer]] = {
        "popular": lambda: _everybody(popularity),
        "recent_popular": lambda: _everybody(_recent(log)),
        "item_knn": lambda: _by_neighbours(item_knn(matrix, settings.knn_shrinkage)),
        "ease": lambda: _by_weights(ease(matrix, settings.ease_regularisation)),
        "ials": lambda: _als(matrix, settings, seed),
        "frozen_text": lambda: _by_text(embeddings, settings.text_sharpness),
    }
    return _or_popular(makers[name](), popularity)


def _everybody(scores: FloatArray) -> Scorer:
    return lambda known: np.tile(scores, (known.shape[0], 1))


def _recent(log: EventLog) -> FloatArray:
    """Users who took each item in the last 30 days of the log."""
    if len(log) == 0:
        return np.zeros(log.items, dtype=np.float32)
    latest = log.select(log.time > log.time[-1] - RECENT_DAYS * DAY)
    return np.asarray(taken(latest).sum(axis=0), dtype=np.float32).ravel()


def _or_popular(scorer: Scorer, popularity: FloatArray) -> Scorer:
    """The scorer's word for users of whom something is known, popularity for the others."""

    def scores(known: Any) -> FloatArray:
        found = np.array(scorer(known), dtype=np.float32)
        found[np.diff(known.indptr) == 0] = popularity
        return found

    return scores


def _by_weights(weights: FloatArray) -> Scorer:
    return lambda known: np.asarray(known @ weights)


def _by_neighbours(neighbours: Neighbours) -> Scorer:
    def scores(known: Any) -> FloatArray:
        rows = [known.indices[known.indptr[u] : known.indptr[u + 1]] for u in range(known.shape[0])]
        return np.stack([neighbours.score(own, np.ones(len(own))) for own in rows])

    return scores


def _by_text(embeddings: FloatArray, sharpness: float) -> Scorer:
    """Sum over known items of exp(sharpness * cosine); 0 takes the plain sum of cosines, which is
    the cosine with the mean of the known items."""

    def scores(known: Any) -> FloatArray:
        items = np.unique(known.indices)
        cosines = embeddings[items] @ embeddings.T
        if sharpness > 0:
            cosines = np.exp(sharpness * (cosines - 1))
        return np.asarray(known[:, items] @ cosines, dtype=np.float32)

    return scores


def _als(matrix: Any, settings: BaselineSettings, seed: int) -> Scorer:
    both = settings.als_unobserved, settings.als_regularisation
    items = item_factors(matrix, *both, seed)
    return lambda known: solve(known, items, *both) @ items.T
