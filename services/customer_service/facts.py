"""Which facts does a sentence state that must not be made up: numbers, names, links, negation?

Pure, English and Chinese. Facts are found by form alone, so that what a model invents is seen
whatever it is about; two texts agree where the forms of one stand in the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from core.text import word_tokens

# (value, unit); the unit is "" where none is known.
Amount = tuple[str, str]

_UNITS: Final[Mapping[str, Sequence[str]]] = {
    "EUR": ("€", "eur", "euro", "euros", "欧元"),
    "USD": ("$", "usd", "dollar", "dollars", "美元"),
    "GBP": ("£", "gbp", "pound", "pounds", "英镑"),
    "CNY": ("¥", "cny", "rmb", "yuan", "元", "人民币", "块"),
    "%": ("%", "percent", "cent", "百分之"),
    "minute": ("minute", "minutes", "min", "分钟"),
    "hour": ("hour", "hours", "h", "小时"),
    "day": ("day", "days", "天", "日", "工作日", "自然日"),
    "week": ("week", "weeks", "周", "星期"),
    "month": ("month", "months", "个月", "月"),
    "year": ("year", "years", "年"),
    "gram": ("g", "gram", "grams", "克"),
    "kilogram": ("kg", "kilo", "kilos", "kilogram", "kilograms", "公斤", "千克"),
    "metre": ("m", "metre", "metres", "meter", "meters", "米"),
    "centimetre": ("cm", "centimetre", "centimetres", "厘米"),
    "kilometre": ("km", "kilometre", "kilometres", "公里"),
    "degree": ("°", "degree", "degrees", "度"),
}
_UNIT_OF: Final = {form: unit for unit, forms in _UNITS.items() for form in forms}
_BEFORE: Final = frozenset({"EUR", "USD", "GBP", "CNY", "%"})
_SMALL: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_ROUND: Final = "thirty forty fifty sixty seventy eighty ninety"
_WORDS: Final = {
    **{word: str(value) for value, word in enumerate(_SMALL.split())},
    **{word: str(10 * value) for value, word in enumerate(_ROUND.split(), 3)},
}
_WORDS_ABOVE: Final = {"hundred": "100", "thousand": "1000", "million": "1000000"}
_DIGITS: Final = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS: Final = {"十": 10, "百": 100, "千": 1000}
_CHINESE_NUMBER: Final = "[零〇一二两三四五六七八九十百千万]+"
_CHINESE_UNITS: Final = "|".join(
    sorted((f for f in _UNIT_OF if not f.isascii() and f.isalpha()), key=len, reverse=True)
)
_TOKEN: Final = re.compile(
    rf"\d+(?:[.,]\d+)*|[A-Za-z]+|[€$£¥%°]|{_CHINESE_UNITS}|{_CHINESE_NUMBER}|[\u4e00-\u9fff]"
)
# "30 calendar days", "2 to 4 working days": so many words may stand between a number and its unit.
_REACH: Final = 3
_PAUSE: Final = re.compile(r"[.;:!?()。；：！？（）]")

_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_LINK: Final = re.compile(
    r"(?:[a-z][a-z+.-]{1,20}:)?//[^\s<>\"')\]，。；）]+|www\.[^\s<>\"')\]，。；）]+"
    r"|(?<![\w@.])(?:[a-z0-9-]{1,63}\.){1,6}[a-z]{2,24}(?![\w@])(?:/[^\s<>\"')\]，。；）]*)?",
    re.IGNORECASE | re.ASCII,
)
_MARKUP: Final = re.compile(r"<[a-z/!]|!\[|javascript:|data:[a-z]+/", re.IGNORECASE)
_NAME: Final = re.compile(r"[A-Za-z0-9]+(?:['’+._/-][A-Za-z0-9]+)*", re.ASCII)
_MONTHS: Final = (
    "january february march april may june july august september october november december"
)
_WEEK: Final = "monday tuesday wednesday thursday friday saturday sunday"
# "march" and "may" are words too: those count with a capital letter alone.
_CALENDAR: Final = frozenset({*_MONTHS.split(), *_WEEK.split()} - {"march", "may"})
_NO_NAMES: Final = frozenset({"i", "i'm", "i’m", "i'll", "i’ll", "i've", "i’ve", "ok"})

_NOT: Final = re.compile(
    r"\b(?:not|no|never|none|nor|neither|nothing|nobody|nowhere|cannot|without|hardly|unable|"
    r"refuse[sd]?|unless|except|exclud(?:e[sd]?|ing))\b|n['’]t\b",
    re.IGNORECASE,
)
# Without the words that hold such a sign and deny nothing.
_CHINESE_NOT: Final = re.compile(
    r"不(?!仅|但|过|同|断|久|管|论|妨|错)|没|无(?!线|论|人机)|未(?!来)|勿|别(?!人|的|处)|非(?!常|洲)|除外"
)
# Signs part clauses; the words that begin one stay with it.
_CLAUSE: Final = re.compile(
    r"[,;:()，；：（）、]|\s[–—-]\s"
    r"|\s(?=(?:but|however|although|while|whereas|because|if|unless|until|when|where|who|which|that)"
    r"\b)|(?=但|而且|不过|虽然|因为|如果|除非)",
    re.IGNORECASE,
)


def amounts(text: str) -> set[Amount]:
    """Every number with its unit, and once more with "" for a unit.

    "two weeks", "14 days", "€1,000", "百分之八". A small number word without a unit ("one of
    them") is none.
    """
    found: set[Amount] = set()
    for part in _PAUSE.split(_decimal_safe(unicodedata.normalize("NFKC", text))):
        tokens = _TOKEN.findall(part.lower())
        for place, token in enumerate(tokens):
            value = _value(token)
            if value is None:
                continue
            unit = _unit(tokens, place)
            # "one of them" counts nothing, nor does 一 in 一下.
            if unit or (token.isascii() and token not in ("one", "zero")):
                found |= {(value, ""), (value, unit)}
    return found


def _decimal_safe(text: str) -> str:
    """A decimal point is no pause, nor is the colon of a time; a time's halves are two numbers."""
    text = re.sub(r"(?<=\d):(?=\d)", " ", text)
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text)


def _value(token: str) -> str | None:
    """Numbers in one form; None for what is no number."""
    if token[0].isdigit() and token[0].isascii():
        whole = re.fullmatch(r"\d{1,3}(?:,\d{3})+", token)
        return token.replace(",", "") if whole else token.rstrip(",")
    if token in _WORDS or token in _WORDS_ABOVE:
        return _WORDS.get(token) or _WORDS_ABOVE[token]
    return str(_chinese(token)) if re.fullmatch(_CHINESE_NUMBER, token) else None


def _chinese(numeral: str) -> int:
    """三十 → 30, 一千二百 → 1200, 两万 → 20000."""
    total = section = digit = 0
    for sign in numeral:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign == "万":
            total, section, digit = (section + digit or 1) * 10_000, 0, 0
        else:
            section, digit = section + (digit or 1) * _TENS[sign], 0
    return total + section + digit


def _unit(tokens: Sequence[str], place: int) -> str:
    """The unit of the number at `place`: right before it (€30), or soon after it."""
    if place and _UNIT_OF.get(tokens[place - 1]) in _BEFORE:
        return _UNIT_OF[tokens[place - 1]]
    for token in tokens[place + 1 : place + 1 + _REACH]:
        if token in _UNIT_OF:
            return _UNIT_OF[token]
    return ""


def names(sentence: str, *, all_words: bool = False) -> set[str]:
    """Words that look like names, case-folded: a capital letter that no sentence's start explains,
    a digit among letters, a month, a day of the week. `all_words`: every word, to look them up in.
    """
    found: set[str] = set()
    text = _EMAIL.sub(" ", unicodedata.normalize("NFKC", sentence))
    for number, match in enumerate(_NAME.finditer(text)):
        word = match.group()
        folded = word.casefold()
        named = (
            any(c.isupper() for c in word[1:])
            or (number > 0 and word[0].isupper() and not _starts(text, match.start()))
            or (any(c.isdigit() for c in word) and any(c.isalpha() for c in word))
            or folded in _CALENDAR
        )
        if all_words or (named and folded not in _NO_NAMES):
            found |= set(_parts(folded))
    return found


def _parts(word: str) -> Iterator[str]:
    """A compound's parts, as singular: "USB-C" is usb and c, so that it is found in "USB C"."""
    for part in re.split(r"['’+._/-]", word):
        if part:
            yield part[:-1] if len(part) > 2 and part.endswith("s") else part


def _starts(text: str, place: int) -> bool:
    """Whether a quotation or a sentence begins there."""
    before = text[:place].rstrip(" \"'“‘(")
    return not before or before[-1] in ".!?:;。！？："


def emails(text: str) -> set[str]:
    """E-mail addresses, case-folded."""
    return {match.casefold() for match in _EMAIL.findall(text)}


def links(text: str) -> set[str]:
    """Web addresses, with a scheme or without, as they stand there."""
    return {match.rstrip(".,;:!?") for match in _LINK.findall(_EMAIL.sub(" ", text))}


def has_markup(text: str) -> bool:
    """Whether it holds HTML, an image, or an address that runs code."""
    return _MARKUP.search(text) is not None


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which links may be given: those of the sources, and those that an article names below a
    source's own host."""

    addresses: frozenset[str]
    hosts: frozenset[str]
    text: str

    @classmethod
    def of(cls, urls: Sequence[str], text: str) -> Allowed:
        """From the addresses of the sources, and the text of the passages."""
        hosts = {_host(url) for url in urls}
        return cls(frozenset(map(_bare, urls)), frozenset(hosts - {""}), text.casefold())

    def allows(self, link: str) -> bool:
        """Whether this link may be given."""
        if _bare(link) in self.addresses:
            return True
        return _host(link) in self.hosts and link.casefold() in self.text


def _bare(url: str) -> str:
    return re.sub(r"^(?:https?:)?//(?:www\.)?", "", url.casefold()).rstrip("/")


def _host(url: str) -> str:
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.")


def denials(text: str) -> int:
    """How many words in it deny something."""
    return len(_NOT.findall(text)) + len(_CHINESE_NOT.findall(text))


_CONTRACTED: Final = re.compile(r"n['’]t\b", re.IGNORECASE)
_CAN_NOT: Final = re.compile(r"\bcan(?:['’]t|not)\b", re.IGNORECASE)
_PARTICLE: Final = re.compile(r"\b(?:not|no|never)\b", re.IGNORECASE)
_NUMBER: Final = re.compile(
    rf"\d+(?:[.,]\d+)*|\b(?:{'|'.join([*_WORDS, *_WORDS_ABOVE])})\b"
    rf"|百分之{_CHINESE_NUMBER}|{_CHINESE_NUMBER}(?=个?(?:{_CHINESE_UNITS}))",
    re.IGNORECASE,
)


def wording(text: str) -> str:
    """The text without what is judged for itself: numbers, links, addresses, and "not"."""
    text = unicodedata.normalize("NFKC", text)
    text = _CONTRACTED.sub("", _CAN_NOT.sub("can", text))
    for form in (_EMAIL, _LINK, _NUMBER, _PARTICLE):
        text = form.sub(" ", text)
    return _CHINESE_NOT.sub("", text)


def clauses(sentence: str) -> list[str]:
    """The sentence in parts that are denied each for itself; parts of one word go with the next."""
    found: list[str] = []
    held = ""
    for part in _CLAUSE.split(sentence):
        held = f"{held} {part}".strip()
        if len(word_tokens(held)) >= 3:
            found.append(held)
            held = ""
    if held:
        if found:
            found[-1] = f"{found[-1]} {held}"
        else:
            found.append(held)
    return found
