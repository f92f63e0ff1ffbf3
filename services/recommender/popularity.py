"""How popular is an item, ever and of late? Pure.

`positives` counts positive events. "Of late" is their sum, each halved with every half-life of its
age. That sum is kept as log2 of the sum of 2 ** (moment / half-life): it grows with each event,
whatever the order they come in, fades by itself as the present moves on, and never overflows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.data.records import EventKind
from services.recommender.domain import RECENT_HALF_LIFE, is_positive

FloatArray = npt.NDArray[np.float64]
NEVER = -np.inf


@dataclass(frozen=True, slots=True)
class Popularity:
    """Of one item. `recent_log2` is -inf for one without positive events; `first_at` is the
    moment of its first event of any kind, in Unix seconds."""

    positives: float
    recent_log2: float
    first_at: float

    def plus(self, other: Popularity) -> Popularity:
        """Both together."""
        return Popularity(
            self.positives + other.positives,
            float(np.logaddexp2(self.recent_log2, other.recent_log2)),
            min(self.first_at, other.first_at),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What counting needs of an event. An event of the future counts when it came."""

    item_id: str
    kind: EventKind
    value: float | None
    occurred_at: float
    received_at: float


def count(events: Iterable[Seen]) -> Mapping[str, Popularity]:
    """Popularity that these events add, by item."""
    moments: dict[str, list[float]] = defaultdict(list)
    first: dict[str, float] = {}
    for event in events:
        moment = min(event.occurred_at, event.received_at)
        first[event.item_id] = min(moment, first.get(event.item_id, moment))
        if is_positive(event.kind, event.value):
            moments[event.item_id].append(moment)
    return {item: _popularity(moments[item], first_at) for item, first_at in first.items()}


def _popularity(moments: list[float], first_at: float) -> Popularity:
    exponents = exponent(np.array(moments, dtype=np.float64))
    # An empty sum has log2 -inf.
    recent_log2 = float(np.logaddexp2.reduce(exponents, initial=NEVER))
    return Popularity(float(len(moments)), recent_log2, first_at)


def exponent(moments: FloatArray) -> FloatArray:
    """log2 of what an event of each moment (Unix seconds) adds to the recent sum."""
    return moments / RECENT_HALF_LIFE


def recent(recent_log2: FloatArray, now: float) -> FloatArray:
    """Positive events of late as of `now`: one of this moment counts 1."""
    return np.exp2(np.minimum(recent_log2 - now / RECENT_HALF_LIFE, 60.0))
