"""What is bought together? Counted by the worker, a batch of events at a time.

A basket is an order where the event names one, else what one user (or session) bought on one day
(UTC). Counts live in two tables, since every process answers from them and a pair needs no more
than a number: memory would grow in each process, and counting at the request would read the
purchases of all who bought an item. Nobody is named in them. A refund changes nothing: what was
sent back had been chosen together all the same.

How strongly two items belong together is the log-likelihood ratio of their 2 x 2 table (Dunning
1993, "Accurate Methods for the Statistics of Surprise and Coincidence"), told beside the lift.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, sessionmaker

from services.recommender.domain import DAY
from services.recommender.event_store import last_numbers
from services.recommender.store import CHUNK, advance, locked
from services.recommender.tables import basket_counts, bought_together, events

# Distinct items of one basket that are paired; a wholesaler's thousand lines belong not together.
_MOST_PAIRED = 50
# Pairs of an item that are looked at, by how often they were bought.
_MOST_READ = 500
ALL = ""


@dataclass(frozen=True, slots=True)
class Bought:
    """One purchase: in which basket, of which item."""

    basket: tuple[str, str, int]
    item_id: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What a batch adds: baskets by item (ALL: baskets), and by ordered pair."""

    items: Counter[str]
    pairs: Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Partner:
    """An item that is bought with another: `baskets` with both, `lift` how many times as often as
    by chance, `score` the log-likelihood ratio."""

    item_id: str
    baskets: int
    lift: float
    score: float


class Baskets:
    """The counts. `sessions` write, `readers` are read-only."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def fold(self, at_most: int = 20_000) -> int:
        """Count up to `at_most` more events; how many there were, purchases or not."""
        with self._sessions.begin() as session:
            folded = locked(session, "together")
            last = min(last_numbers(session)["events"], folded + at_most)
            if last > folded:
                new = _purchases(session, (events.c.seq > folded) & (events.c.seq <= last))
                counts = counted(new, _before(session, new, folded))
                _add(session, basket_counts, {(item,): n for item, n in counts.items.items()})
                _add(session, bought_together, counts.pairs)
                advance(session, "together", last)
            return last - folded

    def partners(self, item_id: str, least: int) -> list[Partner]:
        """What is bought with the item more often than by chance, in `least` baskets or more; the
        strongest first."""
        pairs = (
            select(bought_together.c.other_id, bought_together.c.baskets, basket_counts.c.baskets)
            .join(basket_counts, basket_counts.c.item_id == bought_together.c.other_id)
            .where(bought_together.c.item_id == item_id, bought_together.c.baskets >= least)
            .order_by(bought_together.c.baskets.desc(), bought_together.c.other_id)
            .limit(_MOST_READ)
        )
        sums = select(basket_counts).where(basket_counts.c.item_id.in_([item_id, ALL]))
        with self._readers() as session:
            total = {row.item_id: int(row.baskets) for row in session.execute(sums)}
            rows = [tuple(row) for row in session.execute(pairs)]
        return ranked(rows, total.get(item_id, 0), total.get(ALL, 0))


def counted(new: Sequence[Bought], before: Mapping[tuple[str, str, int], Iterable[str]]) -> Counts:
    """What purchases add to the counts, given what was in their baskets before."""
    inside: dict[tuple[str, str, int], dict[str, None]] = {}
    items: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for one in new:
        if one.basket not in inside:
            inside[one.basket] = dict.fromkeys(before.get(one.basket, ()))
        basket = inside[one.basket]
        if one.item_id in basket:
            continue
        items[ALL] += not basket
        items[one.item_id] += 1
        if len(basket) < _MOST_PAIRED:
            for other in basket:
                pairs[one.item_id, other] += 1
                pairs[other, one.item_id] += 1
        basket[one.item_id] = None
    return Counts(items, pairs)


def ranked(pairs: Sequence[tuple[str, int, int]], of_item: int, total: int) -> list[Partner]:
    """Partners from (other, baskets with both, baskets with the other); `of_item` and `total`
    count baskets with the item, and all."""
    found = []
    for other, both, of_other in pairs:
        lift = both * total / max(of_item * of_other, 1)
        if lift > 1:
            score = log_likelihood_ratio(both, of_item, of_other, total)
            found.append(Partner(other, both, lift, score))
    return sorted(found, key=lambda one: (-one.score, one.item_id))


def log_likelihood_ratio(both: int, first: int, second: int, total: int) -> float:
    """2 * sum of observed * ln(observed / expected) over the 2 x 2 table of two items, at least 0.
    Above 3.84 chance alone would reach it in one of twenty pairs."""
    cells = (
        (both, first, second),
        (first - both, first, total - second),
        (second - both, total - first, second),
        (total - first - second + both, total - first, total - second),
    )
    # Events that were taken away may leave a cell below 0: it says nothing then.
    parts = (n * math.log(n * total / (a * b)) for n, a, b in cells if n > 0 and a > 0 and b > 0)
    return max(2.0 * sum(parts), 0.0)


def _purchases(session: Session, chosen: ColumnElement[bool]) -> list[Bought]:
    query = (
        select(
            events.c.order_id,
            events.c.user_id,
            events.c.session_id,
            events.c.occurred_at,
            events.c.item_id,
        )
        .where(chosen, events.c.kind == "purchase")
        .order_by(events.c.seq)
    )
    found = []
    for order, user, visit, moment, item_id in session.execute(query):
        if order is not None:
            basket = ("order", order, 0)
        else:
            whose = ("user", user) if user is not None else ("session", visit or "")
            basket = (*whose, math.floor(moment / DAY))
        found.append(Bought(basket, item_id))
    return found


def _before(
    session: Session, new: Sequence[Bought], folded: int
) -> dict[tuple[str, str, int], list[str]]:
    """What was counted in these baskets already."""
    found: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    columns = {"order": events.c.order_id, "user": events.c.user_id, "session": events.c.session_id}
    for kind, column in columns.items():
        mine = [one.basket for one in new if one.basket[0] == kind]
        if not mine:
            continue
        names = sorted({name for _, name, _ in mine})
        days = [day for _, _, day in mine]
        earlier = events.c.seq <= folded
        if kind != "order":
            span = events.c.occurred_at.between(min(days) * DAY, (max(days) + 1) * DAY)
            earlier &= span & events.c.order_id.is_(None)
        wanted = set(mine)
        for start in range(0, len(names), CHUNK):
            chosen = earlier & column.in_(names[start : start + CHUNK])
            for one in _purchases(session, chosen):
                if one.basket in wanted:
                    found[one.basket].append(one.item_id)
    return found


def _add(session: Session, table: Table, counts: Mapping[Any, int]) -> None:
    """Add to the rows of `table` with these keys (tuples), and make those that are missing."""
    names = [column.name for column in table.primary_key.columns]
    # In one order, so that two who write never wait for each other in a circle.
    rows = [
        {**dict(zip(names, key, strict=True)), "baskets": n} for key, n in sorted(counts.items())
    ]
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(table)
    adding = statement.on_conflict_do_update(
        index_elements=names, set_={"baskets": table.c.baskets + statement.excluded.baskets}
    )
    for start in range(0, len(rows), CHUNK):
        session.execute(adding, rows[start : start + CHUNK])
