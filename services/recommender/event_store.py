"""How are events kept, so that none is lost, none counts twice, and each is seen at once?

Events are numbered by `seq` in the order of their commits (see tables.py). `event_id` is unique:
a repeat is acknowledged and left out. An event of a session or user that was merged into another
user (users.py) is stored as theirs. `fold` sums events up to a number into `item_counters`, so
that a server that starts need not read them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from sqlalchemy import Column, Select, bindparam, delete, func, insert, select
from sqlalchemy.orm import Session, sessionmaker

from core.data.records import EventKind
from services.recommender import comments
from services.recommender.domain import HISTORY_EVENTS, text_digest
from services.recommender.event_rows import counted_kind, insert_events, known
from services.recommender.interests import Interaction
from services.recommender.popularity import Popularity, Seen, count
from services.recommender.store import CHUNK, advance, locked
from services.recommender.tables import events, item_counters, merges, sequences


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it comes in; at least one of user and session. `occurred_at` in Unix seconds.

    `value` is the stars of a rating or comment, else the money of the whole line, in `currency`.
    `recommendation_id` names the answer that the event came from, `position` the item's place in
    it, from 1; `text` is what a comment says."""

    event_id: str
    user_id: str | None
    session_id: str | None
    item_id: str
    kind: EventKind
    value: float | None
    occurred_at: float
    recommendation_id: str | None = None
    position: int | None = None
    scenario: str | None = None
    text: str | None = None
    quantity: float | None = None
    currency: str | None = None
    order_id: str | None = None


@dataclass(frozen=True)
class Added:
    """What became of a batch: new ones, repeats, and ids of items that the shop does not have."""

    accepted: int
    repeated: int
    unknown_items: tuple[str, ...]


_FIELDS = tuple(field.name for field in fields(NewEvent))
_AS_SENT = tuple(events.c[name] for name in _FIELDS)


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
            there = known(
                session,
                (event.event_id for event in batch),
                (event.item_id for event in batch),
                (event.session_id for event in batch if event.session_id and not event.user_id),
                (event.user_id for event in batch if event.user_id),
            )
            rows: list[dict[str, object]] = []
            for event in batch:
                if event.event_id not in there.events:
                    there.events.add(event.event_id)
                    rows.append(_values(event, there.owners, seq + len(rows) + 1, now))
            if rows:
                insert_events(session, rows, seq + len(rows))
        unknown = {event.item_id for event in batch} - there.items
        return Added(len(rows), len(batch) - len(rows), tuple(sorted(unknown)))

    def history(
        self, user_id: str | None, session_id: str | None, encoder_id: str = ""
    ) -> list[Interaction]:
        """The newest events of the user and of the session, in order of time; with what their
        newest comments say, and the vectors that `encoder_id` has of them."""
        found: dict[int, Interaction] = {}
        said: dict[int, str] = {}
        with self._readers() as session:
            user_id = _owner(session, user_id, session_id)
            for query, whose in ((_NEWEST_OF_USER, user_id), (_NEWEST_OF_SESSION, session_id)):
                if whose is not None:
                    for row in session.execute(query, {"whose": whose}):
                        found[row.seq] = Interaction(
                            row.item_id, row.kind, row.occurred_at, row.value
                        )
                        if row.text_digest is not None:
                            said[row.seq] = row.text_digest
            by_time = sorted(found, key=lambda seq: (found[seq].timestamp, seq))[-HISTORY_EVENTS:]
            if said:
                texts = comments.said_in(session, encoder_id, [q for q in by_time if q in said])
                found |= {seq: replace(found[seq], said=said) for seq, said in texts.items()}
        return [found[seq] for seq in by_time]

    def order(self, order_id: str) -> list[NewEvent]:
        """What was bought in an order, as it came in."""
        bought = (events.c.order_id == order_id) & (events.c.kind == "purchase")
        with self._readers() as session:
            rows = session.execute(select(*_AS_SENT).where(bought).order_by(events.c.seq)).all()
        return [NewEvent(**row._mapping) for row in rows]

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
    return {row.name: int(row.value) for row in session.execute(_NUMBERS)}


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


def _newest(column: Column[str]) -> Select[tuple[int, str, str, float, float, str]]:
    """The newest events of whoever `:whose` names."""
    return (
        select(
            events.c.seq,
            events.c.item_id,
            events.c.kind,
            events.c.occurred_at,
            events.c.value,
            events.c.text_digest,
        )
        .where(column == bindparam("whose"))
        .order_by(events.c.occurred_at.desc())
        .limit(HISTORY_EVENTS)
    )


# Made once: each request asks them, and to make a statement takes longer than to run it.
_NEWEST_OF_USER, _NEWEST_OF_SESSION = _newest(events.c.user_id), _newest(events.c.session_id)
_OWNER = select(merges.c.user_id).where(
    merges.c.kind == bindparam("kind"), merges.c.from_id == bindparam("whose")
)
_NUMBERS = select(sequences)


def _owner(session: Session, user_id: str | None, session_id: str | None) -> str | None:
    """Whose history is meant: the user who is named, else the one that the session belongs to, as
    they were merged."""
    kind, named = ("session", session_id) if user_id is None else ("user", user_id)
    owner: str | None = session.scalar(_OWNER, {"kind": kind, "whose": named})
    return user_id if owner is None else owner


def _seen_query() -> Select[tuple[int, str, str, float | None, float, float]]:
    return select(
        events.c.seq,
        events.c.item_id,
        counted_kind(),
        events.c.value,
        events.c.occurred_at,
        events.c.received_at,
    )


def _values(
    event: NewEvent, owners: Mapping[tuple[str, str], str], seq: int, now: float
) -> dict[str, object]:
    said = comments.text_of(event.kind, event.text)
    whose = ("user", event.user_id) if event.user_id else ("session", event.session_id or "")
    return {name: getattr(event, name) for name in _FIELDS} | {
        "seq": seq,
        "user_id": owners.get(whose, event.user_id),
        "received_at": now,
        "text": said,
        "text_digest": None if said is None else text_digest(said),
    }


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
