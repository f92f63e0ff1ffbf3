"""Which of the ranked items make an answer that is good, varied and teaches something? Pure.

    best_first       rows by falling score
    pick             the answer: one item of a group, caps, variety by one knob
    explored         a share of places for items of which little is known

Variety is maximal marginal relevance (Carbonell and Goldstein 1998): each place goes to the item
with the largest (1 - d) * score - d * likeness to what stands before, scores brought to 0 to 1 over
the pool, d the knob.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.recommender.columns import NOTHING

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.integer]

# How varied the answer for a stranger is, of whom nobody knows which corner of the shop is theirs.
STRANGER_DIVERSITY = 0.4
# Items looked at for each place of a varied answer, and for each place of an exploring one.
_POOL = 10


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` items with the same code in `codes` (n,) in one answer; those without a value
    are not counted."""

    codes: Codes
    most: int


def best_first(scores: FloatArray, allowed: BoolArray, at_most: int | None = None) -> IntArray:
    """Rows of the allowed items by falling score; of equal scores the earlier row first. With
    `at_most` only the first so many are looked for (and all that are as good as the last)."""
    rows: IntArray = np.flatnonzero(allowed)
    values = -scores[rows]
    if at_most is not None and at_most < len(rows):
        kept = np.flatnonzero(values <= np.partition(values, at_most - 1)[at_most - 1])
        rows, values = rows[kept], values[kept]
    return np.asarray(rows[np.argsort(values, kind="stable")])


def pick(
    rows: IntArray,
    scores: FloatArray,
    vectors: FloatArray,
    count: int,
    diversity: float,
    caps: Sequence[Cap],
    standing: Sequence[int] = (),
) -> IntArray:
    """`count` of `rows` (the best first) for the places beside those `standing` there already.

    `scores` (n,) and `vectors` (n, width), of unit length, are the shelf's; `diversity` 0 (the
    best) to 1 (the most unlike). What stands there counts in the caps, and is not chosen again.
    Fewer than `count` where the caps leave no more.
    """
    gain, likeness = -np.arange(len(rows), dtype=np.float32), None
    pool = rows[: max(count, 1) * _POOL] if diversity > 0 else rows[:0]
    if len(pool):
        worth = (1 - diversity) * _to_one(scores[pool])
        near, likeness = vectors[pool], np.zeros(len(pool), dtype=np.float32)
        # Beyond the pool by score alone, behind all of it: no gain in it is below -1.
        gain -= 2
        gain[: len(pool)] = worth
    free = ~np.isin(rows, standing)
    of_rows = [Cap(cap.codes[rows], cap.most) for cap in caps]
    counted: list[dict[int, int]] = [{} for _ in caps]
    for row in standing:
        for cap, own, seen in zip(caps, of_rows, counted, strict=True):
            _count(int(cap.codes[row]), own, seen, free)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        best = int(np.argmax(np.where(free, gain, -np.inf))) if len(pool) else int(np.argmax(free))
        chosen.append(best)
        free[best] = False
        for own, seen in zip(of_rows, counted, strict=True):
            _count(int(own.codes[best]), own, seen, free)
        if likeness is not None:
            np.maximum(likeness, near @ vectors[rows[best]], out=likeness)
            gain[: len(pool)] = worth - diversity * likeness
    return np.asarray(rows[chosen], dtype=np.int64)


def _count(code: int, cap: Cap, seen: dict[int, int], free: BoolArray) -> None:
    """One more with this code; where that is the last, the others are free no more."""
    if code != NOTHING:
        seen[code] = seen.get(code, 0) + 1
        if seen[code] >= cap.most:
            free &= cap.codes != code


def _to_one(values: FloatArray) -> FloatArray:
    shifted = values - values.min()
    return np.asarray(shifted / max(float(shifted.max()), 1e-9))


@dataclass(frozen=True, slots=True)
class Explored:
    """Items that stand in an answer to be learnt about. `places` (k,) count from 0; `propensity`
    is the chance with which each item of the pool they were drawn from stands there."""

    rows: IntArray
    places: IntArray
    propensity: float


def exploration_pool(share: float, count: int) -> int:
    """From how many items the explored ones of an answer of `count` are drawn."""
    return _POOL * math.ceil(share * count)


def explored(
    pool: IntArray, share: float, places: IntArray, count: int, rng: np.random.Generator
) -> Explored:
    """Draw items of `pool` for a `share` (0 to 1) of the `count` places of an answer.

    Each item of the pool has the same chance, so what is learnt from them can be corrected for it:
    (share * count) / pool size. `places` are those that may be given away.
    """
    wanted = min(share * count, len(pool), len(places))
    # A half of a place is a place in every other answer.
    number = int(wanted) + int(rng.random() < wanted - int(wanted))
    return Explored(
        rng.choice(pool, size=number, replace=False) if number else pool[:0],
        np.sort(rng.choice(places, size=number, replace=False)) if number else places[:0],
        wanted / len(pool) if len(pool) else 0.0,
    )


def interleave(rest: Sequence[int], fixed: Mapping[int, int]) -> list[int]:
    """One list of `rest` in its order and of `fixed` (place from 0 → row) at their places; places
    that nobody is left for close up."""
    answer: list[int] = []
    waiting = iter(rest)
    left = len(rest) + len(fixed)
    last = max(fixed, default=-1)
    for place in range(max(left, last + 1)):
        row = fixed[place] if place in fixed else next(waiting, None)
        if row is not None:
            answer.append(row)
    return answer
