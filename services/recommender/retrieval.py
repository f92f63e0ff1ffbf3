"""Which few thousand items are worth scoring for a user, where the shop has many more?

    allowed ≤ EXACT       all of them: nothing can be missed
    texts near            rows near the strongest interests, through the index (core/retrieval/rows)
    behaviour             what was taken together with the interests, or after them
    liked by all          the rows whose signals of the item alone (popularity, recency, freshness)
                          speak most for them
    new                   rows that came after the index was built

What the index and the list of the liked know is as old as their last making; the score is of this
moment. `Retriever` makes them anew beside the requests, one at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.retrieval.rows import RowIndex
from services.recommender.catalogue import NOT_IN_MODEL, Shelf
from services.recommender.interests import Interests
from services.recommender.model import Model
from services.recommender.signals import behaviour_interests, of_items

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

# Allowed items up to which all are scored.
EXACT: Final = 4_000
# Interests whose neighbours by text are looked for, and how many of each: found once without any
# filter and kept for the items asked about last; where a filter leaves fewer than _NEAR of these,
# they are looked for again among what it allows.
_QUERIES: Final = 6
_NEAR: Final = 100
_FOUND: Final = 250
_KEPT: Final = 20_000
# Interests whose neighbours by behaviour are looked at, and how many of all these.
_ASKED: Final = 20
_TOGETHER: Final = 250
_LIKED: Final = 250
_PREFERRED: Final = 100
# Rows beyond the index that are always looked at; more, or this share, and it is made anew.
_NEWEST: Final = 1_000
_GROWTH: Final = 0.05
# Seconds after which the list of the liked is made anew.
_LIKED_SECONDS: Final = 60.0


@dataclass(frozen=True)
class _Made:
    """`index` over the first `len(index)` rows; `liked` all rows of the shelf of then, the best
    first; `place` (model rows,): where the model's items stand on the shelf, -1 for nowhere."""

    index: RowIndex
    liked: IntArray
    place: IntArray
    at: float
    near: dict[int, IntArray]


class Retriever:
    """For the shelves of one model. Any number of threads may ask."""

    def __init__(self, model: Model, threads: int) -> None:
        self._model = model
        self._threads = threads
        self._made: _Made | None = None
        self._making = threading.Lock()

    def worth_scoring(
        self,
        shelf: Shelf,
        interests: Interests,
        mask: BoolArray,
        now: float,
        preferred: Sequence[BoolArray] = (),
    ) -> IntArray:
        """(m,) row numbers of `shelf`, ascending, among those that `mask` (n,) allows; of each of
        `preferred` (n,), allowed rows too, the best liked are among them. `now` in Unix seconds."""
        allowed = int(np.count_nonzero(mask))
        if allowed <= EXACT:
            return np.flatnonzero(mask)
        made = self.ready(shelf, now)
        found = [
            self._near(made, shelf, interests, mask),
            self._together(made, shelf, interests),
            _first(made.liked, mask, _LIKED),
            np.arange(len(made.liked), len(shelf))[-_NEWEST:],
            *(_first(made.liked, wanted, _PREFERRED) for wanted in preferred),
        ]
        rows = np.unique(np.concatenate(found))
        return np.asarray(rows[mask[rows]])

    def found_by(
        self, shelf: Shelf, interests: Interests, mask: BoolArray, now: float, row: int
    ) -> list[str]:
        """Which of the ways lead to a row, for whoever wants to know: "all" where every allowed
        item is scored, else of "text", "behaviour", "liked" and "new"."""
        if int(np.count_nonzero(mask)) <= EXACT:
            return ["all"] if mask[row] else []
        made = self.ready(shelf, now)
        ways = {
            "text": self._near(made, shelf, interests, mask),
            "behaviour": self._together(made, shelf, interests),
            "liked": _first(made.liked, mask, _LIKED),
            "new": np.arange(len(made.liked), len(shelf))[-_NEWEST:],
        }
        return [way for way, rows in ways.items() if mask[row] and row in rows]

    def prepare(self, shelf: Shelf, now: float) -> None:
        """Make what a large shelf needs before the first request asks for it."""
        if len(shelf) > EXACT:
            self.ready(shelf, now)

    def ready(self, shelf: Shelf, now: float) -> _Made:
        """Made from this shelf or a little older one; the first caller waits for it, later ones
        go on with the old while it is made anew."""
        made = self._made
        if made is None:
            with self._making:
                if self._made is None:
                    self._made = self._make(shelf, now, None)
                return self._made
        if self._stale(made, shelf, now) and self._making.acquire(blocking=False):
            threading.Thread(target=self._renew, args=(shelf, now), daemon=True).start()
        return made

    def _stale(self, made: _Made, shelf: Shelf, now: float) -> bool:
        grown = len(shelf) - len(made.liked)
        return grown > _NEWEST or not 0 <= now - made.at <= _LIKED_SECONDS

    def _renew(self, shelf: Shelf, now: float) -> None:
        try:
            self._made = self._make(shelf, now, self._made)
        finally:
            self._making.release()

    def _make(self, shelf: Shelf, now: float, before: _Made | None) -> _Made:
        index = None if before is None else before.index
        near = {} if before is None else before.near
        if index is None or len(shelf) - len(index) > max(_NEWEST, _GROWTH * len(index)):
            index, near = RowIndex(shelf.learnt, threads=self._threads), {}
        # The columns that need a user are 0 here, the same for all.
        alone = self._model.ranker.score(of_items(shelf, now).columns)
        place = np.full(len(self._model.neighbours.item_ids), -1)
        known = np.flatnonzero(shelf.model_row != NOT_IN_MODEL)
        place[shelf.model_row[known]] = known
        return _Made(index, np.argsort(-alone, kind="stable"), place, now, near)

    def _near(self, made: _Made, shelf: Shelf, interests: Interests, mask: BoolArray) -> IntArray:
        found, few = [np.arange(len(made.index), len(made.liked))[-_NEWEST:]], []
        for row in interests.rows[:_QUERIES].tolist():
            near = self._neighbours(made, shelf, row)
            allowed = near[mask[near]]
            found.append(allowed)
            if len(allowed) < _NEAR:
                few.append(shelf.learnt[row])
        if interests.words is not None:
            words = interests.words
            few += list(self._model.tower.learnt.combine(words.embedded, words.bag)[:_QUERIES])
        if few:
            found.append(made.index.search(np.stack(few), _NEAR, mask))
        return np.concatenate(found)

    def _neighbours(self, made: _Made, shelf: Shelf, row: int) -> IntArray:
        """Rows near a row, whatever is allowed. An item whose text changed keeps those it had
        until the index is made anew; others that are near it now speak for themselves."""
        near = made.near.get(row)
        if near is None:
            near = made.index.search(shelf.learnt[row][None], _FOUND)
            if len(made.near) >= _KEPT:
                made.near.clear()
            made.near[row] = near
        return near

    def _together(self, made: _Made, shelf: Shelf, interests: Interests) -> IntArray:
        interests = interests.first(_ASKED)
        known, rows = behaviour_interests(shelf, interests)
        neighbours = self._model.neighbours
        tables = [(neighbours, interests.weights[known])]
        if neighbours.sequel is not None:
            steps = None if interests.steps is None else interests.steps[known]
            faded = neighbours.sequel.faded(interests.weights[known], steps)
            tables.append((neighbours.following, faded))
        found = []
        for table, weights in tables:
            items, scores = table.named(rows, weights)
            best = items if len(items) <= _TOGETHER else items[_largest(scores, _TOGETHER)]
            found.append(made.place[best])
        places = np.concatenate(found)
        return places[places >= 0]


def _first(ordered: IntArray, mask: BoolArray, count: int) -> IntArray:
    """The first `count` rows of `ordered` that the mask allows."""
    step = 3 * count
    found: list[IntArray] = []
    left = count
    for start in range(0, len(ordered), step):
        rows = ordered[start : start + step]
        found.append(rows[mask[rows]][:left])
        left -= len(found[-1])
        if left <= 0:
            break
        step *= 2
    return np.concatenate(found) if found else ordered[:0]


def _largest(scores: npt.NDArray[np.float64], count: int) -> IntArray:
    return np.argpartition(-scores, count)[:count].astype(np.int64)
