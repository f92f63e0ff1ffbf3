"""What is a user interested in, judging by what they did? Pure.

An interest is an item with a weight: the strengths of the user's events on it, each halved with
every half-life of its age, added up (a refund takes away, and nothing falls below zero) and
dampened by log(1 + x), so that the fifth visit says less than the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.data.records import EventKind
from services.recommender.domain import DAY, HISTORY_EVENTS, strength

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event of one user. `timestamp` in Unix seconds."""

    item_id: str
    kind: EventKind
    timestamp: float
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Interests:
    """`rows` (h,): the items' positions in a catalogue, each once, the strongest first; `weights`
    (h,): above 0."""

    rows: IntArray
    weights: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int) -> Interests:
        """The `count` strongest."""
        return Interests(self.rows[:count], self.weights[:count])


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
    order = np.lexsort((items, -weights))
    order = order[weights[order] > 0]
    return Interests(items[order].astype(np.int64), weights[order])


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
    return weigh(
        np.array([place for _, place in placed], dtype=np.int64),
        np.array([strength(e.kind, e.value) for e in known], dtype=np.float64),
        np.array([now - e.timestamp for e in known], dtype=np.float64),
        None if half_life_days is None else half_life_days * DAY,
    )


def _by_time(event: Interaction) -> float:
    return event.timestamp
