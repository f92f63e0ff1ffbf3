"""How do items and events get in, so that the next answer knows them?

Items: texts that no vector is known of are encoded first, in the model thread; then the rows and
the vectors are committed together. Events are committed as they come. Without a live model items
are stored all the same, and get their vectors when there is one. So are comments: what they say is
encoded before they are committed, as far as that holds nobody up. Large batches of items are stored
as they came, and the worker takes them in; see uploads.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from core.data.records import Item
from core.errors import Conflict, InvalidInput, NotReady, Overloaded, TooLarge
from core.inference.encoder import TextEncoder
from services.recommender.comments import text_of as comment_text
from services.recommender.domain import item_text, text_digest
from services.recommender.event_store import Added, EventStore, NewEvent
from services.recommender.item_schemas import checked_rows
from services.recommender.live import Live
from services.recommender.model import Embedding, embed
from services.recommender.store import ItemStore, StoredItem, Upserted
from services.recommender.uploads import UploadStore

# Comments of one request that are encoded before the answer: a tenth of a second or two.
COMMENTS_AT_ONCE = 32
_log = logging.getLogger(__name__)

# A change that others come before is made again on what they left.
_TRIES = 5


async def put_items(
    store: ItemStore,
    live: Callable[[], Live | None],
    batch: Sequence[Item],
    *,
    now: float,
) -> Upserted:
    """Store the items; committed, vectors and all, when this returns.

    `live` gives the present model, None before the first. InvalidInput where an id stands twice,
    Overloaded when the encoder has too much waiting.
    """
    _check_batch(batch)
    encoded = await _encoded(store, live, batch)
    return await asyncio.to_thread(store.upsert, batch, now, *encoded)


async def change_item(
    store: ItemStore,
    live: Callable[[], Live | None],
    item_id: str,
    change: Callable[[Item], Item],
    *,
    now: float,
) -> StoredItem | None:
    """Store what `change` makes of the item, and give what is kept then; None where there is no
    such item. A text that stays has its vector already. Conflict where others change it all the
    time; else as `put_items`."""
    for _ in range(_TRIES):
        stored = await asyncio.to_thread(store.find, item_id)
        if stored is None:
            return None
        item = change(stored.item)
        encoded = await _encoded(store, live, [item])
        if await asyncio.to_thread(store.replace, item, stored.revision, now, *encoded):
            return await asyncio.to_thread(store.find, item_id)
    raise Conflict(f"item {item_id!r} was changed by others meanwhile", mend="Send it again.")


async def _encoded(
    store: ItemStore, live: Callable[[], Live | None], batch: Sequence[Item]
) -> tuple[str | None, dict[str, Embedding]]:
    """The encoder, None before the first model, and what it says of texts that are new to it."""
    try:
        return await _embeddings(store, live(), batch)
    except NotReady:
        # The model was replaced between our look and its last text: ask the new one.
        return await _embeddings(store, live(), batch)


async def _embeddings(
    store: ItemStore, live: Live | None, batch: Sequence[Item]
) -> tuple[str | None, dict[str, Embedding]]:
    if live is None:
        return None, {}
    texts = {text_digest(text): text for text in map(item_text, batch)}
    encoder_id = live.encoder_id
    there = await asyncio.to_thread(store.encoded, encoder_id, texts)
    brought = {d: one for d in texts if d not in there and (one := live.known(d)) is not None}
    new = [text for digest, text in texts.items() if digest not in there and digest not in brought]
    return encoder_id, brought | (await live.encode(new) if new else {})


def work_off(
    uploads: UploadStore,
    store: ItemStore,
    model: tuple[TextEncoder, Mapping[str, Embedding]] | None,
    now: float,
) -> int:
    """Take in the next chunk of a large batch, vectors and all; how many rows it had, 0 where
    none waits. `model` is the encoder and what the live model brought along, if there is one."""
    chunk = uploads.next_chunk()
    if chunk is None:
        return 0
    batch, failed = checked_rows(chunk)
    if model is None:
        uploads.finish(chunk, batch, failed, now)
        return len(chunk.rows)
    encoder, brought = model
    texts = {text_digest(text): text for text in map(item_text, batch)}
    there = store.encoded(encoder.encoder_id, texts)
    found = {digest: brought[digest] for digest in texts if digest in brought}
    new = [digest for digest in texts if digest not in there and digest not in found]
    found |= zip(new, embed(encoder, [texts[digest] for digest in new]), strict=True)
    uploads.finish(chunk, batch, failed, now, encoder.encoder_id, found)
    return len(chunk.rows)


async def add_events(
    store: EventStore,
    items: ItemStore,
    live: Live | None,
    batch: Sequence[NewEvent],
    *,
    now: float,
    at_most: int,
) -> Added:
    """Store the events; committed when this returns. TooLarge for more than `at_most`."""
    if len(batch) > at_most:
        raise TooLarge(
            f"{len(batch)} events in one request, at most {at_most} are taken",
            mend="Send them in several requests, or import a file.",
        )
    if live is not None and any(event.kind == "comment" for event in batch):
        await _encode_comments(items, live, batch)
    return await asyncio.to_thread(store.add, batch, now)


async def _encode_comments(items: ItemStore, live: Live, batch: Sequence[NewEvent]) -> None:
    """Give what the newest comments say a vector. The rest of many, and all where the encoder is
    busy, is the worker's: an event is never refused for its text."""
    said = [text for event in batch if (text := comment_text(event.kind, event.text))]
    texts = {text_digest(text): text for text in said[-COMMENTS_AT_ONCE:]}
    there = await asyncio.to_thread(items.encoded, live.encoder_id, texts)
    try:
        embeddings = await live.encode([text for d, text in texts.items() if d not in there])
    except (NotReady, Overloaded) as error:
        _log.info("comments wait for the worker: %s", error)
        return
    if embeddings:
        await asyncio.to_thread(items.put_vectors, live.encoder_id, embeddings)


def _check_batch(batch: Sequence[Item]) -> None:
    seen: set[str] = set()
    for item in batch:
        if item.item_id in seen:
            raise InvalidInput(
                f"item_id {item.item_id!r} stands twice in one request", mend="Send it once."
            )
        seen.add(item.item_id)
