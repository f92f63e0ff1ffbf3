"""Which item stands in which place of an answer? Pure.

    pins of the shop → the share of new items → the best and most varied → items to learn about

One item of a group (the colours of a shirt) is enough, and the shop's caps hold for all but pins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.recommender import filters
from services.recommender.catalogue import Shelf
from services.recommender.diversity import (
    Cap,
    best_first,
    exploration_pool,
    explored,
    interleave,
    pick,
)
from services.recommender.domain import DAY, EVIDENCE_HALF, FRESH_DAYS
from services.recommender.rules import Rules

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Rows that are sorted at first for each place; where caps and groups leave too few, all are.
_SORTED = 20
_LEAST_SORTED = 1_000


@dataclass(frozen=True)
class Wish:
    """How the places of an answer are to be filled. `diversity` 0 to 1; `freshness` the least
    share of places with items that came in the last FRESH_DAYS; `exploration` the share for items
    with little evidence, both 0 to 1. `first_place` counts places on earlier pages."""

    count: int
    diversity: float = 0.0
    freshness: float = 0.0
    exploration: float = 0.0
    first_place: int = 0


@dataclass(frozen=True)
class Placed:
    """`rows` in the order of their places. `explored`: row → the chance with which it was drawn;
    `instead_of`: row that stands there for variety → the row that would have, without."""

    rows: IntArray
    pinned: frozenset[int] = frozenset()
    explored: Mapping[int, float] = field(default_factory=dict)
    instead_of: Mapping[int, int] = field(default_factory=dict)


def place(
    shelf: Shelf,
    scores: FloatArray,
    allowed: BoolArray,
    may_be_pinned: BoolArray,
    rules: Rules,
    wish: Wish,
    now: float,
    rng: np.random.Generator,
) -> Placed:
    """Fill the places by `scores` (n,) among the items `allowed` (n,); pins come from
    `may_be_pinned` (n,), since what a user has clicked on may still be pinned."""
    pins = _pins(shelf, scores, may_be_pinned, rules, wish)
    caps = [Cap(shelf.group, 1)]
    caps += [Cap(getattr(shelf, name), most) for name, most in rules.caps.items()]
    number = max(wish.count - len(pins), 0)
    chosen, plain = _chosen(
        shelf, scores, allowed, caps, wish, number, now, standing=list(pins.values())
    )
    fixed = dict(pins)
    drawn: dict[int, float] = {}
    if wish.exploration > 0:
        new, propensity = _drawn(shelf, scores, allowed, caps, wish, pins, chosen, rng)
        chosen = chosen[: wish.count - len(pins) - len(new)]
        fixed |= new
        drawn = dict.fromkeys(new.values(), propensity)
    came = [int(row) for row in chosen if row not in plain]
    went = [row for row in plain if row not in set(chosen.tolist())]
    return Placed(
        np.array(interleave(chosen.tolist(), fixed)[: wish.count], dtype=np.int64),
        frozenset(pins.values()),
        drawn,
        dict(zip(came, went, strict=False)),
    )


def _pins(
    shelf: Shelf, scores: FloatArray, mask: BoolArray, rules: Rules, wish: Wish
) -> dict[int, int]:
    """Place (from 0, on this page) → row; a pin without an item that may stand there has none."""
    found: dict[int, int] = {}
    for pin in rules.pins:
        spot = pin.position - 1 - wish.first_place
        if 0 <= spot < wish.count:
            fits = mask & filters.mask(pin.condition, shelf)
            fits[list(found.values())] = False
            best = best_first(scores, fits, at_most=1)
            if len(best):
                found[spot] = int(best[0])
    return found


def _chosen(
    shelf: Shelf,
    scores: FloatArray,
    allowed: BoolArray,
    caps: Sequence[Cap],
    wish: Wish,
    number: int,
    now: float,
    standing: Sequence[int],
) -> tuple[IntArray, list[int]]:
    """(rows, the best first; those that would stand there without variety)."""
    first = np.empty(0, dtype=np.int64)
    if wish.freshness > 0:
        new = allowed & (now - shelf.first_seen <= FRESH_DAYS * DAY)
        least = min(math.ceil(wish.freshness * wish.count), number)
        first = _best(shelf, scores, new, caps, wish.diversity, least, standing)
    others = [*standing, *first.tolist()]
    rest = _best(shelf, scores, allowed, caps, wish.diversity, number - len(first), others)
    if wish.diversity > 0:
        plain = _best(shelf, scores, allowed, caps, 0.0, number - len(first), others)
    else:
        plain = rest
    chosen = np.concatenate([first, rest])
    if len(first):
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    return chosen, [*first.tolist(), *plain.tolist()]


def _best(
    shelf: Shelf,
    scores: FloatArray,
    allowed: BoolArray,
    caps: Sequence[Cap],
    diversity: float,
    number: int,
    standing: Sequence[int],
) -> IntArray:
    at_most = max(_LEAST_SORTED, _SORTED * number)
    rows = best_first(scores, allowed, at_most)
    found = pick(rows, scores, shelf.plain, number, diversity, caps, standing)
    if len(found) < number and len(rows) >= at_most:
        rows = best_first(scores, allowed)
        found = pick(rows, scores, shelf.plain, number, diversity, caps, standing)
    return found


def _drawn(
    shelf: Shelf,
    scores: FloatArray,
    allowed: BoolArray,
    caps: Sequence[Cap],
    wish: Wish,
    pins: Mapping[int, int],
    chosen: IntArray,
    rng: np.random.Generator,
) -> tuple[dict[int, int], float]:
    """(place → row, chance of each item of the pool): the best of those with little evidence that
    do not stand there anyway. The first place is never given away."""
    little = allowed & (shelf.positives < EVIDENCE_HALF)
    size = exploration_pool(wish.exploration, wish.count)
    standing = [*pins.values(), *chosen.tolist()]
    pool = _best(shelf, scores, little, caps, 0.0, size, standing)
    filled = range(1, min(wish.count, len(standing)))
    places = np.array([spot for spot in filled if spot not in pins], dtype=np.int64)
    found = explored(pool, wish.exploration, places, wish.count, rng)
    return dict(zip(found.places.tolist(), found.rows.tolist(), strict=True)), found.propensity
