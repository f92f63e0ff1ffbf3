"""How do items and events get in, so that the next answer knows them?

Items: texts that no vector is known of are encoded first, in the model thread; then the rows and
the vectors are committed together. Events are committed as they come. Without a live model items
are stored all the same, and get their vectors when there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from core.data.records import Item
from core.errors import InvalidInput, NotReady, TooLarge
from services.recommender.domain import item_text, text_digest
from services.recommender.event_store import Added, EventStore, NewEvent
from services.recommender.live import Live
from services.recommender.store import ItemStore, Upserted


async def put_items(
    store: ItemStore,
    live: Callable[[], Live | None],
    batch: Sequence[Item],
    *,
    now: float,
    at_most: int,
) -> Upserted:
    """Store the items; committed, vectors and all, when this returns.

    `live` gives the present model, None before the first. TooLarge for more than `at_most`,
    InvalidInput where an id stands twice, Overloaded when the encoder has too much waiting.
    """
    _check_batch(batch, at_most)
    try:
        return await _put(store, live(), batch, now)
    except NotReady:
        # The model was replaced between our look and its last text: ask the new one.
        return await _put(store, live(), batch, now)


async def _put(store: ItemStore, live: Live | None, batch: Sequence[Item], now: float) -> Upserted:
    if live is None:
        return await asyncio.to_thread(store.upsert, batch, now)
    texts = {text_digest(text): text for text in map(item_text, batch)}
    encoder_id = live.encoder_id
    there = await asyncio.to_thread(store.encoded, encoder_id, texts)
    brought = {d: one for d in texts if d not in there and (one := live.known(d)) is not None}
    new = [text for digest, text in texts.items() if digest not in there and digest not in brought]
    embeddings = brought | (await live.encode(new) if new else {})
    return await asyncio.to_thread(store.upsert, batch, now, encoder_id, embeddings)


def add_events(store: EventStore, batch: Sequence[NewEvent], *, now: float, at_most: int) -> Added:
    """Store the events; committed when this returns. TooLarge for more than `at_most`."""
    if len(batch) > at_most:
        raise TooLarge(
            f"{len(batch)} events in one request, at most {at_most} are taken",
            mend="Send them in several requests, or import a file.",
        )
    return store.add(batch, now)


def _check_batch(batch: Sequence[Item], at_most: int) -> None:
    if len(batch) > at_most:
        raise TooLarge(
            f"{len(batch)} items in one request, at most {at_most} are taken",
            mend="Send them in several requests, or use `trefoil recommender import`.",
        )
    seen: set[str] = set()
    for item in batch:
        if item.item_id in seen:
            raise InvalidInput(
                f"item_id {item.item_id!r} stands twice in one request", mend="Send it once."
            )
        seen.add(item.item_id)
