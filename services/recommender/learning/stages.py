"""What is learnt from one part of the log, and how is it judged on the next?

The log is cut twice, so that nothing is judged on what it was chosen by:

    [ start ......... 80 % | ... 90 % | ... end ]
      parts are learnt     | choices  | judge

1. choose: parts learnt on the first 80 %; settings, number of epochs and weights of the signals by
   what happened in the next 10 %
2. judge:  parts learnt again on 90 % with those settings; figures on the last 10 %
3. final:  parts learnt again on the whole log; the weights move on by the last 10 %
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.progress import SILENT, Progress
from services.recommender import baselines
from services.recommender.baselines import BaselineSettings
from services.recommender.collaborative import Neighbours, largest_in_rows
from services.recommender.figures import Judged, Method, judge
from services.recommender.learning.adapter import Tuned, item_texts, plain_tower, tune
from services.recommender.learning.behaviour import EASE_LIMIT, ease, item_knn, taken
from services.recommender.learning.log import EventLog
from services.recommender.learning.pairs import make_pairs
from services.recommender.learning.ranker import fit_probability, fit_weights
from services.recommender.learning.shop import Shop, shelf_at
from services.recommender.learning.window import Window
from services.recommender.rankers import PARTS, Ranker
from services.recommender.signals import of_items, of_user
from services.recommender.vectors import Adapter, TextTower

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

PAIRS_PER_USER: Final = 30
HALF_LIVES: Final = (None, 120.0, 30.0)  # days
# Signals of this many pairs of user and item are held at once (40 bytes each).
_MAX_CELLS: Final = 3_000_000
_MOST_VALIDATORS: Final = 500


@dataclass(frozen=True)
class Choices:
    """What the choosing stage decided. `behaviour`: ease, item_knn or none; `half_life_days` None
    for interests that never fade; `epochs` of the adapter, 0 for the plain vectors."""

    half_life_days: float | None = None
    epochs: int = 0
    behaviour: str = "none"
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


def choose(shop: Shop, window: Window, effort: Effort) -> tuple[Choices, Parts]:
    """The settings that rank the window best, and the parts learnt with them before it."""
    log = window.before
    takers = window.takers(_MOST_VALIDATORS)
    settings, scores = _tune_baselines(shop, log, takers, effort)
    behaviour = max(("ease", "item_knn"), key=lambda name: scores.get(name, -1.0))
    tower = no_parts(shop).tower
    half_lives = {
        half_life: _text_score(shop, takers, tower, tower.plain, half_life)
        for half_life in HALF_LIVES
    }
    half_life = max(half_lives, key=lambda chosen: half_lives[chosen])
    effort.progress.say(f"behaviour by {behaviour}; interests halve in {half_life or 'no'} days")
    tuned = _tune_adapter(shop, log, tower, half_life, effort, validators=takers)
    choices = Choices(
        half_life_days=half_life,
        epochs=tuned.epochs,
        behaviour=behaviour,
        baselines=settings,
        evidence={
            "baselines_ndcg@10": scores,
            "half_life_ndcg@10": {str(days): score for days, score in half_lives.items()},
            "adapter_ndcg@10": list(tuned.scores),
        },
    )
    parts = Parts(replace(tower, learnt=tuned.adapter), _neighbours(shop, log, choices))
    return choices, parts


def learn(shop: Shop, log: EventLog, choices: Choices, effort: Effort) -> Parts:
    """The parts learnt from `log` with settings chosen before."""
    tower = no_parts(shop).tower
    if choices.epochs:
        tuned = _tune_adapter(shop, log, tower, choices.half_life_days, effort, choices.epochs)
        tower = replace(tower, learnt=tuned.adapter)
    return Parts(tower, _neighbours(shop, log, choices))


@dataclass(frozen=True)
class Asked:
    """Users of a window who took something, with `signals` (users, items, signals) of every
    item."""

    window: Window
    signals: FloatArray


def ask(shop: Shop, window: Window, parts: Parts, half_life_days: float | None) -> Asked:
    """As many users of the window as fit into memory."""
    takers = window.takers(max(50, _MAX_CELLS // max(len(shop), 1)))
    return Asked(takers, np.stack(list(_signals(shop, takers, parts, half_life_days))))


def fit_ranker(
    shop: Shop, window: Window, asked: Asked, parts: Parts, choices: Choices, prior: Ranker
) -> tuple[Ranker, bool]:
    """(weights and calibration by what happened in the window, whether shown items calibrate it).

    Where the log shows nothing that was seen and not taken, the probability is that of taking an
    item out of all there are.
    """
    rivals = asked.window.rivals()
    ranker = fit_weights(asked.signals, rivals, asked.window.relevant, prior)
    scores, labels = shown_scores(shop, window, parts, choices.half_life_days, ranker)
    by_shown = bool(len(labels)) and not labels.all()
    if not by_shown:
        took = np.zeros(rivals.shape, dtype=np.bool_)
        for user, items in enumerate(asked.window.relevant):
            took[user, items] = True
        scores, labels = ranker.score(asked.signals[rivals]), took[rivals]
    curve = fit_probability(scores, labels)
    if curve is not None:
        ranker = replace(ranker, slope=curve[0], offset=curve[1])
    return ranker, by_shown


def without_each_part(shop: Shop, asked: Asked, ranker: Ranker) -> dict[str, float]:
    """NDCG@10 of the users asked, with all parts ("all") and with each one left out."""
    task = asked.window.task(shop)

    def ndcg(chosen: Ranker) -> float:
        return _ndcg(
            judge(task, lambda users: np.stack([chosen.score(asked.signals[u]) for u in users]))
        )

    found = {"all": ndcg(ranker)}
    for part in PARTS:
        found[part] = ndcg(ranker.only(*(other for other in PARTS if other != part)))
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
        found[name] = None if scorer is None else _on_rows(scorer, matrix)
    return found


def _on_rows(scorer: baselines.Scorer, matrix: Any) -> Method:
    return lambda users: scorer(matrix[users])


def _signals(
    shop: Shop, window: Window, parts: Parts, half_life_days: float | None
) -> Iterator[FloatArray]:
    """(items, signals) of each user of the window, one after the other."""
    shelf = shelf_at(shop, parts.tower, parts.model_rows, window.before, window.start)
    common = of_items(shelf, window.start)
    for interests in window.interests(half_life_days):
        yield of_user(common, shelf, parts.tower, parts.neighbours, interests)


def _tune_baselines(
    shop: Shop, log: EventLog, window: Window, effort: Effort
) -> tuple[BaselineSettings, dict[str, float]]:
    """The best value of each baseline's setting, and its NDCG@10 with it."""
    settings, best = BaselineSettings(), {}
    task, matrix = window.task(shop), taken(log)[window.users]
    for name, (setting, values) in baselines.CANDIDATES.items():
        scores: dict[float, float] = {}
        for value in values:
            tried = replace(settings, **{setting: value})
            scorer = baselines.fit(name, log, shop.embeddings, tried, seed=effort.seed)
            if scorer is not None:
                scores[value] = _ndcg(judge(task, _on_rows(scorer, matrix)))
        if scores:
            chosen = max(scores, key=lambda value: scores[value])
            settings = replace(settings, **{setting: chosen})
            best[name] = scores[chosen]
            effort.progress.say(f"baseline {name}: held-out NDCG@10 {best[name]:.4f}")
    return settings, best


def _tune_adapter(
    shop: Shop,
    log: EventLog,
    tower: TextTower,
    half_life: float | None,
    effort: Effort,
    epochs: int | None = None,
    validators: Window | None = None,
) -> Tuned:
    rng = np.random.default_rng(effort.seed)
    pairs = make_pairs(log, half_life, per_user=PAIRS_PER_USER, rng=rng)
    validate: Callable[[Adapter], float] | None = None
    if validators is not None:
        window = validators

        def score(adapter: Adapter) -> float:
            return _text_score(shop, window, tower, adapter, half_life)

        validate = score
    return tune(
        tower.plain,
        item_texts(tower, shop.embeddings, shop.readable, shop.texts),
        pairs,
        seed=effort.seed,
        validate=validate,
        epochs=epochs,
        progress=effort.progress,
    )


def _text_score(
    shop: Shop, window: Window, tower: TextTower, adapter: Adapter, half_life: float | None
) -> float:
    """NDCG@10 of ranking the window's users by the adapter's match alone."""
    items = item_texts(tower, shop.embeddings, shop.readable, shop.texts)
    vectors = adapter.combine(items.embedded, items.bag)
    interests = window.interests(half_life)
    return _ndcg(
        judge(
            window.task(shop),
            lambda users: np.stack([adapter.match(vectors, interests[u]) for u in users]),
        )
    )


def _ndcg(judged: Judged) -> float:
    values = judged.overall.per_user["ndcg@10"]
    return float(values.mean()) if len(values) else 0.0


def _neighbours(shop: Shop, log: EventLog, choices: Choices) -> Neighbours:
    """The neighbours of the items that the log knows."""
    if choices.behaviour == "none" or not log.positive.any():
        return _no_neighbours()
    matrix = taken(log)
    seen = np.flatnonzero(np.asarray(matrix.sum(axis=0)).ravel() > 0)
    matrix = matrix[:, seen]
    item_ids = [shop.items[n].item_id for n in seen.tolist()]
    if choices.behaviour == "ease" and len(seen) <= EASE_LIMIT:
        weights = ease(matrix, choices.baselines.ease_regularisation)
        return Neighbours(item_ids, *largest_in_rows(weights))
    return item_knn(matrix, choices.baselines.knn_shrinkage, item_ids)


def _no_neighbours() -> Neighbours:
    return Neighbours([], np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32))
