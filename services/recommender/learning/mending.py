"""Do trees on top of the weighted sum rank what comes later better?

Users of one moment cannot tell: trees learn which items were wanted then, and so rank other users
of the same weeks better than those of the next. The choosing window is cut in the middle: both
kinds are fitted on what users took in its first half, and judged on the second.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from services.recommender.figures import difference, judge
from services.recommender.learning.asked import Asked, ask, mended, ndcg
from services.recommender.learning.log import EventLog, moment_of_share
from services.recommender.learning.parts import Choices, Effort, Parts
from services.recommender.learning.ranker import fit_weights
from services.recommender.learning.shop import Shop
from services.recommender.learning.window import Window, open_window
from services.recommender.rankers import Ranker, prior

# Users with something new in each half; with fewer the interval decides nothing.
FEWEST_USERS: Final = 200


def choose_trees(
    shop: Shop, log: EventLog, window: Window, parts: Parts, choices: Choices, effort: Effort
) -> Choices:
    """The choices with trees where they rank the window's second half better, the whole interval
    of the difference above 0; `log` ends with the window. The evidence says why."""
    told, better = _compared(shop, log, window, parts, choices, effort)
    effort.progress.say(f"ranker: {told['why']}")
    return replace(choices, trees=better, evidence={**choices.evidence, "trees": told})


def _compared(
    shop: Shop, log: EventLog, window: Window, parts: Parts, choices: Choices, effort: Effort
) -> tuple[dict[str, Any], bool]:
    inside = log.between(window.start, np.inf)
    middle = moment_of_share(inside, 0.5)
    rng = np.random.default_rng(effort.seed)
    end = float(np.nextafter(log.time[-1], np.inf))
    halves = [
        open_window(shop, log.before(until), start, until, rng)
        for start, until in ((window.start, middle), (middle, end))
    ]
    users = min(len(half.takers()) for half in halves)
    if users < FEWEST_USERS:
        why = f"trees were not tried: {users} users in half a window, {FEWEST_USERS} are needed"
        return {"why": why}, False
    first, second = (ask(shop, half, parts, choices.half_life_days) for half in halves)
    rivals, took = first.window.rivals(), first.window.taken()
    ranker = fit_weights(first.signals, rivals, took, prior())
    task = second.window.task(shop)

    def judged(one: Ranker, asked: Asked = second) -> Any:
        return judge(task, lambda users: np.stack([one.score(asked.signals[u]) for u in users]))

    plain, with_trees = judged(ranker), judged(mended(ranker, first, effort))
    gain = difference(with_trees, plain, rng)
    low, high = gain["ndcg@10_ci"]
    why = "ranked" if low > 0 else "did not rank"
    told = {
        "why": f"trees {why} later users better ({low:+.4f} to {high:+.4f} NDCG@10)",
        "users": len(second.window),
        "ndcg@10": {"logit": ndcg(plain), "trees": ndcg(with_trees)},
        "gain": gain,
    }
    return told, low > 0
