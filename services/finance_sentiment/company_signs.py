"""What around a name that is an ordinary word too says that a company is meant?

Pure looks at the words in front of a name and behind it, in English and Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_BEFORE = re.compile(r"([^\W_][\w'’.]*)[ ]*$")
_AFTER = re.compile(r"[ ]*([^\W\d_][\w'’]*\.?|[+-]?\d)")
_JOINS = re.compile(
    r"\s*(?:,|/|&|、|,? and|or|vs\.?|versus|with|over|against|from|sues|buys|beats|overtakes"
    r"|和|与|與|及|跟|同|以及|对|起诉|收购|击败|超过|超越|减持|增持)\s*"
)
_SENTENCE_START = re.compile(r"(?:^|[.!?:;…。！？：；|]['\"”’)]*|[\"“‘'(\[–—-])\s*$")
_FIRST_NAME = re.compile(r"([A-Z][a-z]+) $")
_LAST_NAME = re.compile(r" ([A-Z][a-z]+)\b")
# Of the words that are long enough to be written small in a headline of capitals.
_MOSTLY = 0.7


@dataclass(frozen=True)
class Signs:
    """Words beside a name that speak for a company."""

    after: frozenset[str]
    before: frozenset[str]
    chinese_after: tuple[str, ...]
    chinese_before: tuple[str, ...]
    # Words with a capital in front of a company that are no first name of a person.
    leading: frozenset[str]
    # Words with a capital behind a company that are its own.
    products: frozenset[str]

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> Signs:
        """From the lists of company_words.yaml."""
        return cls(
            frozenset(str(words["signs_after"]).split()),
            frozenset(str(words["signs_before"]).split()),
            tuple(str(words["chinese_after"]).split()),
            tuple(str(words["chinese_before"]).split()),
            frozenset(str(words["leading"]).split()),
            frozenset(str(words["products"]).split()),
        )

    def around(self, text: str, start: int, end: int) -> bool:
        """Whether an English name has a second sign right behind or in front of it."""
        if text[end - 1] == "." or text[end : end + 2] in ("'s", "’s", "' ", "’ "):
            return True
        after = _AFTER.match(text, end)
        if after and after[1].lower() in self.after:
            return True
        before = _BEFORE.search(text[max(0, start - 40) : start])
        return before is not None and before[1].lower() in self.before

    def around_chinese(self, folded: str, start: int, end: int) -> bool:
        """The same of a Chinese one."""
        behind = folded[end : end + 4].lstrip()
        front = folded[max(0, start - 4) : start].rstrip()
        return behind.startswith(self.chinese_after) or front.endswith(self.chinese_before)

    def joined(
        self, text: str, start: int, end: int, before: int | None, after: int | None
    ) -> bool:
        """Whether it stands beside another company: "X and Y". `before`: where the one in front
        ends, `after`: where the next one begins."""
        front = before is not None and _JOINS.fullmatch(text[before:start].lower())
        return bool(front or (after is not None and _JOINS.fullmatch(text[end:after].lower())))


def latin(sign: str) -> bool:
    """Whether it is a letter or digit of a script that puts spaces between words."""
    return sign.isalnum() and not (
        "\u3040" <= sign <= "\u30ff"
        or "\u3400" <= sign <= "\u9fff"
        or "\uac00" <= sign <= "\ud7af"
        or "\uf900" <= sign <= "\ufaff"
    )


@dataclass(frozen=True, slots=True)
class Style:
    """How a text uses capitals: throughout, at most words of four letters and more, or to tell
    names; and whether it is Chinese, in which every capital tells one."""

    capitals: bool
    titled: bool
    chinese: bool

    @classmethod
    def of(cls, text: str) -> Style:
        """The style of a text."""
        letters = [sign for sign in text if sign.isupper() or sign.islower()]
        upper = sum(sign.isupper() for sign in letters)
        long = [word for word in _WORD.findall(text)[1:] if len(word) > 3 and word.isascii()]
        return cls(
            capitals=len(letters) > 6 and upper > 0.9 * len(letters),
            titled=len(long) >= 3 and sum(w[0].isupper() for w in long) >= _MOSTLY * len(long),
            chinese=sum("\u3400" <= sign <= "\u9fff" for sign in text) > 3,
        )


def capital_tells(text: str, start: int, end: int, style: Style) -> bool:
    """Whether the capital of an English name means a name: not at the start of a sentence, not in
    a headline of capitals. Inside of Chinese every capital does."""
    if style.capitals or style.titled:
        return False
    if style.chinese:
        return True
    words = list(_WORD.finditer(text, start, end))
    first = _SENTENCE_START.search(text[max(0, start - 8) : start])
    return any(word.group()[0].isupper() for word in (words[1:] if first else words))


def other_name(
    text: str, start: int, end: int, signs: Signs, style: Style, *, follows: bool
) -> bool:
    """Whether it is a part of a longer name: Harrison Ford, Ford Foundation. `follows`: what comes
    behind it is a company again."""
    if style.capitals or style.titled:
        return False
    front = _FIRST_NAME.search(text[max(0, start - 40) : start])
    if front and front[1].lower() not in signs.leading | signs.before:
        return True
    behind = _LAST_NAME.match(text, end)
    if behind is None or follows or text[end - 1] == ".":
        return False
    return behind[1].lower() not in signs.products | signs.after
