"""How good is a ranking of the whole catalogue, in the keys of the contract?

`Task` says who is asked about: their relevant and their known items. A method gives scores for
some of the users at a time; the figures are means over users, with bootstrap intervals, for all
users and for three slices:

    cold_items        relevant items without an event in training, in the full catalogue
    cold_among_cold   the same, ranked among such items only
    short_history     users with at most 5 known events
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.evaluation.intervals import bootstrap_interval, paired_bootstrap
from core.evaluation.ranking import ild, metrics_from_ranks, ranks_from_scores, top_k_items

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
PerUser = dict[str, npt.NDArray[np.float64]]
# Numbers of users in the task → scores (users, items).
Method = Callable[[IntArray], FloatArray]

SLICES: Final = ("cold_items", "cold_among_cold", "short_history")
SHORT_HISTORY: Final = 5
_LIST = 10
_RECALL_AT: Final = (10, 20, 50)
_BLOCK = 128
METRICS: Final = ("ndcg@10", *(f"recall@{k}" for k in _RECALL_AT), "mrr")


@dataclass(frozen=True)
class Task:
    """`relevant`, `known`: item numbers of each user (`known` are left out of the ranking);
    `short` (users,); `trained` (items,) whether training saw an event of it; `embeddings` (items,
    width), frozen, to tell how alike the items of a list are."""

    relevant: Sequence[IntArray]
    known: Sequence[IntArray]
    short: BoolArray
    trained: BoolArray
    embeddings: FloatArray

    def __len__(self) -> int:
        return len(self.relevant)


@dataclass(frozen=True)
class Slice:
    """Figures of some users. `per_user`: metric → (users,); `lists`: (users, 10) item numbers."""

    per_user: PerUser
    lists: IntArray
    catalogue: int


@dataclass(frozen=True)
class Judged:
    """A method's figures: of all users, and of the slices by name."""

    overall: Slice
    slices: dict[str, Slice]


def judge(task: Task, method: Method) -> Judged:
    """Rank the catalogue for every user of the task."""
    blocks: list[dict[str, tuple[PerUser, IntArray]]] = []
    for start in range(0, len(task), _BLOCK):
        users = np.arange(start, min(start + _BLOCK, len(task)))
        blocks.append(_judge_block(task, users, method(users)))
    cold_count = int((~task.trained).sum())
    sizes = {"cold_among_cold": cold_count}
    found = {
        name: _joined([block[name] for block in blocks], task, sizes.get(name))
        for name in ("overall", *SLICES)
    }
    return Judged(found.pop("overall"), found)


def report(judged: Judged, rng: np.random.Generator) -> dict[str, Any]:
    """The contract's keys; what cannot be computed is None."""
    content = _figures(judged.overall, rng)
    content["slices"] = {name: _figures(judged.slices[name], rng) for name in SLICES}
    return content


def empty_report() -> dict[str, Any]:
    """The same keys for a method that could not be worked out."""
    nothing: dict[str, Any] = {"users": 0}
    for name in (*METRICS, "ild"):
        nothing |= {name: None, f"{name}_ci": None}
    nothing["coverage"] = None
    return {**nothing, "slices": {name: dict(nothing) for name in SLICES}}


def difference(ours: Judged, theirs: Judged, rng: np.random.Generator) -> dict[str, Any]:
    """NDCG@10 of ours minus theirs on the same users, with its interval."""
    found = paired_bootstrap(
        ours.overall.per_user["ndcg@10"], theirs.overall.per_user["ndcg@10"], rng
    )
    return {
        "ndcg@10": _number(found.difference),
        "ndcg@10_ci": _interval((found.low, found.high)),
    }


def _judge_block(
    task: Task, users: IntArray, scores: FloatArray
) -> dict[str, tuple[PerUser, IntArray]]:
    relevant = [np.unique(task.relevant[u]) for u in users]
    known = [task.known[u] for u in users]
    ranks = ranks_from_scores(scores, relevant, known)
    lists = top_k_items(scores, _LIST, known)
    cold = [~task.trained[items] for items in relevant]
    some_cold = np.array([bool(c.any()) for c in cold], dtype=bool)
    among = scores.copy()
    among[:, task.trained] = -np.inf
    cold_relevant = [items[c] for items, c in zip(relevant, cold, strict=True)]
    cold_ranks = [r[c] for r, c in zip(ranks, cold, strict=True)]
    among_ranks = ranks_from_scores(among, cold_relevant, known)
    short = task.short[users]
    return {
        "overall": (_metrics(ranks), lists),
        "cold_items": (_metrics(cold_ranks, some_cold), lists[some_cold]),
        "cold_among_cold": (
            _metrics(among_ranks, some_cold),
            top_k_items(among, _LIST, known)[some_cold],
        ),
        "short_history": (_metrics(ranks, short), lists[short]),
    }


def _metrics(ranks: Sequence[IntArray], keep: BoolArray | None = None) -> PerUser:
    found = metrics_from_ranks(ranks, ndcg_at=(10,), recall_at=_RECALL_AT)
    return found if keep is None else {name: values[keep] for name, values in found.items()}


def _joined(parts: Sequence[tuple[PerUser, IntArray]], task: Task, catalogue: int | None) -> Slice:
    per_user = {
        name: np.concatenate([figures[name] for figures, _ in parts]) if parts else np.empty(0)
        for name in METRICS
    }
    lists = np.concatenate([own for _, own in parts]) if parts else np.empty((0, _LIST), np.int64)
    per_user["ild"] = np.array([ild(task.embeddings[row[row >= 0]]) for row in lists])
    return Slice(per_user, lists, len(task.trained) if catalogue is None else catalogue)


def _figures(part: Slice, rng: np.random.Generator) -> dict[str, Any]:
    content: dict[str, Any] = {"users": len(part.lists)}
    for name in (*METRICS, "ild"):
        values = part.per_user[name]
        defined = values[~np.isnan(values)]
        content[name] = _number(float(defined.mean()) if len(defined) else math.nan)
        content[f"{name}_ci"] = _interval(bootstrap_interval(values, rng))
    seen = np.unique(part.lists[part.lists >= 0])
    content["coverage"] = len(seen) / part.catalogue if len(part.lists) and part.catalogue else None
    return content


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _interval(pair: tuple[float, float]) -> list[float] | None:
    return None if math.isnan(pair[0]) else [pair[0], pair[1]]
