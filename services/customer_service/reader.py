"""How do many messages share one model thread?

A message seen a moment ago is not read again. New ones are tokenised here and wait in the bounded
queue of the model thread, which reads those that wait together in one go. What a team taught since
the training is looked at last, and never remembered: it may be other in the next message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.inference.batching import Batcher
from core.inference.cache import TextCache
from core.inference.encoder import TextEncoder
from core.inference.tokenizer import Tokens
from services.customer_service.prototypes import Prototypes
from services.customer_service.understanding import FloatArray, IntentModel, Understood


@dataclass(frozen=True)
class _Work:
    """`owner` is the model or encoder that reads, `read` what it does with (texts, tokens)."""

    owner: object
    read: Callable[[Sequence[str], Sequence[Tokens]], Sequence[Any]]
    text: str
    tokens: Tokens


class Reader:
    """Understands messages and encodes questions, for any number of callers. `taught` gives the
    examples that hold now."""

    def __init__(
        self,
        *,
        cache_texts: int = 4096,
        max_queue: int = 256,
        taught: Callable[[], Prototypes] = Prototypes,
    ) -> None:
        self._taught = taught
        self._understood: TextCache[Understood] = TextCache(cache_texts)
        self._embedded: TextCache[FloatArray] = TextCache(cache_texts)
        self._batcher: Batcher[_Work, Any] = Batcher(_run, max_queue=max_queue)

    async def understand(self, model: IntentModel, text: str) -> Understood:
        """What the model and the taught examples make of a normalised text. Overloaded where too
        many wait."""
        known = await self._classified(model, text)
        taught = self._taught()
        if not taught:
            return known
        if known.encoder_id == model.searcher.encoder_id:
            embedding = known.embedding if known.readable else None
        else:
            embedding = await self.embed(model.searcher, model.as_read(text))
        return taught.read(text, known, embedding, model)

    async def _classified(self, model: IntentModel, text: str) -> Understood:
        known = self._understood.get(model.cache_key, text)
        if known is None:
            work = _Work(model, model.understand_prepared, *model.prepared(text))
            known = await self._batcher.submit(work, len(work.tokens.ids))
            self._understood.put(model.cache_key, text, known)
        return known

    async def understand_all(self, model: IntentModel, texts: Sequence[str]) -> list[Understood]:
        """Each of the texts understood; those that are new are read together."""
        if len(texts) == 1:
            return [await self.understand(model, texts[0])]
        return list(await asyncio.gather(*(self.understand(model, text) for text in texts)))

    async def embed(self, searcher: TextEncoder, text: str) -> FloatArray | None:
        """(width,) of a normalised text; None where the encoder cannot read it."""
        known = self._embedded.get(searcher.encoder_id, text)
        if known is None:

            def encode(texts: Sequence[str], tokens: Sequence[Tokens]) -> Sequence[Any]:
                encoded = searcher.encode_tokens(tokens)
                return list(zip(encoded.embeddings, encoded.readable, strict=True))

            work = _Work(searcher, encode, text, searcher.tokenize([text])[0])
            embedding, readable = await self._batcher.submit(work, len(work.tokens.ids))
            if not readable:
                return None
            known = embedding.copy()
            self._embedded.put(searcher.encoder_id, text, known)
        return known

    def stop(self) -> None:
        """Finish what waits and end the model thread."""
        self._batcher.stop()


def _run(batch: list[_Work]) -> list[Any]:
    """Each model reads its own texts: while one takes another's place both are at work."""
    results: dict[int, Any] = {}
    for owner in {id(work.owner): work.owner for work in batch}.values():
        mine = [number for number, work in enumerate(batch) if work.owner is owner]
        texts = [batch[number].text for number in mine]
        tokens = [batch[number].tokens for number in mine]
        read = batch[mine[0]].read
        results.update(zip(mine, read(texts, tokens), strict=True))
    return [results[number] for number in range(len(batch))]
