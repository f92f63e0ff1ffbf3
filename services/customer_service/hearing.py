"""How is a message read in its conversation?

    alone      always; what is sure alone stays as it is
    in parts   where it holds several questions
    corrected  "no, I meant a refund": the rest, with what was answered ruled out
    joined     with the question, or the burst of messages, that it leans on

A message of one sentence that is sure alone, or leans on nothing, costs one reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.customer_service.answers import AnswerBook
from services.customer_service.context import (
    burst,
    last_asked,
    ruled_out,
    talk_before,
)
from services.customer_service.corrections import Correction, correction_of
from services.customer_service.domain import Reading
from services.customer_service.followups import (
    Joined,
    added_words,
    is_short,
    join,
    kind_of,
    without,
)
from services.customer_service.reader import Reader
from services.customer_service.several import Part, chosen_parts, split_questions
from services.customer_service.small_talk import small_talk
from services.customer_service.store import Turn
from services.customer_service.understanding import IntentModel, Understood

# Characters of a text that is read with others: what is longer says enough alone.
_LONGEST: Final = 1000


@dataclass(frozen=True)
class HeardPart:
    """One of several questions in a message. `answered`: its intent is sure and is answered."""

    part: Part
    understood: Understood
    answered: bool


@dataclass(frozen=True)
class InContext:
    """`text` is what is searched with; `joined`: the message together with what it leans on, with
    what the model makes of that; `parts`: empty unless several questions are answered."""

    text: str
    understood: Understood
    joined: Joined | None = None
    joined_understood: Understood | None = None
    parts: tuple[HeardPart, ...] = ()


@dataclass(frozen=True)
class Hearing:
    """The conversation that a message is read in: the turns of its session, newest first."""

    turns: Sequence[Turn]
    book: AnswerBook
    language: str
    now: datetime
    burst_seconds: float

    async def hear(self, reader: Reader, model: IntentModel, text: str) -> InContext:
        """Read a normalised text. Overloaded where too many wait."""
        correction = self._correction(text)
        if correction is not None and correction.certain:
            return await self._corrected(reader, model, correction)
        parts = split_questions(text)
        understood, *others = await reader.understand_all(
            model, [text, *(part.asked for part in parts)]
        )
        if parts and (heard := self._in_parts(parts, others)):
            return InContext(text, understood, parts=heard)
        if self._decides(understood.reading) or small_talk(text) is not None:
            return InContext(text, understood)
        if correction is not None:
            return await self._corrected(reader, model, correction)
        return await self._joined(reader, model, InContext(text, understood))

    def _decides(self, reading: Reading) -> bool:
        return bool(
            reading.sure and reading.ranked and reading.ranked[0].intent in self.book.hands_off
        )

    def _correction(self, text: str) -> Correction | None:
        if not self.turns or talk_before(self.turns) is not None:
            return None
        return correction_of(text)

    async def _corrected(
        self, reader: Reader, model: IntentModel, correction: Correction
    ) -> InContext:
        understood, *_ = await reader.understand_all(model, [correction.rest])
        out = ruled_out(self.turns)
        heard = InContext(
            correction.rest, replace(understood, reading=without(understood.reading, out))
        )
        if self._decides(heard.understood.reading):
            return heard
        return await self._joined(reader, model, heard, out)

    def _in_parts(
        self, parts: Sequence[Part], understood: Sequence[Understood]
    ) -> tuple[HeardPart, ...]:
        chosen = chosen_parts([u.reading for u in understood], frozenset(self.book.hands_off))
        # A form asks one thing after another: it has an answer of its own.
        if any(
            u.reading.sure and u.reading.ranked[0].intent in self.book.forms for u in understood
        ):
            return ()
        if not chosen:
            return ()
        return tuple(
            HeardPart(part, u, number in chosen)
            for number, (part, u) in enumerate(zip(parts, understood, strict=True))
            # One that asks the same as another is answered with it.
            if number in chosen or not self._decides(u.reading)
        )

    async def _joined(
        self,
        reader: Reader,
        model: IntentModel,
        heard: InContext,
        out: frozenset[str] = frozenset(),
    ) -> InContext:
        joined = self._leans_on(heard.text, heard.understood.reading)
        if joined is None:
            return heard
        understood, *_ = await reader.understand_all(model, [joined.text])
        joined = replace(joined, reading=without(understood.reading, out))
        return replace(heard, joined=joined, joined_understood=understood)

    def _leans_on(self, text: str, unread: Reading) -> Joined | None:
        """What the message is read together with; its reading is still to come."""
        before = burst(self.turns, self.now, self.burst_seconds) if is_short(text) else ()
        if before:
            together = join(*before, text)
            return Joined(together, unread, None, None, frozenset()) if _fits(together) else None
        kind = kind_of(text)
        asked = None if kind is None else last_asked(self.turns, self._title)
        if kind is None or asked is None:
            return None
        together = join(asked.text, text)
        if not _fits(together):
            return None
        return Joined(together, unread, kind, asked.intent, added_words(text))

    def _title(self, name: str) -> str | None:
        intent = self.book.intents.get(name)
        return None if intent is None else intent.title(self.language)


def _fits(text: str) -> bool:
    return len(text) <= _LONGEST
