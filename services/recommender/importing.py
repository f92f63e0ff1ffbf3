"""How do files get into the database: whole, once, and with an account of every row?

A file is checked from end to end before the first row is stored, so a bad row stops the command
with its line and nothing of that file is taken, unless bad rows are to be left out. Running it
again changes nothing: an item that says nothing new stays as it is, and an event has an id of its
own or one made of what it says.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from core.artifacts import Registry
from core.data.readers import read_events
from core.data.records import Event, Item
from core.data.tables import Skip, unless_skipped
from core.db.engine import session_factory
from core.db.migrations import migrated_engine
from core.errors import DataError
from core.progress import SILENT, Progress
from services.recommender.domain import item_text, text_digest
from services.recommender.event_store import Added, EventStore, NewEvent
from services.recommender.importers.catalogue import read_catalogue
from services.recommender.live import encode_missing
from services.recommender.model import KIND, load_encoder, load_model
from services.recommender.settings import Settings
from services.recommender.store import ItemStore, Upserted
from services.recommender.tables import ID_CHARS, MIGRATIONS

Row = TypeVar("Row")
Record = TypeVar("Record", Item, Event)

_EVENT_BATCH = 5_000
_ITEM_BATCH = 2_000
_TEXT_BATCH = 256
# Longest texts that the columns hold; see tables.py.
_LENGTHS = {
    "item_id": ID_CHARS,
    "item_group_id": ID_CHARS,
    "category": 500,
    "brand": 500,
    "currency": 10,
}
# Bad rows that are told one by one.
_TOLD = 20


@dataclass(frozen=True)
class Imported:
    """What was taken. None for a file that was not given; `encoded` texts got their vectors,
    `waiting` wait for a model or for the worker. `left_out` says why of each row that was bad."""

    items: Upserted | None
    events: Added | None
    encoded: int
    waiting: int
    left_out: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The account, for a terminal."""
        told = []
        if self.items is not None:
            i = self.items
            told.append(f"items: {i.created} new, {i.updated} changed, {i.unchanged} as before")
        if self.events is not None:
            e = self.events
            told.append(f"events: {e.accepted} new, {e.repeated} known already")
            if e.unknown_items:
                some = ", ".join(e.unknown_items[:5])
                told.append(
                    f"events of {len(e.unknown_items)} items that are not in the shop are kept and "
                    f"count when those are: {some}{', …' if len(e.unknown_items) > 5 else ''}"
                )
        if self.encoded:
            told.append(f"texts encoded: {self.encoded}")
        if self.waiting:
            told.append(f"texts without a vector: {self.waiting}, until a model is live")
        if self.left_out:
            told.append(f"bad rows left out: {len(self.left_out)}")
            told += [f"  {reason}" for reason in self.left_out[:_TOLD]]
            more = len(self.left_out) - _TOLD
            told += [f"  and {more} more"] if more > 0 else []
        return told


def run_import(
    settings: Settings,
    *,
    items: Path | None,
    events: Path | None,
    items_format: str | None = None,
    skip_bad_rows: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = SILENT,
) -> Imported:
    """Take in either file or both. DataError names the first bad row of a file; with
    `skip_bad_rows` the others are taken. Without an `items_format` the file tells it."""
    bad: list[str] = []
    skip: Skip | None = (lambda error: bad.append(str(error))) if skip_bad_rows else None
    moment = now().timestamp()
    catalogue = None if items is None else checked_items(items, items_format, moment, skip)
    log = None if events is None else checked_events(events, skip)
    with _stores(settings) as (item_store, event_store):
        upserted = None if catalogue is None else _store_items(item_store, catalogue, now, progress)
        encoded = 0 if catalogue is None else _encode(settings, item_store, progress)
        added = None if log is None else _store_events(event_store, log, now, progress)
        while event_store.fold():
            pass
        waiting = 0
        if catalogue is not None and not encoded:
            waiting = _waiting(settings, item_store, catalogue)
    return Imported(upserted, added, encoded, waiting, tuple(bad))


def checked_items(
    path: Path, chosen: str | None, now: float, skip: Skip | None = None
) -> list[Item]:
    """The items of a file, every one of which can be stored. `now` in Unix seconds."""
    found = read_catalogue(path, chosen=chosen, now=now, skip=skip)
    return list(_storable(path, found, _LENGTHS, skip))


def checked_events(path: Path, skip: Skip | None = None) -> list[NewEvent]:
    """The events of a file, each with an id."""
    seen: Counter[str] = Counter()
    lengths = dict.fromkeys(("user_id", "item_id", "event_id"), ID_CHARS)
    found = read_events(path, allow_empty=True, skip=skip)
    return [_new_event(event, seen) for event in _storable(path, found, lengths, skip)]


def _storable(
    path: Path, rows: Iterable[Record], lengths: Mapping[str, int], skip: Skip | None
) -> Iterator[Record]:
    """The rows whose texts the columns hold. DataError for another, or `skip` is told."""
    for row in rows:
        long = next((c for c, most in lengths.items() if len(getattr(row, c) or "") > most), None)
        if long is None:
            yield row
            continue
        characters = len(getattr(row, long))
        wrong = DataError(
            f"`{long}`: at most {lengths[long]} characters are kept, found {characters}",
            path,
            row.line,
            mend="Shorten it.",
        )
        unless_skipped(wrong, skip)


def _new_event(event: Event, seen: Counter[str]) -> NewEvent:
    """An event without an id gets one made of what it says; equal rows of a file are counted, so
    that two pieces bought at once stay two."""
    event_id = event.event_id
    if event_id is None:
        parts = (event.user_id, event.item_id, event.event, event.timestamp, event.value)
        digest = hashlib.sha256("\x1f".join(map(repr, parts)).encode()).hexdigest()[:32]
        event_id = f"row-{digest}-{seen[digest]}"
        seen[digest] += 1
    return NewEvent(
        event_id=event_id,
        user_id=event.user_id,
        session_id=None,
        item_id=event.item_id,
        kind=event.event,
        value=event.value,
        occurred_at=event.timestamp,
    )


def _store_items(
    store: ItemStore, catalogue: Sequence[Item], now: Callable[[], datetime], progress: Progress
) -> Upserted:
    done = Upserted()
    for batch in progress.bar(*_batches(catalogue, _ITEM_BATCH), "items"):
        done = done.plus(store.upsert(batch, now().timestamp()))
    return done


def _store_events(
    store: EventStore, log: Sequence[NewEvent], now: Callable[[], datetime], progress: Progress
) -> Added:
    accepted, repeated = 0, 0
    unknown: set[str] = set()
    for batch in progress.bar(*_batches(log, _EVENT_BATCH), "events"):
        done = store.add(batch, now().timestamp())
        accepted, repeated = accepted + done.accepted, repeated + done.repeated
        unknown.update(done.unknown_items)
    return Added(accepted, repeated, tuple(sorted(unknown)))


def _batches(rows: Sequence[Row], size: int) -> tuple[Iterator[Sequence[Row]], int]:
    starts = range(0, len(rows), size)
    return (rows[start : start + size] for start in starts), len(starts)


def _encode(settings: Settings, store: ItemStore, progress: Progress) -> int:
    """Vectors for all texts that lack one, if a model is live; how many."""
    version = Registry(settings.models_dir, KIND).active()
    if version is None:
        return 0
    encoder = load_encoder(version.path, settings.threads)
    prepared = load_model(version.path).prepared
    done = 0
    while batch := encode_missing(store, encoder, prepared, _TEXT_BATCH):
        done += batch
        progress.say(f"{done} texts encoded")
    return done


def _waiting(settings: Settings, store: ItemStore, catalogue: Sequence[Item]) -> int:
    if Registry(settings.models_dir, KIND).active() is not None:
        return 0
    return len({text_digest(item_text(item)) for item in catalogue})


@contextmanager
def _stores(settings: Settings) -> Iterator[tuple[ItemStore, EventStore]]:
    with migrated_engine(settings.database_url, MIGRATIONS, command=settings.command) as engine:
        sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
        yield ItemStore(sessions, readers), EventStore(sessions, readers)
