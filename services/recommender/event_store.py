"""How are events kept, so that none is lost, none counts twice, and each is seen at once?

Events are numbered by `seq` in the order of their commits (see tables.py). `event_id` is unique:
a repeat is acknowledged and left out. `fold` sums events up to a number into `item_counters`, so
that a server that starts need not read them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from core.data.records import EventKind
from services.recommender.domain import HISTORY_EVENTS
from services.recommender.interests import Interaction
from services.recommender.popularity import Popularity, Seen, count
from services.recommender.store import CHUNK, advance, locked
from services.recommender.tables import events, item_counters, items, sequences


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it comes in; at least one of user and session. `occurred_at` in Unix seconds."""

    event_id: str
    user_id: str | None
    session_id: str | None
    item_id: str
    kind: EventKind
    value: float | None
    occurred_at: float


@dataclass(frozen=True)
class Added:
    """What became of a batch: new ones, repeats, and ids of items that the shop does not have."""

    accepted: int
    repeated: int
    unknown_items: tuple[str, ...]


class EventStore:
    """`sessions` write, `readers` are read-only and wait for nobody."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def add(self, batch: Sequence[NewEvent], now: float) -> Added:
        """Store the events that are new; committed when this returns."""
        with self._sessions.begin() as session:
            # From here on nobody else writes events, so what is not there now is new.
            seq = locked(session, "events")
            there = _known_ids(session, [event.event_id for event in batch])
            rows: list[dict[str, object]] = []
            for event in batch:
                if event.event_id not in there:
                    there.add(event.event_id)
                    rows.append(_values(event, seq + len(rows) + 1, now))
            if rows:
                session.execute(insert(events), rows)
                advance(session, "events", seq + len(rows))
            unknown = _unknown_items(session, {event.item_id for event in batch})
        return Added(len(rows), len(batch) - len(rows), unknown)

    def history(self, user_id: str | None, session_id: str | None) -> list[Interaction]:
        """The newest events of the user and of the session, in order of time."""
        found: dict[int, Interaction] = {}
        with self._readers() as session:
            for column, value in ((events.c.user_id, user_id), (events.c.session_id, session_id)):
                if value is not None:
                    rows = session.execute(
                        select(events)
                        .where(column == value)
                        .order_by(events.c.occurred_at.desc())
                        .limit(HISTORY_EVENTS)
                    )
                    for row in rows:
                        found[row.seq] = Interaction(
                            row.item_id, row.kind, row.occurred_at, row.value
                        )
        by_time = sorted(found.items(), key=lambda pair: (pair[1].timestamp, pair[0]))
        return [interaction for _, interaction in by_time][-HISTORY_EVENTS:]

    def count(self) -> int:
        """Events kept."""
        with self._readers() as session:
            return int(session.execute(select(func.count()).select_from(events)).scalar_one())

    def fold(self, at_most: int = 20_000) -> int:
        """Sum up to `at_most` more events into `item_counters`; how many there were."""
        with self._sessions.begin() as session:
            folded = locked(session, "folded")
            rows = list(events_after(session, folded, at_most))
            if rows:
                _add_counts(session, count(seen for _, seen in rows))
                advance(session, "folded", rows[-1][0])
            return len(rows)


def last_numbers(session: Session) -> Mapping[str, int]:
    """The last number of each sequence."""
    return {row.name: int(row.value) for row in session.execute(select(sequences))}


def events_after(
    session: Session, seq: int, at_most: int | None = None
) -> Iterator[tuple[int, Seen]]:
    """(seq, event) after `seq`, in order."""
    query = _seen_query().where(events.c.seq > seq).order_by(events.c.seq)
    query = query.limit(at_most).execution_options(yield_per=5_000)
    for row in session.execute(query):
        yield row.seq, Seen(row.item_id, row.kind, row.value, row.occurred_at, row.received_at)


def popularity(session: Session, item_ids: Collection[str] | None) -> dict[str, Popularity]:
    """Popularity of these items (None: of all) by every event that this session sees."""
    folded = last_numbers(session)["folded"]
    if item_ids is None:
        return _merged(
            _counters(session, select(item_counters)),
            count(seen for _, seen in events_after(session, folded)),
        )
    found: dict[str, Popularity] = {}
    wanted = list(item_ids)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        kept = _counters(session, select(item_counters).where(item_counters.c.item_id.in_(part)))
        later = _seen_query().where(events.c.seq > folded, events.c.item_id.in_(part))
        fresh = count(
            Seen(row.item_id, row.kind, row.value, row.occurred_at, row.received_at)
            for row in session.execute(later)
        )
        found |= _merged(kept, fresh)
    return found


def _seen_query() -> Select[tuple[int, str, str, float | None, float, float]]:
    return select(
        events.c.seq,
        events.c.item_id,
        events.c.kind,
        events.c.value,
        events.c.occurred_at,
        events.c.received_at,
    )


def _values(event: NewEvent, seq: int, now: float) -> dict[str, object]:
    return {
        "seq": seq,
        "event_id": event.event_id,
        "user_id": event.user_id,
        "session_id": event.session_id,
        "item_id": event.item_id,
        "kind": event.kind,
        "value": event.value,
        "occurred_at": event.occurred_at,
        "received_at": now,
    }


def _known_ids(session: Session, event_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(event_ids), CHUNK):
        part = event_ids[start : start + CHUNK]
        query = select(events.c.event_id).where(events.c.event_id.in_(part))
        found.update(session.execute(query).scalars())
    return found


def _unknown_items(session: Session, item_ids: set[str]) -> tuple[str, ...]:
    wanted = sorted(item_ids)
    known: set[str] = set()
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        query = select(items.c.item_id).where(items.c.item_id.in_(part), items.c.deleted.is_(False))
        known.update(session.execute(query).scalars())
    return tuple(item_id for item_id in wanted if item_id not in known)


def _counters(
    session: Session, query: Select[tuple[str, float, float, float]]
) -> dict[str, Popularity]:
    return {
        row.item_id: Popularity(row.positives, row.recent_log2, row.first_at)
        for row in session.execute(query)
    }


def _merged(
    kept: Mapping[str, Popularity], fresh: Mapping[str, Popularity]
) -> dict[str, Popularity]:
    found = dict(kept)
    for item_id, more in fresh.items():
        found[item_id] = found[item_id].plus(more) if item_id in found else more
    return found


def _add_counts(session: Session, added: Mapping[str, Popularity]) -> None:
    wanted = sorted(added)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        of_part = item_counters.c.item_id.in_(part)
        kept = _counters(session, select(item_counters).where(of_part))
        merged = _merged(kept, {item_id: added[item_id] for item_id in part})
        # Nobody else writes counters while the sequence is held: replace them as a whole.
        session.execute(delete(item_counters).where(of_part))
        session.execute(
            insert(item_counters),
            [
                {
                    "item_id": item_id,
                    "positives": one.positives,
                    "recent_log2": one.recent_log2,
                    "first_at": one.first_at,
                }
                for item_id, one in merged.items()
            ],
        )
