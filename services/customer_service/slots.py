"""Where does a value stand in a message, and of several, which is meant?

Pure. Patterns, lists of words and e-mail addresses are found here, dates and amounts in modules of
their own; all give places (`Span`), of which `meant` takes one: the later corrects the earlier
("4711, no, 4712"), but what is denied never wins ("LY-204518 not LY-204519", "不是 A 是 B").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final


@dataclass(frozen=True, slots=True)
class Span:
    """text[start:end] says `value`, brought into the form of its kind."""

    start: int
    end: int
    value: str


@dataclass(frozen=True, slots=True)
class Moment:
    """When, where and by whom a message is read: "tomorrow" and 12/11/2026 depend on it. `locale`:
    a tag such as "en", "en-GB", "zh"; `learned`: what the live model's tagger finds, by slot."""

    today: date
    locale: str = ""
    learned: Mapping[str, Sequence[Span]] = field(default_factory=dict)

    @property
    def month_first(self) -> bool:
        """Whether 12/11 is the eleventh of December."""
        language, _, rest = self.locale.replace("_", "-").partition("-")
        region = rest.rpartition("-")[2].upper()
        return language.lower() in ("", "en", "zh") and region not in _DAY_FIRST_ENGLISH


_DAY_FIRST_ENGLISH: Final = frozenset(("GB", "IE", "AU", "NZ", "IN", "ZA", "SG", "HK"))

# Between "not" and a value only words that say nothing of their own: "not my order 4711" denies
# it, "did not get 4711" does not. "是不是" and "要不要" ask.
_DENIES = re.compile(
    r"(?:\b(?:not|isn['’]t|wasn['’]t|instead of|rather than)\s+"
    r"(?:(?:the|my|an?|for|from|on|at|by|number|order|no\.?)\s+){0,3}"
    r"|(?:(?<!是)不是|并非|而非|(?<!要)不要)\s*(?:我的)?(?:订单号?|单号|号码?)?\s*:?\s*)[\"'“‘#(]*$",
    re.IGNORECASE,
)
_REACH: Final = 48  # characters before a value among which a denial is looked for

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9@-])"
)

_DIGITS: Final = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_UNITS: Final = {"十": 10, "百": 100, "千": 1000}
NUMERAL: Final = "[零〇一二两三四五六七八九十百千]"


def meant(text: str, spans: Iterable[Span]) -> str | None:
    """The last value that nobody denied after it; None where there is none."""
    standing: list[str] = []
    for span in spans:
        standing = [value for value in standing if value != span.value]
        if not _DENIES.search(text[max(0, span.start - _REACH) : span.start]):
            standing.append(span.value)
    return standing[-1] if standing else None


def pattern_spans(text: str, pattern: str, synonyms: Mapping[str, str], longest: int) -> list[Span]:
    """What a pattern finds; a synonym becomes what it stands for."""
    return [
        Span(m.start(), m.end(), synonyms.get(synonym_key(m.group()), m.group()[:longest]))
        for m in re.finditer(pattern, text)
        if m.group()
    ]


def learned_spans(moment: Moment | None, slot: str, synonyms: Mapping[str, str]) -> list[Span]:
    """What the tagger found for a slot; a synonym becomes what it stands for."""
    found = () if moment is None else moment.learned.get(slot, ())
    return [replace(s, value=synonyms.get(synonym_key(s.value), s.value)) for s in found]


def email_spans(text: str) -> list[Span]:
    """E-mail addresses; the domain in small letters."""
    found = []
    for match in _EMAIL.finditer(text):
        name, _, domain = match.group().rpartition("@")
        found.append(Span(match.start(), match.end(), f"{name}@{domain.lower()}"))
    return found


def synonym_key(text: str) -> str:
    """Under what a synonym is kept: case-folded, with single spaces."""
    return " ".join(text.casefold().split())


def han_number(text: str) -> int | None:
    """The number that Arabic digits or Chinese numerals below ten thousand say, None for any other
    text: 24, 二十四, 一百零五."""
    if text.isascii() and text.isdigit():
        return int(text)
    total, digit = 0, None
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _UNITS:
            total += (1 if digit is None else digit) * _UNITS[character]
            digit = None
        else:
            return None
    return total + (digit or 0) if text else None


class Lookup:
    """A list of words, each with the value that it stands for.

    Of two that begin at one place the longer is found. Upper and lower case are the same. A word
    of a script with spaces is not found inside a longer word. The time grows with the text, and
    hardly with the list.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {_folded(" ".join(word.split())): value for word, value in values.items()}
        lengths: dict[str, set[int]] = {}
        for word in self._values:
            lengths.setdefault(word[:1], set()).add(len(word))
        self._lengths: dict[str, Sequence[int]] = {
            first: sorted(those, reverse=True) for first, those in lengths.items() if first
        }

    def spans(self, text: str) -> list[Span]:
        """All words in the text, none over another."""
        return list(self._found(_folded(text)))

    def _found(self, text: str) -> Iterator[Span]:
        position = 0
        while position < len(text):
            end = self._end(text, position)
            if end is None:
                position += 1
            else:
                yield Span(position, end, self._values[text[position:end]])
                position = end

    def _end(self, text: str, start: int) -> int | None:
        if start and _is_inside(text, start):
            return None
        for length in self._lengths.get(text[start], ()):
            end = start + length
            if end > len(text) or text[start:end] not in self._values:
                continue
            if end == len(text) or not _is_inside(text, end):
                return end
        return None


def _is_inside(text: str, position: int) -> bool:
    """Whether a place lies between two characters of one word."""
    return _of_word(text[position - 1]) and _of_word(text[position])


def _of_word(character: str) -> bool:
    # Beside 订 or 한 a word may begin without a space.
    return (character.isalnum() or character == "_") and character < "\u2e80"


def _folded(text: str) -> str:
    # Places in it must be places in the text, so what would become two letters stays.
    return "".join(f if len(f := c.casefold()) == 1 else c for c in text)
