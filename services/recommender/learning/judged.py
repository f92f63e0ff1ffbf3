"""How good was the ranking on the last part of the log, beside the usual methods?"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from core.evaluation.calibration import binary_ece
from services.recommender.figures import difference, empty_report, judge, report
from services.recommender.learning.asked import rivals, served, shown_scores
from services.recommender.learning.parts import Choices, Effort, Parts
from services.recommender.learning.shop import Shop
from services.recommender.learning.window import Window
from services.recommender.rankers import Ranker

# Users who judge, drawn at random; with more the intervals hardly become narrower.
MOST_JUDGES: Final = 5_000


def held_out(
    shop: Shop,
    frozen: Shop,
    window: Window,
    parts: Parts,
    ranker: Ranker,
    choices: Choices,
    effort: Effort,
) -> dict[str, Any]:
    """The contract's figures for the window, which neither parts nor ranker have seen, and how far
    `p_interest` can be believed. `frozen` carries the embeddings of the frozen encoder."""
    takers = window.takers(MOST_JUDGES)
    task = takers.task(frozen)
    ours = judge(task, served(shop, takers, parts, choices.half_life_days, ranker))
    rng = np.random.default_rng(effort.seed)
    metrics = report(ours, rng)
    metrics["baselines"], metrics["gain_over"] = {}, {}
    for name, method in rivals(frozen, takers, choices.baselines, effort).items():
        if method is None:
            metrics["baselines"][name] = empty_report()
            continue
        theirs = judge(task, method)
        metrics["baselines"][name] = report(theirs, rng)
        metrics["gain_over"][name] = difference(ours, theirs, rng)
    metrics["p_interest"] = _calibration(shop, window, parts, ranker, choices)
    return metrics


def _calibration(
    shop: Shop, window: Window, parts: Parts, ranker: Ranker, choices: Choices
) -> dict[str, Any] | None:
    """Of the pairs that users saw for the first time; None where the log shows none refused."""
    scores, taken = shown_scores(shop, window, parts, choices.half_life_days, ranker)
    if len(taken) == 0 or taken.all():
        return None
    predicted = ranker.probability(scores).astype(np.float64)
    brier = float(np.mean((predicted - taken) ** 2))
    base = float(taken.mean())
    return {
        "pairs": len(taken),
        "share_taken": base,
        "mean_predicted": float(predicted.mean()),
        "brier": brier,
        "brier_skill": 1 - brier / (base * (1 - base)) if 0 < base < 1 else None,
        "ece": float(binary_ece(predicted, taken)),
    }
