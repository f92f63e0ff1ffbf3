"""Which answers and events does a period hold, item by item? The queries behind reach.py.

Bounded however busy the shop: the newest MOST_ANSWERS answers, the newest MOST_EVENTS events, and
what was counted is used for KEPT_SECONDS. Who reads it is told how much was read.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from services.recommender.event_store import last_numbers
from services.recommender.reach import Done, Shown, Tally, tally
from services.recommender.tables import answers, events, items

MOST_ANSWERS: Final = 20_000
MOST_EVENTS: Final = 200_000
MOST_ITEMS: Final = 100_000
KEPT_SECONDS: Final = 20.0
_BATCH: Final = 2_000
_MOST_KEPT: Final = 8


@dataclass(frozen=True)
class Newcomer:
    """An item that came lately; `since` in Unix seconds."""

    item_id: str
    since: float


@dataclass(frozen=True)
class Reached:
    """`item_ids`: what may be seen in the shop. `cut`: the period holds more answers than were
    read, and the figures are of the newest."""

    tally: Tally
    item_ids: Sequence[str]
    newcomers: Sequence[Newcomer]
    cut: bool


@dataclass(frozen=True)
class RecentShopper:
    """Somebody who did something lately: how many of the events looked at are theirs, and when the
    last was."""

    user_id: str
    events: int
    last_at: float


class ReachStore:
    """`readers` are read-only and wait for nobody. Safe to call from several threads."""

    def __init__(self, readers: sessionmaker[Session]) -> None:
        self._readers = readers
        self._kept: dict[float, tuple[float, Reached]] = {}
        self._lock = threading.Lock()

    def reached(self, span: float, new_since: float, now: float) -> Reached:
        """What was shown and taken in the last `span` seconds; at most KEPT_SECONDS old."""
        with self._lock:
            kept = self._kept.get(span)
            if kept is not None and 0 <= now - kept[0] < KEPT_SECONDS:
                return kept[1]
            with self._readers() as session:
                found = _read(session, now - span, now, new_since)
            self._kept.pop(span, None)
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[span] = (now, found)
            return found

    def recent_shoppers(self, limit: int, looked_at: int = 5_000) -> list[RecentShopper]:
        """Who did something lately, the last first, by the newest events."""
        size, last = func.count().label("size"), func.max(events.c.occurred_at).label("last")
        with self._readers() as session:
            newest = last_numbers(session)["events"] - looked_at
            query = (
                select(events.c.user_id, size, last)
                .where(events.c.seq > newest, events.c.user_id.is_not(None))
                .group_by(events.c.user_id)
                .order_by(last.desc(), events.c.user_id)
                .limit(limit)
            )
            return [
                RecentShopper(row.user_id, int(row.size), float(row.last))
                for row in session.execute(query)
            ]

    def titles(self, item_ids: Sequence[str]) -> dict[str, str]:
        """What a few items are called, deleted ones too."""
        query = select(items.c.item_id, items.c.title)
        with self._readers() as session:
            rows = session.execute(query.where(items.c.item_id.in_(list(dict.fromkeys(item_ids)))))
            return {row.item_id: row.title for row in rows}


def _read(session: Session, since: float, until: float, new_since: float) -> Reached:
    given = list(_answers(session, since, until))
    oldest = since if len(given) < MOST_ANSWERS else given[-1].answered_at
    counted = tally(given, _reactions(session, oldest), _taken(session, since))
    seen = func.coalesce(items.c.created_at, items.c.first_seen_at).label("since")
    visible = (items.c.deleted.is_(False), items.c.hidden.is_(False))
    query = select(items.c.item_id, seen).where(*visible).order_by(items.c.item_id)
    rows = session.execute(query.limit(MOST_ITEMS)).all()
    new = [Newcomer(row.item_id, float(row.since)) for row in rows if row.since >= new_since]
    new.sort(key=lambda one: (-one.since, one.item_id))
    return Reached(counted, [row.item_id for row in rows], new, len(given) == MOST_ANSWERS)


def _answers(session: Session, since: float, until: float) -> list[Shown]:
    query = (
        select(answers.c.recommendation_id, answers.c.answered_at, answers.c.item_ids)
        .where(answers.c.answered_at >= since, answers.c.answered_at <= until)
        .order_by(answers.c.answered_at.desc())
        .limit(MOST_ANSWERS)
        .execution_options(yield_per=_BATCH)
    )
    return [Shown(*row) for row in session.execute(query)]


def _reactions(session: Session, since: float) -> list[Done]:
    newest = last_numbers(session)["events"] - MOST_EVENTS
    query = (
        select(events.c.recommendation_id, events.c.item_id, events.c.kind)
        .where(
            events.c.recommendation_id.is_not(None),
            events.c.seq > newest,
            events.c.occurred_at >= since,
        )
        .execution_options(yield_per=_BATCH)
    )
    return [Done(*row) for row in session.execute(query)]


def _taken(session: Session, since: float) -> dict[tuple[str, str], int]:
    newest = last_numbers(session)["events"] - MOST_EVENTS
    query = (
        select(events.c.item_id, events.c.kind, func.count())
        .where(events.c.seq > newest, events.c.occurred_at >= since)
        .group_by(events.c.item_id, events.c.kind)
    )
    return {(row[0], row[1]): int(row[2]) for row in session.execute(query)}
