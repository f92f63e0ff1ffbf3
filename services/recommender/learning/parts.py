"""What is learnt from one part of the log, with settings that were chosen before?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.progress import SILENT, Progress
from services.recommender.baselines import BaselineSettings
from services.recommender.collaborative import Neighbours, largest_in_rows
from services.recommender.factors import Factors
from services.recommender.learning.adapter import Tuned, item_texts, plain_tower, tune
from services.recommender.learning.als import item_factors
from services.recommender.learning.behaviour import EASE_LIMIT, ease, item_knn, taken
from services.recommender.learning.log import EventLog
from services.recommender.learning.pairs import make_pairs
from services.recommender.learning.sequence import follows, sequel
from services.recommender.learning.shop import Shop
from services.recommender.vectors import Adapter, TextTower

FloatArray = npt.NDArray[np.float32]

PAIRS_PER_USER: Final = 30


@dataclass(frozen=True)
class Choices:
    """What the choosing stage decided. `behaviour`: ease, item_knn or none; `half_life_days` None
    for interests that never fade; `epochs` of the adapter, 0 for the plain vectors; `sequence`
    (own, fade) of learning/sequence.py; `factors` whether iALS is learnt too, `trees`
    whether they mend the ranker's sum."""

    half_life_days: float | None = None
    epochs: int = 0
    behaviour: str = "none"
    sequence: tuple[float, float] | None = None
    factors: bool = False
    trees: bool = False
    baselines: BaselineSettings = field(default_factory=BaselineSettings)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """What is learnt from one part of the log."""

    tower: TextTower
    neighbours: Neighbours

    @property
    def model_rows(self) -> dict[str, int]:
        """Item id → row in the neighbours."""
        return {item_id: row for row, item_id in enumerate(self.neighbours.item_ids)}


@dataclass(frozen=True)
class Effort:
    """How the work is done: shared by all stages."""

    seed: int = 0
    threads: int = 2
    progress: Progress = SILENT


def no_parts(shop: Shop) -> Parts:
    """Parts of a shop without events: plain vectors, no neighbours."""
    tower = plain_tower(shop.embeddings, shop.readable, shop.texts)
    return Parts(tower, _no_neighbours())


def learn(shop: Shop, log: EventLog, choices: Choices, effort: Effort) -> Parts:
    """The parts learnt from `log` with settings chosen before."""
    tower = no_parts(shop).tower
    if choices.epochs:
        tuned = tune_adapter(shop, log, tower, choices.half_life_days, effort, choices.epochs)
        tower = replace(tower, learnt=tuned.adapter)
    return Parts(tower, neighbours_of(shop, log, choices, effort.seed))


def tune_adapter(
    shop: Shop,
    log: EventLog,
    tower: TextTower,
    half_life: float | None,
    effort: Effort,
    epochs: int | None = None,
    validate: Callable[[Adapter], float] | None = None,
) -> Tuned:
    rng = np.random.default_rng(effort.seed)
    pairs = make_pairs(log, half_life, per_user=PAIRS_PER_USER, rng=rng)
    return tune(
        tower.plain,
        item_texts(tower, shop.embeddings, shop.readable, shop.texts),
        pairs,
        seed=effort.seed,
        validate=validate,
        epochs=epochs,
        progress=effort.progress,
    )


def neighbours_of(shop: Shop, log: EventLog, choices: Choices, seed: int) -> Neighbours:
    """The neighbours of the items that the log knows."""
    if choices.behaviour == "none" or not log.positive.any():
        return _no_neighbours()
    matrix = taken(log)
    seen = np.flatnonzero(np.asarray(matrix.sum(axis=0)).ravel() > 0)
    matrix = matrix[:, seen]
    item_ids = [shop.items[n].item_id for n in seen.tolist()]
    if choices.behaviour == "ease" and len(seen) <= EASE_LIMIT:
        weights = ease(matrix, choices.baselines.ease_regularisation)
        table = Neighbours(item_ids, *largest_in_rows(weights))
    else:
        table = item_knn(matrix, choices.baselines.knn_shrinkage, item_ids)
    if choices.factors:
        settings = choices.baselines
        both = settings.als_unobserved, settings.als_regularisation
        found = Factors.of(item_factors(matrix, *both, seed), *both)
        table = replace(table, factors=found)
    if choices.sequence is None:
        return table
    counted = follows(log)[seen][:, seen]
    return replace(table, sequel=sequel(counted, popularity(log)[seen], *choices.sequence))


def popularity(log: EventLog) -> FloatArray:
    """(items,) users who took each item."""
    return np.asarray(taken(log).sum(axis=0), dtype=np.float32).ravel()


def _no_neighbours() -> Neighbours:
    return Neighbours([], np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32))
