"""What is a user interested in, judging by what they did? Pure.

An interest is an item with a weight: the strengths of the user's events on it, each halved with
every half-life of its age, added up (a refund takes away, and nothing falls below zero) and
dampened by log(1 + x), so that the fifth visit says less than the first.

A comment in words is an interest in what it says, not in the item it stands under: nobody knows
whether it praises the item or warns of it. Where it came with stars, these count for the item as a
rating's do, and below 3 of them its words are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.data.records import EventKind
from services.recommender.domain import (
    DAY,
    HISTORY_EVENTS,
    LIKED_FROM,
    SHOWN,
    is_positive,
    strength,
)
from services.recommender.words import BagOfWords

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Said:
    """What a comment says: its embedding (width,), None where the encoder has not seen it yet, and
    whether the encoder could read it."""

    text: str
    embedding: npt.NDArray[np.float32] | None
    readable: bool


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event of one user. `timestamp` in Unix seconds; `said` of a comment in words."""

    item_id: str
    kind: EventKind
    timestamp: float
    value: float | None = None
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """What a user wrote, as an interest. `row` of the item it stands under in the catalogue, -1
    where that is not there; `weight` above 0."""

    said: Said
    row: int
    weight: float


@dataclass(frozen=True, slots=True)
class Words:
    """t comments, ready for the adapters (vectors.py): `embedded` (t, p) and their bag of words;
    `rows` and `weights` (t,) as in Comment."""

    embedded: npt.NDArray[np.float32]
    bag: BagOfWords
    rows: IntArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class Glimpsed:
    """What a user had before their eyes and did not take: `rows` (g,), each once, ascending;
    `times` (g,): how often, each sight fading as interests do."""

    rows: IntArray
    times: FloatArray


@dataclass(frozen=True, slots=True)
class Interests:
    """`rows` (h,): the items' positions in a catalogue, each once, the strongest first; `weights`
    (h,): above 0; `steps` (h,): how many moments in which the user did something came after the
    last event on it, None for 0. `words`: what the user wrote, `glimpsed`: what they passed by;
    None for nothing."""

    rows: IntArray
    weights: FloatArray
    words: Words | None = None
    steps: IntArray | None = None
    glimpsed: Glimpsed | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int) -> Interests:
        """The `count` strongest items, and all words."""
        steps = None if self.steps is None else self.steps[:count]
        return Interests(self.rows[:count], self.weights[:count], self.words, steps, self.glimpsed)


NO_INTERESTS = Interests(np.empty(0, np.int64), np.empty(0))


def weigh(
    rows: IntArray, strengths: FloatArray, ages: FloatArray, half_life: float | None
) -> Interests:
    """Interests from a user's events: item position, strength, and age in seconds of each.

    `half_life` in seconds; None for a taste that never fades. An event of the future has age 0.
    """
    if len(rows) == 0:
        return NO_INTERESTS
    if half_life is not None:
        strengths = strengths * 0.5 ** (np.maximum(ages, 0.0) / half_life)
    items, place = np.unique(rows, return_inverse=True)
    weights = np.log1p(np.maximum(np.bincount(place, weights=strengths), 0.0))
    _, moment = np.unique(ages, return_inverse=True)
    steps = np.full(len(items), len(ages))
    np.minimum.at(steps, place, moment)
    order = np.lexsort((items, -weights))
    order = order[weights[order] > 0]
    return Interests(items[order].astype(np.int64), weights[order], steps=steps[order])


def passed_by(
    rows: IntArray,
    shown: npt.NDArray[np.bool_],
    positive: npt.NDArray[np.bool_],
    ages: FloatArray,
    half_life: float | None,
) -> Glimpsed | None:
    """What was shown and not taken, from a user's events as for `weigh`; None for nothing."""
    seen = shown & ~np.isin(rows, rows[positive])
    if not seen.any():
        return None
    sights = np.ones(int(seen.sum()))
    if half_life is not None:
        sights = 0.5 ** (np.maximum(ages[seen], 0.0) / half_life)
    items, place = np.unique(rows[seen], return_inverse=True)
    times = np.bincount(place, weights=sights)
    return Glimpsed(items.astype(np.int64), times.astype(np.float64))


def interests_of(
    history: Sequence[Interaction],
    row: Callable[[str], int | None],
    now: float,
    half_life_days: float | None,
) -> Interests:
    """Interests of a user at the moment `now`; items for which `row` knows no place stay out."""
    placed: list[tuple[Interaction, int]] = []
    for event in sorted(history, key=_by_time):
        place = row(event.item_id)
        if place is not None:
            placed.append((event, place))
    placed = placed[-HISTORY_EVENTS:]
    known = [event for event, _ in placed]
    rows = np.array([place for _, place in placed], dtype=np.int64)
    ages = np.array([now - e.timestamp for e in known], dtype=np.float64)
    half_life = None if half_life_days is None else half_life_days * DAY
    strengths = np.array([_of_item(e) for e in known], dtype=np.float64)
    shown = np.array([e.kind in SHOWN for e in known], dtype=np.bool_)
    glimpsed = None
    if shown.any():
        positive = np.array([is_positive(e.kind, e.value) for e in known], dtype=np.bool_)
        glimpsed = passed_by(rows, shown, positive, ages, half_life)
    return replace(weigh(rows, strengths, ages, half_life), glimpsed=glimpsed)


def comments_of(
    history: Sequence[Interaction],
    row: Callable[[str], int | None],
    now: float,
    half_life_days: float | None,
) -> list[Comment]:
    """What a user wrote that has a vector, weighed as an event of its age; without comments whose
    stars say that the user did not like the item."""
    found = []
    for event in history:
        said = event.said
        disliked = event.value is not None and event.value < LIKED_FROM
        if said is None or said.embedding is None or disliked:
            continue
        halvings = 0.0
        if half_life_days is not None:
            halvings = max(now - event.timestamp, 0.0) / (half_life_days * DAY)
        place = row(event.item_id)
        weight = float(np.log1p(strength("comment", None) * 0.5**halvings))
        found.append(Comment(said, -1 if place is None else place, weight))
    return found


def _of_item(event: Interaction) -> float:
    """What the event says of its item, in clicks."""
    if event.said is not None and event.value is None:
        return 0.0
    return strength(event.kind, event.value)


def _by_time(event: Interaction) -> float:
    return event.timestamp
