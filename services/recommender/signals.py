"""What speaks for each item, for this user, at this moment? Pure.

One column a signal, in the order of `rankers.SIGNALS`, one row an item of the shelf. The three
that compare an item with the user's interests are given as distance from the user's own average,
in standard deviations over the shelf, and are 0 for a user of whom nothing is known.

    text_learnt, text_plain   match of the texts through the learnt and the plain vectors
    behaviour                 what others took together with the user's interests (as asinh)
    popular                   log(1 + positive events)
    recent                    the same, each event halved with every 14 days of its age
    fresh                     exp(-days since the item came / 14)
    new                       1 - evidence: 1 for an item without events, towards 0 with many
    ..._new                   times `new`: how much more the text counts for a new item
    ..._stranger              from its mean, times 1 / (1 + interests): how much more for a user
                              little known
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.recommender.catalogue import NOT_IN_MODEL, Shelf
from services.recommender.collaborative import Neighbours
from services.recommender.domain import DAY, FRESH_DAYS
from services.recommender.interests import Interests
from services.recommender.popularity import recent
from services.recommender.rankers import SIGNALS
from services.recommender.vectors import TextTower

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_COLUMN = {name: number for number, name in enumerate(SIGNALS)}
_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class OfItems:
    """The signals that are the same for every user: (n, signals), the others 0."""

    columns: FloatArray
    new: FloatArray


def of_items(shelf: Shelf, now: float) -> OfItems:
    """The columns that need no user."""
    columns = np.zeros((len(shelf), len(SIGNALS)), dtype=np.float32)
    age_days = np.maximum(now - shelf.first_seen, 0.0) / DAY
    new = (1.0 - shelf.evidence).astype(np.float32)
    columns[:, _COLUMN["popular"]] = np.log1p(shelf.positives)
    columns[:, _COLUMN["recent"]] = np.log1p(recent(shelf.recent_log2, now))
    columns[:, _COLUMN["fresh"]] = np.exp(-age_days / FRESH_DAYS)
    columns[:, _COLUMN["new"]] = new
    return OfItems(columns, new)


def of_user(
    items: OfItems, shelf: Shelf, tower: TextTower, neighbours: Neighbours, interests: Interests
) -> FloatArray:
    """(n, signals): all columns."""
    signals = items.columns.copy()
    learnt = _text_signal(tower.learnt.match(shelf.learnt, interests), shelf)
    plain = _text_signal(tower.plain.match(shelf.plain, interests), shelf)
    signals[:, _COLUMN["text_learnt"]] = learnt
    signals[:, _COLUMN["text_plain"]] = plain
    signals[:, _COLUMN["text_learnt_new"]] = learnt * items.new
    signals[:, _COLUMN["text_plain_new"]] = plain * items.new
    # A few items stand out by tens of deviations; the inverse sine keeps them first and in sight.
    behaviour = standardised(_behaviour(shelf, neighbours, interests))
    signals[:, _COLUMN["behaviour"]] = np.arcsinh(behaviour)
    # From the mean, so that it moves items among themselves and not the user as a whole.
    popular = signals[:, _COLUMN["popular"]]
    centred = popular - (popular.mean() if len(popular) else 0.0)
    signals[:, _COLUMN["popular_stranger"]] = centred / (1.0 + len(interests))
    return signals


def standardised(values: FloatArray) -> FloatArray:
    """Distance from the mean in standard deviations; zeros where all are alike."""
    spread = float(values.std()) if len(values) else 0.0
    if spread < _SMALLEST_SPREAD:
        return np.zeros_like(values)
    return np.asarray((values - values.mean()) / spread, dtype=np.float32)


def behaviour_interests(shelf: Shelf, interests: Interests) -> tuple[IntArray, IntArray]:
    """(positions among the interests, their rows in the model) of those that the model knows."""
    rows = shelf.model_row[interests.rows]
    known = np.flatnonzero(rows != NOT_IN_MODEL)
    return known, rows[known]


def _text_signal(match: FloatArray, shelf: Shelf) -> FloatArray:
    signal = standardised(match)
    # Nothing is known of a text that was not encoded: neither for nor against.
    signal[~shelf.has_text] = 0.0
    return signal


def _behaviour(shelf: Shelf, neighbours: Neighbours, interests: Interests) -> FloatArray:
    known, rows = behaviour_interests(shelf, interests)
    scores = np.append(neighbours.score(rows, interests.weights[known]), np.float32(0.0))
    # A newcomer has row -1, which is the 0 behind the last.
    return scores[shelf.model_row]
