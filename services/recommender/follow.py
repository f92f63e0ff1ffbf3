"""How does a process keep its catalogue in step with the database?

Before each answer it asks for the last numbers of the sequences: one small query. Where items or
events have moved on, it takes in what is new, in one snapshot of the database. So an event or an
item that any process has committed is in the next answer of every process.
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
        # Below 0: nothing has been read yet, not even an empty database.
        self._items, self._events = 0, -1

    def shelf(self) -> Shelf:
        """The shelf with everything that was committed before this call."""
        with self._lock:
            numbers = self._last_numbers()
            if self._events < 0:
                self._fill()
            elif (numbers["items"], numbers["events"]) != (self._items, self._events):
                self._catch_up()
            return self._catalogue.shelf()

    def _last_numbers(self) -> Mapping[str, int]:
        with self._readers() as session:
            return last_numbers(session)

    def _fill(self) -> None:
        """The first time: batch by batch, so that a large shop is never in memory twice."""
        with _snapshot(self._readers) as session:
            numbers = last_numbers(session)
            for batch in items_after(session, 0, self._encoder_id):
                self._take_in(batch)
            self._catalogue.add_popularity(popularity(session, None))
        self._items, self._events = numbers["items"], numbers["events"]

    def _catch_up(self) -> None:
        """Later: all is read before anything is changed, so that a database that goes away in the
        middle leaves nothing counted twice."""
        with _snapshot(self._readers) as session:
            numbers = last_numbers(session)
            batches = list(items_after(session, self._items, self._encoder_id))
            ids = {stored.item.item_id for batch in batches for stored in batch}
            newcomers = {item_id for item_id in ids if item_id not in self._catalogue}
            # For a newcomer that is every event that this snapshot shows.
            counted = popularity(session, newcomers)
            later = events_after(session, self._events)
            fresh = count(seen for _, seen in later if seen.item_id not in newcomers)
        for batch in batches:
            self._take_in(batch)
        self._catalogue.add_popularity(counted)
        self._catalogue.add_popularity(fresh)
        self._items, self._events = numbers["items"], numbers["events"]

    def _take_in(self, batch: list[StoredItem]) -> None:
        kept = [stored for stored in batch if not stored.deleted]
        self._catalogue.put([self._entry(stored) for stored in kept])
        for stored in batch:
            if stored.deleted:
                self._catalogue.remove(stored.item.item_id)

    def _entry(self, stored: StoredItem) -> Entry:
        embedding = stored.embedding or self._prepared.get(stored.text_digest)
        values = None if embedding is None else embedding.values.astype(np.float32)
        readable = embedding is not None and embedding.readable
        return entry_of(stored.item, stored.text, values, readable, stored.arrived_at)


@contextmanager
def _snapshot(readers: sessionmaker[Session]) -> Iterator[Session]:
    """A session whose queries all see the same moment. On SQLite every transaction is that."""
    with readers() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session
