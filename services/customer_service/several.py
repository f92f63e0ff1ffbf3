"""Which questions does one message hold?

Pure. "Where is my order, and how do I return it? Also do you deliver to Austria?" holds three. A
message is cut where a sentence ends, and where a connective is followed by the start of another
question. Numbers, addresses, links and abbreviations are never cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.text import is_cjk_heavy, split_sentences
from services.customer_service.domain import Reading
from services.customer_service.small_talk import small_talk

# More than a customer can follow in one answer.
MOST_ANSWERS: Final = 3
# A longer message tells a story; so many parts are one matter, not many.
MOST_PARTS: Final = 6
_FEWEST_WORDS: Final = 2
_FEWEST_CHARACTERS: Final = 3

_OPENS = (
    r"(?:how|what|what's|when|where|where's|why|who|which|do|does|did|can|could|is|are|will|would|may"
    r"|should|i (?:want|need|would|also)|i'd|please|tell me|also)\b"
)
_CUT = re.compile(
    rf"[,;]?\s+(?:and|but|plus|also|oh and|then)(?:,? also)?,?\s+(?={_OPENS})",
    re.IGNORECASE,
)
_CUT_ZH = re.compile(
    r"[,;、\s]*(?=另外|还有(?!没有|多久|多少|几|货|现货|库存)|顺便|对了|以及(?=怎么|什么|能|可|多|如何))"
)
_LEAD = re.compile(
    r"^(?:(?:and|also|but|plus|oh|another (?:question|thing)|one more (?:question|thing)|by the way"
    r"|btw|second(?:ly)?|first(?:ly)?|another)\b[\s,:;-]*)+",
    re.IGNORECASE,
)
_LEAD_ZH = re.compile(
    r"^(?:另外|还有|顺便问一下|顺便问下|顺便|对了|以及|请问|我还想问|还想问|[\s,:、])+"
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Part:
    """One of the questions: `text` as it was written, `asked` as it is read, without "also"."""

    text: str
    asked: str


def split_questions(text: str) -> tuple[Part, ...]:
    """The parts of a normalised message in order, small talk left out; fewer than two where the
    message is one question."""
    found: list[str] = []
    for sentence in split_sentences(text):
        pattern = _CUT_ZH if is_cjk_heavy(sentence) else _CUT
        for piece in _cut(sentence, pattern):
            # What is too short to be a question belongs to what came before.
            if found and not _substantial(piece):
                found[-1] = f"{found[-1]} {piece}"
            else:
                found.append(piece)
    if len(found) < 2:
        return ()
    parts = [Part(piece, _without_lead(piece)) for piece in found if small_talk(piece) is None]
    parts = [part for part in parts if _substantial(part.asked)]
    return tuple(parts) if 1 < len(parts) <= MOST_PARTS else ()


def _cut(sentence: str, pattern: re.Pattern[str]) -> list[str]:
    pieces, start = [], 0
    for match in pattern.finditer(sentence):
        before = sentence[start : match.start()].strip(" ,;、")
        if match.start() <= start or not _substantial(before):
            continue
        pieces.append(before)
        start = match.end()
    pieces.append(sentence[start:].strip(" ,;、"))
    return [piece for piece in pieces if piece]


def _without_lead(piece: str) -> str:
    pattern = _LEAD_ZH if is_cjk_heavy(piece) else _LEAD
    return pattern.sub("", piece).strip() or piece


def _substantial(piece: str) -> bool:
    return (
        len(_WORD.findall(piece)) >= _FEWEST_WORDS
        or len(_HAN.findall(piece)) >= _FEWEST_CHARACTERS
        or small_talk(piece) is not None
    )


def chosen_parts(readings: Sequence[Reading], answered: frozenset[str]) -> tuple[int, ...]:
    """Numbers of the parts that are answered each, at most MOST_ANSWERS; empty where the message
    is better taken as one.

    At least two must be sure, of different intents; `answered`: the intents that have an answer.
    A second part with the same intent says the same again.
    """
    numbers: list[int] = []
    seen: set[str] = set()
    for number, reading in enumerate(readings):
        if not (reading.sure and reading.ranked) or reading.ranked[0].intent not in answered:
            continue
        if reading.ranked[0].intent not in seen:
            seen.add(reading.ranked[0].intent)
            numbers.append(number)
    return tuple(numbers[:MOST_ANSWERS]) if len(numbers) > 1 else ()
