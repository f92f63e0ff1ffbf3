"""What answers now? One version of the model with its encoder thread and its shelf.

A server holds one of these in a slot and swaps it as a whole, so a request never sees the vectors
of one model with the weights of another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from core.inference.batching import Batcher
from core.inference.encoder import TextEncoder
from core.inference.tokenizer import Tokens
from services.recommender.catalogue import Catalogue, Shelf
from services.recommender.domain import text_digest
from services.recommender.follow import Follower
from services.recommender.model import (
    Embedding,
    Model,
    embed,
    embed_tokens,
    load_encoder,
    load_model,
)
from services.recommender.retrieval import Retriever
from services.recommender.store import ItemStore

# Texts encoded between two looks at the database.
_PORTION = 256


class Live:
    """One version at work. `stop` ends its thread."""

    def __init__(
        self, model: Model, encoder: TextEncoder, readers: sessionmaker[Session], max_queue: int
    ) -> None:
        self.model = model
        self.retriever = Retriever(model, threads=1)
        self._encoder = encoder
        self._follower = Follower(
            readers,
            Catalogue(model.tower, model.model_rows),
            encoder.encoder_id,
            model.prepared,
        )
        self._batcher: Batcher[Tokens, Embedding] = Batcher(
            lambda tokens: embed_tokens(encoder, tokens), max_queue=max_queue
        )

    @classmethod
    def load(
        cls,
        folder: Path,
        items: ItemStore,
        readers: sessionmaker[Session],
        *,
        threads: int,
        max_queue: int,
        encode_at_most: int | None,
        now: float,
    ) -> Live:
        """The version in `folder`, ready to answer: the shelf is filled, and of the items without
        a vector the newest `encode_at_most` have been encoded (None: all of them). `now` in Unix
        seconds."""
        model = load_model(folder)
        encoder = load_encoder(folder, threads)
        if encode_at_most is None:
            while encode_missing(items, encoder, model.prepared, _PORTION):
                pass
        else:
            encode_missing(items, encoder, model.prepared, encode_at_most)
        live = cls(model, encoder, readers, max_queue)
        live.retriever.prepare(live.shelf(), now)
        return live

    @property
    def encoder_id(self) -> str:
        """Identity of the encoder whose vectors it ranks by."""
        return self._encoder.encoder_id

    def shelf(self) -> Shelf:
        """The shelf as of now; asks the database."""
        return self._follower.shelf()

    def known(self, digest: str) -> Embedding | None:
        """The embedding that the model brought along for a text, None where it did not."""
        return self.model.prepared.get(digest)

    async def encode(self, texts: Sequence[str]) -> dict[str, Embedding]:
        """Digest → embedding of the texts, through the model thread. Overloaded when too many
        wait."""
        tokens = await asyncio.to_thread(self._encoder.tokenize, list(texts))
        embeddings = await asyncio.gather(
            *(self._batcher.submit(one, len(one.ids)) for one in tokens)
        )
        return {text_digest(text): one for text, one in zip(texts, embeddings, strict=True)}

    def stop(self) -> None:
        """End the model thread, when what waits is done."""
        self._batcher.stop()


def encode_missing(
    items: ItemStore, encoder: TextEncoder, prepared: Mapping[str, Embedding], at_most: int
) -> int:
    """Give at most `at_most` texts without a vector of this encoder theirs; how many there were.
    Those that the model brought along need no run of the encoder. Every server takes them in."""
    found = _missing(items, encoder, prepared, at_most)
    if found:
        items.put_vectors(encoder.encoder_id, found)
    return len(found)


def encode_beforehand(
    items: ItemStore, encoder: TextEncoder, prepared: Mapping[str, Embedding], at_most: int
) -> int:
    """The same for an encoder that no server ranks by yet: none of them needs to look again."""
    found = _missing(items, encoder, prepared, at_most)
    if found:
        items.upsert((), 0.0, encoder.encoder_id, found)
    return len(found)


def _missing(
    items: ItemStore, encoder: TextEncoder, prepared: Mapping[str, Embedding], at_most: int
) -> dict[str, Embedding]:
    missing = items.without_vector(encoder.encoder_id, at_most) if at_most else {}
    found = {digest: prepared[digest] for digest in missing if digest in prepared}
    new = [digest for digest in missing if digest not in found]
    return found | dict(zip(new, embed(encoder, [missing[d] for d in new]), strict=True))
