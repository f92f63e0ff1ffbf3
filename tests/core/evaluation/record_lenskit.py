"""What does LensKit say of the lists that test_ranking_agrees.py looks at?

    python -m venv --system-site-packages lenskit-venv
    lenskit-venv/bin/pip install lenskit==2025.8.1
    lenskit-venv/bin/python tests/core/evaluation/record_lenskit.py

writes lenskit_figures.json beside this file. LensKit of 2025.8 wants pandas below 3 and takes
seconds to import, so it lives in an environment of its own and its answers are kept.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from lenskit.data import ItemList
from lenskit.metrics import NDCG, Hit, Precision, Recall, RecipRank
from lenskit.metrics.ranking import LogRankWeight

FIGURES = Path(__file__).with_name("lenskit_figures.json")
LISTS = 72
CATALOGUE = 60
CUTS = (1, 3, 10, 20)


def main() -> None:
    """Draw the lists, ask LensKit, write both."""
    rng = np.random.default_rng(6)
    cases = [case(rng, number) for number in range(LISTS)]
    content = {"lenskit": version("lenskit"), "catalogue": CATALOGUE, "cases": cases}
    text = json.dumps(content).replace('{"ranked"', '\n{"ranked"')
    FIGURES.write_text(text + "\n", encoding="utf-8")


def case(rng: np.random.Generator, number: int) -> dict[str, Any]:
    """A list of 0 to 30 items and its relevant ones; every tenth list is empty, every ninth user
    has nothing relevant."""
    length = 0 if number % 10 == 9 else int(rng.integers(1, 31))
    wanted = 0 if number % 9 == 8 else int(rng.integers(1, 26))
    ranked = rng.permutation(CATALOGUE)[:length]
    relevant = rng.permutation(CATALOGUE)[:wanted]
    return {
        "ranked": ranked.tolist(),
        "relevant": relevant.tolist(),
        "figures": {str(k): figures(ranked, relevant, k) for k in CUTS},
    }


def figures(ranked: np.ndarray, relevant: np.ndarray, k: int) -> dict[str, float | None]:
    """What LensKit says at cut `k`; None for what it cannot say. Its discount is set to
    log2(rank + 1), which is not its default."""
    recs, test = ItemList(item_ids=ranked, ordered=True), ItemList(item_ids=relevant)
    metrics = {
        "ndcg": NDCG(k, weight=LogRankWeight(offset=1)),
        "recall": Recall(k),
        "precision": Precision(k),
        "mrr": RecipRank(k),
        "hit": Hit(k),
    }
    # An empty set of relevant items makes some of them divide by nothing.
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {name: float(metric.measure_list(recs, test)) for name, metric in metrics.items()}
    return {name: None if math.isnan(value) else value for name, value in found.items()}


if __name__ == "__main__":
    main()
