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

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from services.recommender import baselines
from services.recommender.baselines import BaselineSettings
from services.recommender.collaborative import Neighbours, Sequel
from services.recommender.figures import judge
from services.recommender.learning.adapter import item_texts
from services.recommender.learning.asked import ndcg, on_rows
from services.recommender.learning.behaviour import taken
from services.recommender.learning.log import EventLog
from services.recommender.learning.parts import (
    Choices,
    Effort,
    Parts,
    neighbours_of,
    no_parts,
    popularity,
    tune_adapter,
)
from services.recommender.learning.sequence import follows, sequel
from services.recommender.learning.shop import Shop
from services.recommender.learning.window import Window
from services.recommender.vectors import Adapter, TextTower

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

HALF_LIVES: Final = (None, 120.0, 30.0)  # days
# Shares of an item's own popularity in the divisor, and how an interest fades with each moment.
SEQUENCES: Final = tuple((own, fade) for own in (0.5, 0.7, 0.9) for fade in (1.0, 0.8, 0.6))
_MOST_VALIDATORS: Final = 500


def choose(shop: Shop, window: Window, effort: Effort) -> tuple[Choices, Parts]:
    """The settings that rank the window best, and the parts learnt with them before it."""
    log = window.before
    takers = window.takers(_MOST_VALIDATORS)
    settings, scores = _tune_baselines(shop, log, takers, effort)
    behaviour = max(("ease", "item_knn"), key=lambda name: scores.get(name, -1.0))
    sequences = _sequence_scores(shop, log, takers)
    tower = no_parts(shop).tower
    half_lives = {
        half_life: _text_score(shop, takers, tower, tower.plain, half_life)
        for half_life in HALF_LIVES
    }
    half_life = max(half_lives, key=lambda chosen: half_lives[chosen])
    effort.progress.say(f"behaviour by {behaviour}; interests halve in {half_life or 'no'} days")
    choices = Choices(
        half_life_days=half_life,
        behaviour=behaviour,
        sequence=max(sequences, key=lambda tried: sequences[tried]),
        factors=True,
        baselines=settings,
        evidence={
            "baselines_ndcg@10": scores,
            "half_life_ndcg@10": {str(days): score for days, score in half_lives.items()},
            "sequence_ndcg@10": {f"{own}, {fade}": s for (own, fade), s in sequences.items()},
        },
    )
    neighbours = neighbours_of(shop, log, choices, effort.seed)
    return choose_text(shop, window, choices, neighbours, effort)


def choose_text(
    shop: Shop, window: Window, choices: Choices, neighbours: Neighbours, effort: Effort
) -> tuple[Choices, Parts]:
    """The same settings with the adapter that ranks the window best by the shop's embeddings."""
    takers, half_life = window.takers(_MOST_VALIDATORS), choices.half_life_days
    tower = no_parts(shop).tower
    tuned = tune_adapter(
        shop,
        window.before,
        tower,
        half_life,
        effort,
        validate=lambda adapter: _text_score(shop, takers, tower, adapter, half_life),
    )
    evidence = {**choices.evidence, "adapter_ndcg@10": list(tuned.scores)}
    found = replace(choices, epochs=tuned.epochs, evidence=evidence)
    return found, Parts(replace(tower, learnt=tuned.adapter), neighbours)


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
                scores[value] = ndcg(judge(task, on_rows(scorer, matrix)))
        if scores:
            chosen = max(scores, key=lambda value: scores[value])
            settings = replace(settings, **{setting: chosen})
            best[name] = scores[chosen]
            effort.progress.say(f"baseline {name}: held-out NDCG@10 {best[name]:.4f}")
    return settings, best


def _text_score(
    shop: Shop, window: Window, tower: TextTower, adapter: Adapter, half_life: float | None
) -> float:
    """NDCG@10 of ranking the window's users by the adapter's match alone."""
    items = item_texts(tower, shop.embeddings, shop.readable, shop.texts)
    vectors = adapter.combine(items.embedded, items.bag)
    interests = window.interests(half_life)
    return ndcg(
        judge(
            window.task(shop),
            lambda users: np.stack([adapter.match(vectors, interests[u]) for u in users]),
        )
    )


def _sequence_scores(shop: Shop, log: EventLog, window: Window) -> dict[tuple[float, float], float]:
    """NDCG@10 of ranking the window's users by what came after, for each of SEQUENCES."""
    counted, popular = follows(log), popularity(log)
    task, interests = window.task(shop), window.interests(None)
    found = {}
    for own, fade in SEQUENCES:
        learnt = sequel(counted, popular, own, fade)
        table = Neighbours(shop.item_ids, learnt.others, learnt.weights)

        def score(
            users: IntArray, table: Neighbours = table, learnt: Sequel = learnt
        ) -> FloatArray:
            known = [interests[user] for user in users]
            return np.stack([table.score(i.rows, learnt.faded(i.weights, i.steps)) for i in known])

        found[own, fade] = ndcg(judge(task, score))
    return found
