"""How are a window's users ranked, and what do they say of the signals' weights?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.recommender import baselines
from services.recommender.baselines import BaselineSettings
from services.recommender.figures import Judged, Method, judge
from services.recommender.learning.behaviour import taken
from services.recommender.learning.parts import Choices, Effort, Parts
from services.recommender.learning.ranker import fit_probability, fit_weights
from services.recommender.learning.shop import Shop, shelf_at
from services.recommender.learning.trees import fit_trees
from services.recommender.learning.window import Window
from services.recommender.rankers import PARTS, Ranker
from services.recommender.signals import of_items, of_user

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Signals of this many pairs of user and item are held at once (64 bytes each).
_MAX_CELLS: Final = 3_000_000


@dataclass(frozen=True)
class Asked:
    """Users of a window who took something, with `signals` (users, items, signals) of every
    item."""

    window: Window
    signals: FloatArray

    def select(self, places: IntArray) -> Asked:
        """The users at these places."""
        return Asked(self.window.select(places.tolist()), self.signals[places])


def ask(shop: Shop, window: Window, parts: Parts, half_life_days: float | None) -> Asked:
    """As many users of the window as fit into memory."""
    takers = window.takers(max(50, _MAX_CELLS // max(len(shop), 1)))
    return Asked(takers, np.stack(list(_signals(shop, takers, parts, half_life_days))))


def fit_ranker(
    shop: Shop,
    window: Window,
    asked: Asked,
    parts: Parts,
    choices: Choices,
    prior: Ranker,
    effort: Effort,
) -> tuple[Ranker, bool]:
    """(weights and calibration by what happened in the window, whether shown items calibrate it).

    Where the log shows nothing that was seen and not taken, the probability is that of taking an
    item out of all there are. Trees fit their own users too well to be calibrated by them: the
    curve is that of trees learnt from every other user, on the users between.
    """
    ranker = fit_weights(asked.signals, asked.window.rivals(), asked.window.taken(), prior)
    if not choices.trees:
        curve, by_shown = _curve(shop, window, asked, parts, choices, ranker)
    else:
        places = np.arange(len(asked.signals))
        even, odd = asked.select(places[::2]), asked.select(places[1::2])
        others = np.flatnonzero(~np.isin(window.users, even.window.users))
        half = mended(ranker, even, effort)
        curve, by_shown = _curve(shop, window.select(others.tolist()), odd, parts, choices, half)
        ranker = mended(ranker, asked, effort)
    if curve is not None:
        ranker = replace(ranker, slope=curve[0], offset=curve[1])
    return ranker, by_shown


def mended(ranker: Ranker, asked: Asked, effort: Effort) -> Ranker:
    """The ranker with trees learnt from what it leaves to be explained."""
    window, threads = asked.window, effort.threads
    rivals, took = window.rivals(), window.taken()
    trees = fit_trees(asked.signals, rivals, took, ranker, seed=effort.seed, threads=threads)
    return replace(ranker, trees=trees)


def _curve(
    shop: Shop, window: Window, asked: Asked, parts: Parts, choices: Choices, ranker: Ranker
) -> tuple[tuple[float, float] | None, bool]:
    scores, labels = shown_scores(shop, window, parts, choices.half_life_days, ranker)
    by_shown = bool(len(labels)) and not labels.all()
    if not by_shown:
        rivals = asked.window.rivals()
        took = np.zeros(rivals.shape, dtype=np.bool_)
        for user, items in enumerate(asked.window.taken()):
            took[user, items] = True
        scores, labels = ranker.score(asked.signals[rivals]), took[rivals]
    return fit_probability(scores, labels), by_shown


def without_each_part(shop: Shop, asked: Asked, ranker: Ranker) -> dict[str, float]:
    """NDCG@10 of the users asked, with all there is ("all"), without the trees, and
    of the sum alone with each part left out."""
    task = asked.window.task(shop)

    def of(chosen: Ranker) -> float:
        return ndcg(
            judge(task, lambda users: np.stack([chosen.score(asked.signals[u]) for u in users]))
        )

    found = {"all": of(ranker)}
    logit = replace(ranker, trees=None)
    alone = found["all"] if ranker.trees is None else of(logit)
    if ranker.trees is not None:
        found["trees"] = alone
    for part in PARTS:
        # A part without weight, as that of columns which the shop does not fill, changes nothing.
        some = bool(logit.only(part).weights.any())
        others = (other for other in PARTS if other != part)
        found[part] = of(logit.only(*others)) if some else alone
    return found


def shown_scores(
    shop: Shop, window: Window, parts: Parts, half_life_days: float | None, ranker: Ranker
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """(scores, whether taken) of the pairs that users of the window saw for the first time."""
    users = window.first(max(200, _MAX_CELLS // max(len(shop), 1)))
    scores: list[FloatArray] = []
    labels: list[npt.NDArray[np.bool_]] = []
    for number, signals in enumerate(_signals(shop, users, parts, half_life_days)):
        took, refused = users.relevant[number], users.refused[number]
        scores.append(ranker.score(signals[np.concatenate([took, refused])]))
        labels.append(np.repeat([True, False], [len(took), len(refused)]))
    if not scores:
        return np.empty(0, np.float32), np.empty(0, np.bool_)
    return np.concatenate(scores), np.concatenate(labels)


def served(
    shop: Shop, window: Window, parts: Parts, half_life_days: float | None, ranker: Ranker
) -> Method:
    """The service's own ranking of a window's users."""

    def scores(users: IntArray) -> FloatArray:
        block = window.select(users.tolist())
        return np.stack(
            [ranker.score(signals) for signals in _signals(shop, block, parts, half_life_days)]
        )

    return scores


def rivals(
    shop: Shop, window: Window, settings: BaselineSettings, effort: Effort
) -> dict[str, Method | None]:
    """Every baseline, learnt before the window, as a method on its users."""
    matrix = taken(window.before)[window.users]
    found: dict[str, Method | None] = {}
    for name in baselines.NAMES:
        scorer = baselines.fit(name, window.before, shop.embeddings, settings, seed=effort.seed)
        found[name] = None if scorer is None else on_rows(scorer, matrix)
    return found


def on_rows(scorer: baselines.Scorer, matrix: Any) -> Method:
    return lambda users: scorer(matrix[users])


def _signals(
    shop: Shop, window: Window, parts: Parts, half_life_days: float | None
) -> Iterator[FloatArray]:
    """(items, signals) of each user of the window, one after the other."""
    shelf = shelf_at(shop, parts.tower, parts.model_rows, window.before, window.start)
    common = of_items(shelf, window.start)
    for interests in window.interests(half_life_days):
        yield of_user(common, shelf, parts.tower, parts.neighbours, interests)


def ndcg(judged: Judged) -> float:
    """Mean NDCG@10; 0 without users."""
    values = judged.overall.per_user["ndcg@10"]
    return float(values.mean()) if len(values) else 0.0
