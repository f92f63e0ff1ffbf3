"""What speaks for each item, for this user, at this moment? Pure.

One column a signal, in the order of `rankers.SIGNALS`, one row an item of the shelf or of those
rows of it that are worth scoring (retrieval.py). The five of text and behaviour are given as
distance from the user's own average, in standard deviations over the shelf, and are 0 for a user of
whom nothing is known.

    text_learnt, text_plain   match of the texts through the learnt and the plain vectors
    behaviour                 what others took together with the user's interests (as asinh)
    sequence                  what others took soon after them, the latest counting most (as asinh)
    ials                      what suits by factors of all that users took (as asinh)
    popular                   log(1 + positive events)
    recent                    the same, each event halved with every 14 days of its age
    fresh                     exp(-days since the item came / 14)
    new                       1 - evidence: 1 for an item without events, towards 0 with many
    price, category, brand    how near the item's are to those of the interests (affinity.py)
    seen                      log(1 + times that the user passed the item by)
    ..._new                   times `new`: how much more the text counts for a new item
    ..._stranger              from its mean, times 1 / (1 + interests): how much more for a user
                              little known
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.recommender import affinity
from services.recommender.catalogue import NOT_IN_MODEL, Shelf, evidence, first_seen
from services.recommender.collaborative import Neighbours
from services.recommender.domain import DAY, FRESH_DAYS
from services.recommender.interests import Interests
from services.recommender.popularity import recent
from services.recommender.rankers import SIGNALS
from services.recommender.vectors import Adapter, TextTower

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_COLUMN = {name: number for number, name in enumerate(SIGNALS)}
_SMALLEST_SPREAD = 1e-6
# Rows that tell mean and deviation of a large shelf's matches, to some 4 % of a deviation.
SAMPLE = 512


@dataclass(frozen=True)
class OfItems:
    """The signals that are the same for every user: `columns` (n, signals), the others 0; `new`
    (n,). `rows` (n,) of the shelf they are of, None for all."""

    columns: FloatArray
    new: FloatArray
    rows: IntArray | None = None


def of_items(shelf: Shelf, now: float, rows: IntArray | None = None) -> OfItems:
    """The columns that need no user, as distance from their mean over the shelf of this moment: a
    shop that grows older, or busier, as a whole says nothing about an item."""
    columns = _alone(shelf, now, slice(None) if rows is None else rows)
    new = columns[:, _COLUMN["new"]].copy()
    usual = columns if rows is None else _alone(shelf, now, _sample(shelf))
    if len(usual):
        columns -= usual.mean(axis=0)
    return OfItems(columns, new, rows)


def _alone(shelf: Shelf, now: float, kept: IntArray | slice) -> FloatArray:
    """(n, signals) of the rows kept, 0 where a user is needed."""
    positives = shelf.positives[kept]
    columns = np.zeros((len(positives), len(SIGNALS)), dtype=np.float32)
    age_days = np.maximum(now - first_seen(shelf, kept), 0.0) / DAY
    columns[:, _COLUMN["popular"]] = np.log1p(positives)
    columns[:, _COLUMN["recent"]] = np.log1p(recent(shelf.recent_log2[kept], now))
    columns[:, _COLUMN["fresh"]] = np.exp(-age_days / FRESH_DAYS)
    columns[:, _COLUMN["new"]] = 1.0 - evidence(positives)
    return columns


def of_user(
    items: OfItems, shelf: Shelf, tower: TextTower, neighbours: Neighbours, interests: Interests
) -> FloatArray:
    """(n, signals): all columns of the rows that `items` is of. Where these are not all, means and
    deviations are those of a sample of the shelf."""
    signals = items.columns.copy()
    learnt = _text_signal(tower.learnt, shelf.learnt, shelf, interests, items.rows)
    plain = _text_signal(tower.plain, shelf.plain, shelf, interests, items.rows)
    signals[:, _COLUMN["text_learnt"]] = learnt
    signals[:, _COLUMN["text_plain"]] = plain
    signals[:, _COLUMN["text_learnt_new"]] = learnt * items.new
    signals[:, _COLUMN["text_plain_new"]] = plain * items.new
    together, sequence = _behaviour(shelf, neighbours, interests, items.rows)
    signals[:, _COLUMN["behaviour"]] = together
    signals[:, _COLUMN["sequence"]] = sequence
    signals[:, _COLUMN["ials"]] = _by_factors(shelf, neighbours, interests, items.rows)
    kept: IntArray | slice = slice(None) if items.rows is None else items.rows
    sample = _sample(shelf)
    signals[:, _COLUMN["price"]] = affinity.price(shelf, interests, kept, sample)
    signals[:, _COLUMN["category"]] = affinity.share(shelf.category, interests, kept)
    signals[:, _COLUMN["brand"]] = affinity.share(shelf.brand, interests, kept)
    numbers = np.arange(len(shelf)) if items.rows is None else items.rows
    signals[:, _COLUMN["seen"]] = affinity.seen(interests.glimpsed, numbers)
    stranger = 1.0 / (1.0 + len(interests))
    signals[:, _COLUMN["popular_stranger"]] = stranger * signals[:, _COLUMN["popular"]]
    return signals


def standardised(values: FloatArray, mean: float, spread: float) -> FloatArray:
    """Distance from the mean in standard deviations; zeros where all are alike."""
    if spread < _SMALLEST_SPREAD:
        return np.zeros_like(values)
    return np.asarray((values - np.float32(mean)) / np.float32(spread), dtype=np.float32)


def behaviour_interests(shelf: Shelf, interests: Interests) -> tuple[IntArray, IntArray]:
    """(positions among the interests, their rows in the model) of those that the model knows."""
    rows = shelf.model_row[interests.rows]
    known = np.flatnonzero(rows != NOT_IN_MODEL)
    return known, rows[known]


def _sample(shelf: Shelf) -> IntArray:
    """Rows that stand for the whole shelf: evenly spread, so items of every age."""
    return np.linspace(0, len(shelf) - 1, min(SAMPLE, len(shelf))).astype(np.int64)


def _text_signal(
    adapter: Adapter,
    vectors: FloatArray,
    shelf: Shelf,
    interests: Interests,
    rows: IntArray | None,
) -> FloatArray:
    if rows is None:
        match = usual = adapter.match(vectors, interests)
        has_text = shelf.has_text
    else:
        both = adapter.match(vectors, interests, np.concatenate([rows, _sample(shelf)]))
        match, usual = both[: len(rows)], both[len(rows) :]
        has_text = shelf.has_text[rows]
    if len(usual) == 0:
        return match
    signal = standardised(match, float(usual.mean()), float(usual.std()))
    # Nothing is known of a text that was not encoded: neither for nor against.
    signal[~has_text] = 0.0
    return signal


def _behaviour(
    shelf: Shelf, neighbours: Neighbours, interests: Interests, rows: IntArray | None
) -> tuple[FloatArray, FloatArray]:
    """(n,) each: what speaks for the items as taken together, and as taken after."""
    known, model_rows = behaviour_interests(shelf, interests)
    weights = interests.weights[known]
    place = shelf.model_row if rows is None else shelf.model_row[rows]
    together = _stretched(neighbours.score(model_rows, weights), place, len(shelf))
    if neighbours.sequel is None:
        return together, np.zeros_like(together)
    steps = None if interests.steps is None else interests.steps[known]
    faded = neighbours.sequel.faded(weights, steps)
    after = neighbours.following.score(model_rows, faded)
    return together, _stretched(after, place, len(shelf))


def _by_factors(
    shelf: Shelf, neighbours: Neighbours, interests: Interests, rows: IntArray | None
) -> FloatArray:
    """(n,) as `_stretched`."""
    place = shelf.model_row if rows is None else shelf.model_row[rows]
    factors = neighbours.factors
    if factors is None:
        return np.zeros(len(place), dtype=np.float32)
    user = factors.user(behaviour_interests(shelf, interests)[1])
    return np.arcsinh(standardised(factors.score(user, place), *factors.spread(user, len(shelf))))


def _stretched(scores: FloatArray, place: IntArray, items: int) -> FloatArray:
    """(n,) scores of the model's items (m,) at the places of the shelf's, from their mean over
    the shelf of `items`, where newcomers have 0. A few items stand out by tens of deviations; the
    inverse sine keeps them first and in sight."""
    wide = scores.astype(np.float64)
    mean = float(wide.sum()) / max(items, 1)
    spread = max(float(wide @ wide) / max(items, 1) - mean * mean, 0.0) ** 0.5
    # A newcomer has row -1, which is the 0 behind the last.
    own = np.append(scores, np.float32(0.0))[place]
    return np.arcsinh(standardised(own, mean, spread))
