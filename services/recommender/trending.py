"""What is wanted more than usual these days?

The strength of an item's events in the window, against what is usual for it: its strength in the
four windows before, a fourth of it, times how much more (or less) the whole shop is used now. The
score is their distance in standard deviations, as if every click were one of a Poisson count:

    (2 sqrt(now + 3/8) - 2 sqrt(usual + 3/8)) / sqrt(1 + 1/4)

(Anscombe 1948 for the square roots; the 1/4 is the variance of a mean of four windows.)
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session, sessionmaker

from core.data.records import EventKind
from services.recommender.catalogue import Shelf
from services.recommender.domain import DAY, LIKED_FROM, STRENGTH
from services.recommender.tables import events

FloatArray = npt.NDArray[np.float32]

WINDOWS_BEFORE: Final = 4
MOST_DAYS: Final = 90.0
# What was counted is used for so long, since each count reads the events of five windows.
KEPT_SECONDS: Final = 10.0
_MOST_KEPT: Final = 8
_SHIFT: Final = 3 / 8


@dataclass(frozen=True, slots=True)
class Tally:
    """An item's strength in clicks, in the window and in the WINDOWS_BEFORE before it."""

    item_id: str
    now: float
    before: float


class Trends:
    """Tallies by length of the window. Safe to call from several threads."""

    def __init__(self, readers: sessionmaker[Session]) -> None:
        self._readers = readers
        self._kept: dict[float, tuple[float, Sequence[Tally]]] = {}
        self._lock = threading.Lock()

    def tallies(self, days: float, now: float) -> Sequence[Tally]:
        """Every item with an event in the window or before; at most KEPT_SECONDS old."""
        with self._lock:
            kept = self._kept.get(days)
            if kept is not None and 0 <= now - kept[0] < KEPT_SECONDS:
                return kept[1]
            found = self._count(days * DAY, now)
            self._kept.pop(days, None)
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[days] = (now, found)
            return found

    def _count(self, window: float, now: float) -> list[Tally]:
        inside = func.sum(case((events.c.occurred_at > now - window, 1), else_=0))
        liked = or_(
            events.c.kind.not_in(["rating", "comment"]),
            events.c.value.is_(None),
            events.c.value >= LIKED_FROM,
        )
        query = (
            select(events.c.item_id, events.c.kind, inside, func.count())
            .where(
                events.c.occurred_at > now - (1 + WINDOWS_BEFORE) * window,
                events.c.occurred_at <= now,
                liked,
            )
            .group_by(events.c.item_id, events.c.kind)
        )
        with self._readers() as session:
            rows = [tuple(row) for row in session.execute(query)]
        return _tallies(rows)


def _tallies(rows: Sequence[tuple[str, EventKind, int, int]]) -> list[Tally]:
    sums: dict[str, list[float]] = {}
    for item_id, kind, inside, every in rows:
        both = sums.setdefault(item_id, [0.0, 0.0])
        both[0] += STRENGTH[kind] * inside
        both[1] += STRENGTH[kind] * (every - inside)
    return [Tally(item_id, max(now, 0.0), max(was, 0.0)) for item_id, (now, was) in sums.items()]


def trend(shelf: Shelf, tallies: Sequence[Tally]) -> FloatArray:
    """(n,) the score of each item of the shelf; those without events in the window are -inf."""
    now = np.zeros(len(shelf))
    before = np.zeros(len(shelf))
    places = [shelf.row(tally.item_id) for tally in tallies]
    known = [(row, tally) for row, tally in zip(places, tallies, strict=True) if row is not None]
    rows = np.array([row for row, _ in known], dtype=np.int64)
    now[rows] = [tally.now for _, tally in known]
    before[rows] = [tally.before for _, tally in known]
    # The shop as a whole: where it was not in use before, nothing is usual yet.
    growth = now.sum() * WINDOWS_BEFORE / before.sum() if before.sum() > 0 else 0.0
    usual = before / WINDOWS_BEFORE * growth
    distance = 2 * np.sqrt(now + _SHIFT) - 2 * np.sqrt(usual + _SHIFT)
    score = distance / np.sqrt(1 + 1 / WINDOWS_BEFORE)
    return np.where(now > 0, score, -np.inf).astype(np.float32)
