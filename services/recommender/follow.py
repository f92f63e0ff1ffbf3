"""How does a process keep its catalogue in step with the database?

Before each answer it asks for the last numbers of the sequences: one small query. Where items or
events have moved on, it takes in what is new, in one snapshot of the database. So an event or an
item that any process has committed is in the next answer of every process. Where somebody was
forgotten, popularity is counted anew: what theirs made of it cannot be told from the sums.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from services.recommender.catalogue import Catalogue, Entry, Shelf, entry_of
from services.recommender.event_store import events_after, last_numbers, popularity
from services.recommender.model import Embedding
from services.recommender.popularity import count
from services.recommender.store import StoredItem, items_after


class Follower:
    """The one writer of a catalogue. Safe to call from several threads."""

    def __init__(
        self,
        readers: sessionmaker[Session],
        catalogue: Catalogue,
        encoder_id: str,
        prepared: Mapping[str, Embedding],
    ) -> None:
        self._readers = readers
        self._catalogue = catalogue
        self._encoder_id = encoder_id
        self._prepared = prepared
        self._lock = threading.Lock()
        # The numbers of the sequences that were taken in; none yet, not even of an empty database.
        self._seen: tuple[int, int, int] | None = None

    def shelf(self) -> Shelf:
        """The shelf with everything that was committed before this call."""
        with self._lock:
            with self._readers() as session:
                now = _numbers(session)
            if self._seen is None:
                self._fill()
            elif now != self._seen:
                self._catch_up(*self._seen)
            return self._catalogue.shelf()

    def _fill(self) -> None:
        """The first time: batch by batch, so that a large shop is never in memory twice."""
        with _snapshot(self._readers) as session:
            now = _numbers(session)
            for batch in items_after(session, 0, self._encoder_id):
                self._take_in(batch)
            self._catalogue.add_popularity(popularity(session, None))
        self._seen = now

    def _catch_up(self, items: int, events: int, erased: int) -> None:
        """Later: all is read before anything is changed, so that a database that goes away in the
        middle leaves nothing counted twice."""
        with _snapshot(self._readers) as session:
            now = _numbers(session)
            batches = list(items_after(session, items, self._encoder_id))
            ids = {stored.item.item_id for batch in batches for stored in batch}
            newcomers = {item_id for item_id in ids if item_id not in self._catalogue}
            forgotten = now[2] != erased
            # For a newcomer that is every event that this snapshot shows.
            counted = popularity(session, None if forgotten else newcomers)
            later = () if forgotten else events_after(session, events)
            fresh = count(seen for _, seen in later if seen.item_id not in newcomers)
        for batch in batches:
            self._take_in(batch)
        if forgotten:
            self._catalogue.set_popularity(counted)
        else:
            self._catalogue.add_popularity(counted)
            self._catalogue.add_popularity(fresh)
        self._seen = now

    def _take_in(self, batch: list[StoredItem]) -> None:
        gone = [stored.deleted or bool(stored.item.hidden) for stored in batch]
        shown = [stored for stored, away in zip(batch, gone, strict=True) if not away]
        self._catalogue.put([self._entry(stored) for stored in shown])
        for stored, away in zip(batch, gone, strict=True):
            if away:
                self._catalogue.remove(stored.item.item_id)

    def _entry(self, stored: StoredItem) -> Entry:
        embedding = stored.embedding or self._prepared.get(stored.text_digest)
        values = None if embedding is None else embedding.values.astype(np.float32)
        readable = embedding is not None and embedding.readable
        return entry_of(stored.item, stored.text, values, readable, stored.arrived_at)


def _numbers(session: Session) -> tuple[int, int, int]:
    """The sequences that move what is in memory."""
    last = last_numbers(session)
    return last["items"], last["events"], last["erased"]


@contextmanager
def _snapshot(readers: sessionmaker[Session]) -> Iterator[Session]:
    """A session whose queries all see the same moment. On SQLite every transaction is that."""
    with readers() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session
