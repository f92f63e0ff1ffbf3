"""Which trees mend the weighted sum? LightGBM's LambdaRank on top of it. (lightgbm, training only)

The trees start from the conditional logit's scores and learn what is left to learn: how signals
work together, and where they bend. They see only the items that the logit puts first (about
ITEMS_A_USER for each user), as they will when they serve. Relevant items from further down stay
out: among the first they would be known by their low score, and the trees would learn to
prefer that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.recommender.rankers import Ranker
from services.recommender.trees import Trees

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

ITEMS_A_USER: Final = 300
_TREES: Final = 60
_SETTINGS: Final[dict[str, Any]] = {
    "objective": "lambdarank",
    "num_leaves": 8,
    "max_depth": 4,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "lambda_l2": 10.0,
    "feature_fraction": 0.8,
    "lambdarank_truncation_level": 30,
    "use_missing": False,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def fit_trees(
    signals: FloatArray,
    rivals: BoolArray,
    relevant: Sequence[IntArray],
    ranker: Ranker,
    *,
    seed: int,
    threads: int,
) -> Trees:
    """Trees on top of `ranker`, which was fitted on the same; arguments as of `fit_weights`."""
    booster, gate = boosted(signals, rivals, relevant, ranker, seed=seed, threads=threads)
    return from_booster(booster, gate)


def boosted(
    signals: FloatArray,
    rivals: BoolArray,
    relevant: Sequence[IntArray],
    ranker: Ranker,
    *,
    seed: int,
    threads: int,
) -> tuple[Any, float]:
    """(LightGBM's booster, the score from which on its word counts)."""
    import lightgbm

    scores = np.stack([ranker.linear(own) for own in signals])
    share = min(1.0, ITEMS_A_USER * len(scores) / max(int(rivals.sum()), 1))
    gate = float(np.quantile(scores[rivals], 1.0 - share))
    kept = rivals & (scores >= gate)
    labels = np.zeros(rivals.shape, dtype=np.int8)
    for user, items in enumerate(relevant):
        labels[user, items] = 1
    counts = kept.sum(axis=1)
    data = lightgbm.Dataset(
        signals[kept], labels[kept], group=counts[counts > 0], init_score=scores[kept]
    )
    settings = {**_SETTINGS, "seed": seed, "num_threads": threads}
    return lightgbm.train(settings, data, num_boost_round=_TREES), gate


def from_booster(booster: Any, gate: float) -> Trees:
    """The booster's trees as the server walks them."""
    nodes = _Nodes()
    roots = [nodes.put(tree["tree_structure"])[0] for tree in booster.dump_model()["tree_info"]]
    return Trees(
        np.array(roots, dtype=np.int64),
        np.array(nodes.feature, dtype=np.int64),
        np.array(nodes.threshold, dtype=np.float64),
        np.array(nodes.left, dtype=np.int64),
        np.array(nodes.right, dtype=np.int64),
        np.array(nodes.value, dtype=np.float64),
        gate,
    )


class _Nodes:
    """Nodes in the order of a walk from each root downwards."""

    def __init__(self) -> None:
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.value: list[float] = []

    def put(self, node: dict[str, Any]) -> tuple[int, int]:
        """(place of the node, training items below it)."""
        own = len(self.value)
        self.feature.append(int(node.get("split_feature", 0)))
        self.threshold.append(float(node.get("threshold", 0.0)))
        self.left.append(own)
        self.right.append(own)
        self.value.append(float(node.get("leaf_value", 0.0)))
        if "left_child" not in node:
            return own, max(int(node.get("leaf_count", 1)), 1)
        self.left[own], few = self.put(node["left_child"])
        self.right[own], more = self.put(node["right_child"])
        values = self.value[self.left[own]], self.value[self.right[own]]
        self.value[own] = float(np.average(values, weights=(few, more)))
        return own, few + more
