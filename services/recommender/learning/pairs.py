"""What had a user done before, and what did they take next?

A pair is a user's interests just before a positive event and the item of that event; the first
such event of a user and item counts, since later ones are no discovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.recommender.domain import DAY, HISTORY_EVENTS
from services.recommender.interests import Interests, weigh
from services.recommender.learning.log import EventLog
from services.recommender.vectors import TEXT_INTERESTS

IntArray = npt.NDArray[np.int64]
# Seconds around a take: one visit.
_AT_THAT_TIME: Final = 1_800.0


@dataclass(frozen=True)
class Pairs:
    """n pairs: `interests` of each, and `target` (n,) item numbers; `refused` what each user had
    before their eyes at that time and never took, None where no log of it is."""

    interests: Sequence[Interests]
    target: IntArray
    refused: Sequence[IntArray] | None = None

    def __len__(self) -> int:
        return len(self.target)

    def select(self, places: IntArray) -> Pairs:
        """The pairs at these places."""
        refused = None if self.refused is None else [self.refused[place] for place in places]
        return Pairs([self.interests[place] for place in places], self.target[places], refused)

    def dense(self, chosen: IntArray) -> tuple[IntArray, npt.NDArray[np.float32]]:
        """(items that any of the chosen pairs' interests name, (chosen, items) weights of them);
        a row sums to 1."""
        items = np.unique(np.concatenate([self.interests[n].rows for n in chosen]))
        weights = np.zeros((len(chosen), len(items)), dtype=np.float32)
        for row, number in enumerate(chosen):
            own = self.interests[number]
            weights[row, np.searchsorted(items, own.rows)] = own.weights / own.weights.sum()
        return items, weights


def make_pairs(
    log: EventLog, half_life_days: float | None, *, per_user: int, rng: np.random.Generator
) -> Pairs:
    """At most `per_user` pairs of each user, drawn at random; without interests there is none."""
    half_life = None if half_life_days is None else half_life_days * DAY
    interests: list[Interests] = []
    targets: list[int] = []
    refused: list[IntArray] = []
    shown = bool(log.shown.any())
    for _, positions in log.of_users():
        times = log.time[positions]
        for place in _first_takes(log, positions, per_user, rng):
            earlier = positions[times < times[place]][-HISTORY_EVENTS:]
            target = int(log.item[positions[place]])
            earlier = earlier[log.item[earlier] != target]
            ages = times[place] - log.time[earlier]
            own = weigh(log.item[earlier], log.strength[earlier], ages, half_life)
            if len(own):
                interests.append(own.first(TEXT_INTERESTS))
                targets.append(target)
                if shown:
                    refused.append(_refused(log, positions, times[place]))
    return Pairs(interests, np.array(targets, dtype=np.int64), refused if shown else None)


def _refused(log: EventLog, positions: IntArray, moment: float) -> IntArray:
    """Items that the user was shown within _AT_THAT_TIME of a moment and never took."""
    near = positions[np.abs(log.time[positions] - moment) <= _AT_THAT_TIME]
    seen = np.unique(log.item[near[log.shown[near]]])
    return seen[~np.isin(seen, log.item[positions[log.positive[positions]]])] if len(seen) else seen


def _first_takes(
    log: EventLog, positions: IntArray, per_user: int, rng: np.random.Generator
) -> IntArray:
    """Places in `positions` of the first positive event on each item, later than the very start."""
    places = np.flatnonzero(log.positive[positions])
    _, first = np.unique(log.item[positions[places]], return_index=True)
    places = np.sort(places[first])
    places = places[log.time[positions[places]] > log.time[positions[0]]]
    if len(places) > per_user:
        places = np.sort(rng.choice(places, per_user, replace=False))
    return places
