"""Who asks the articles, with which vector, and in whose words is their answer given?

What they are asked for and what counts as an answer is decided in looking.py and together.py; here
the vector is fetched, the search runs in a thread, and a language model, where there is one, words
what was found.
"""

from __future__ import annotations

from collections.abc import Sequence

from anyio.to_thread import run_sync

from services.customer_service.domain import NOTHING_READ
from services.customer_service.generate import Writer
from services.customer_service.hearing import InContext
from services.customer_service.live import Copy
from services.customer_service.looking import Look, look, sure_wording, unsure_wording
from services.customer_service.reader import Reader
from services.customer_service.situation import Situation
from services.customer_service.together import Together, decide_together
from services.customer_service.understanding import FloatArray, Understood
from services.customer_service.wording import Wording

_Asked = tuple[str, FloatArray | None]


class Librarian:
    """Without `writer` what articles say is quoted."""

    def __init__(self, reader: Reader, writer: Writer | None = None) -> None:
        self._reader = reader
        self._writer = writer

    async def look(self, text: str, understood: Understood, copy: Copy, language: str) -> Look:
        """What the articles say to a normalised text, and how it was understood."""
        seen, _ = await self._look(text, understood, copy, language)
        return seen

    async def together(self, situation: Situation, heard: InContext, copy: Copy) -> Together:
        """What comes of the message together with what it leans on."""
        joined, understood = heard.joined, heard.joined_understood
        assert joined is not None and understood is not None, "there is something joined"
        embedding = await self._embedding(understood, copy, joined.text)
        found = await run_sync(copy.knowledge.search, joined.text, embedding)
        return decide_together(joined, found, copy.book, situation.voice.language, situation.turns)

    async def sure(self, situation: Situation, heard: InContext, copy: Copy) -> Wording | None:
        """What articles say where they speak strongly to the message; None where they do not."""
        voice = situation.voice
        seen, asked = await self._look(heard.text, heard.understood, copy, voice.language)
        wording = sure_wording(seen, voice)
        if wording is None:
            return None
        return await self._worded(wording, [asked], situation, copy)

    async def unsure(
        self, situation: Situation, heard: InContext | None, together: Together | None, copy: Copy
    ) -> Wording:
        """What is said where no intent is sure; `heard`: None where nothing was read."""
        voice, turns = situation.voice, situation.turns
        understood = None if heard is None else heard.understood
        text = situation.text if heard is None else heard.text
        seen, asked = await self._look(text, understood, copy, voice.language)
        reading = NOTHING_READ if understood is None else understood.reading
        wording = unsure_wording(seen, reading, together, turns, copy.book, voice)
        if wording.action != "retrieve":
            return wording
        searched = [asked]
        if heard is not None and heard.joined is not None and heard.joined_understood is not None:
            joined = heard.joined.text
            embedding = await self._embedding(heard.joined_understood, copy, joined)
            searched.append((joined, embedding))
        return await self._worded(wording, searched, situation, copy)

    async def _look(
        self, text: str, understood: Understood | None, copy: Copy, language: str
    ) -> tuple[Look, _Asked]:
        embedding = None
        if understood is not None:
            embedding = await self._embedding(understood, copy, text)
        seen = await run_sync(look, copy.knowledge, text, embedding, language)
        return seen, (text, embedding)

    async def _embedding(self, understood: Understood, copy: Copy, text: str) -> FloatArray | None:
        """Of the encoder that the index was made with; None where it cannot read the text."""
        if copy.searcher is None:
            return None
        if understood.encoder_id == copy.searcher.encoder_id:
            return understood.embedding if understood.readable else None
        return await self._reader.embed(copy.searcher, text)

    async def _worded(
        self, wording: Wording, asked: Sequence[_Asked], situation: Situation, copy: Copy
    ) -> Wording:
        if self._writer is None:
            return wording
        language = situation.voice.language
        return await run_sync(self._writer.reworded, wording, asked, copy.knowledge, language)
