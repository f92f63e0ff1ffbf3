"""Which companies does a text name, and where?

One pass over the text: at each word (or Chinese sign) the longest name that begins there is taken,
among the names of all companies and the phrases that hold one and mean something else (`not_in`,
company_words.yaml). Then:

- a name in Latin letters counts in its own spelling or in capitals; one of five letters and more
  that is no ordinary word in any spelling;
- a name that is an ordinary word too (Apple, Gap; also 苹果, 大众, and what is left of Gap Inc. or
  三星电子 without its end) needs a capital inside of a sentence that is not written in capitals
  throughout, or a second sign: Inc. behind it, a possessive, a verb that only firms are the subject
  of, "shares of" in front, another company joined to it, the full name elsewhere;
- a symbol counts as $ALL, NYSE: ALL, ALL.N or 0700.HK at its own exchange; by itself only in
  capitals, from three letters on, where it is no word; of three letters with a second sign.

Full-width and traditional characters are read as plain and simplified ones. Spans are those of
`core.text.normalize(text)`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from core.text import normalize
from services.finance_sentiment.companies import Company, read_companies
from services.finance_sentiment.company_signs import (
    Signs,
    Style,
    capital_tells,
    latin,
    other_name,
)

_RAW = Path(__file__).with_name("company_words.yaml").read_text(encoding="utf-8")
_WORDS: dict[str, Any] = yaml.safe_load(_RAW)
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_START = re.compile(rf"[^\W_{_CJK}]+|[{_CJK}]")
_FORM = r"(?:Inc|Corp|Corporation|plc|PLC|Plc|AG|SE|Ltd|Limited|Company|Co|LLC|Group|Holdings)"
# What may stand behind a name and belongs to it.
_LEGAL = re.compile(rf"(?:,? (?:& )?{_FORM}\b\.?)+")
_LEGAL_END = re.compile(rf"(?:,? (?:& )?{_FORM}\.?)+$")
_CHINESE_END = re.compile(r"(?<=..)(?:公司|集团|汽车|科技|电子|控股)$")
_SYMBOL = r"(?P<symbol>[A-Z]{1,6}(?:[.-][A-Z])?|\d{3,6})"
_SIDES = {
    side: where for where, sides in _WORDS["exchanges"].items() for side in str(sides).split()
}
_FRONTS = "|".join(sorted((s for s in _SIDES if len(s) > 2), key=len, reverse=True))
_BACKS = "|".join(sorted((s for s in _SIDES if len(s) < 4), key=len, reverse=True))
_MARKED = re.compile(
    rf"\$(?P<dollar>[A-Z]{{1,6}}(?:[.-][A-Z])?)(?![\w.]*\w)"
    rf"|\b(?P<front>{_FRONTS}) ?: ?{_SYMBOL}(?!\w)"
    rf"|(?<![\w.]){_SYMBOL.replace('symbol', 'before')}[.](?P<back>{_BACKS})(?![\w.]*\w)",
    re.ASCII,
)
# NYSE and Nasdaq are one place: companies move between them.
_PLACES = {"NYSE": "US", "NASDAQ": "US", "AMEX": "US", "LSE": "GB"}
_TRADITIONAL = str.maketrans(
    "".join(str(_WORDS["traditional"]).split()), "".join(str(_WORDS["simplified"]).split())
)
_ORDINARY = frozenset(str(_WORDS["ordinary"]).split()) | {"best buy"}
_ORDINARY_SYMBOLS = frozenset(str(_WORDS["ordinary_symbols"]).split())
_ORDINARY_CHINESE = frozenset(str(_WORDS["ordinary_chinese"]).split())
_ANY_SPELLING_FROM = 5
# Letters of a symbol that needs no second sign.
_ALONE_FROM = 4

# sure: counts where it stands · word: needs a sign · symbol: a ticker by itself · decoy: no company
Kind = Literal["sure", "word", "symbol", "decoy"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A company and where the normalised text names it."""

    company: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Name:
    form: str
    folded: str
    kind: Kind
    company: int


@dataclass(frozen=True, slots=True)
class _Found:
    name: _Name
    start: int
    end: int


class CompanyLinker:
    """The names of a list of companies, ready to be found. Safe to call from several threads."""

    def __init__(self, companies: Sequence[Company]) -> None:
        self.companies = tuple(companies)
        self.version = _version(self.companies)
        self._signs = Signs.of(_WORDS)
        self._names: dict[str, list[_Name]] = defaultdict(list)
        for folded, name in _all_names(self.companies).items():
            self._names[_key(folded)].append(name)
        for names in self._names.values():
            names.sort(key=lambda name: -len(name.form))
        self._symbols: dict[str, list[int]] = defaultdict(list)
        for number, company in enumerate(self.companies):
            if company.ticker:
                self._symbols[company.ticker.rstrip(".").lstrip("0")].append(number)

    def link(self, text: str) -> list[Mention]:
        """Every mention, in the order of the text; spans in `normalize(text)`."""
        text = normalize(text)
        folded = fold(text)
        marked = list(self._marked(text))
        found = sorted([*marked, *self._scan(text, folded, marked)], key=lambda one: one.start)
        if not found:
            return []
        found = [replace(one, end=_with_legal(text, one)) for one in found]
        style = Style.of(text)
        known = {one.name.company for one in found if one.name.kind == "sure"}
        sure = [
            one.name.company in known or self._stands(text, folded, found, at, style)
            for at, one in enumerate(found)
        ]
        return [
            Mention(self.companies[one.name.company].name, one.start, one.end)
            for one, counts in zip(found, sure, strict=True)
            if counts
        ]

    def named(self, text: str) -> tuple[str, ...]:
        """The companies of a text, each once, in the order of their first mention."""
        return tuple(dict.fromkeys(mention.company for mention in self.link(text)))

    # --- names ---------------------------------------------------------------------------------

    def _scan(self, text: str, folded: str, marked: Sequence[_Found]) -> Iterator[_Found]:
        busy = 0
        taken = bytearray(len(text))
        for one in marked:
            taken[one.start : one.end] = b"x" * (one.end - one.start)
        for start in _START.finditer(folded):
            at = start.start()
            if at < busy or taken[at]:
                continue
            for name in self._names.get(start.group(), ()):
                end = at + len(name.form)
                if _fits(text, folded, name, at, end):
                    busy = end
                    if name.kind != "decoy":
                        yield _Found(name, at, end)
                    break

    def _stands(
        self, text: str, folded: str, found: Sequence[_Found], at: int, style: Style
    ) -> bool:
        """Whether a name that is a word, or a symbol by itself, means the company here."""
        one = found[at]
        before = found[at - 1].end if at else None
        after = found[at + 1].start if at + 1 < len(found) else None
        joined = self._signs.joined(text, one.start, one.end, before, after)
        if not latin(folded[one.start]):
            return joined or self._signs.around_chinese(folded, one.start, one.end)
        sign = joined or self._signs.around(text, one.start, one.end)
        if one.name.kind == "symbol":
            alone = len(one.name.form) >= _ALONE_FROM
            return (sign or alone) and not style.capitals
        if not style.capitals and one.name.form.isupper():
            # UPS is no "ups" where small letters are in use.
            return True
        follows = after == one.end + 1
        if other_name(text, one.start, one.end, self._signs, style, follows=follows):
            return False
        return sign or capital_tells(text, one.start, one.end, style)

    # --- symbols -------------------------------------------------------------------------------

    def _marked(self, text: str) -> Iterator[_Found]:
        """Symbols in a form that stands for nothing else."""
        for match in _MARKED.finditer(text):
            symbol = match["dollar"] or match["symbol"] or match["before"]
            side = match["front"] or match["back"]
            place = _SIDES[side] if side else None
            company = self._listed(symbol, place)
            if company is not None:
                yield _Found(_Name("", "", "sure", company), match.start(), match.end())

    def _listed(self, symbol: str, place: str | None) -> int | None:
        there = self._symbols.get(symbol.lstrip("0"), [])
        places = [_place(self.companies[number]) for number in there]
        known = set(_SIDES.values())
        fitting = [
            number
            for number, listed in zip(there, places, strict=True)
            if place is None or listed == place or listed not in known
        ]
        if place is None and len(fitting) > 1:
            fitting = [n for n, listed in zip(there, places, strict=True) if listed == "US"]
        return fitting[0] if len(fitting) == 1 else None


def linker_of(path: Path | None) -> CompanyLinker | None:
    """The linker of a list; None where none is set. DataError where it cannot be read."""
    return None if path is None else CompanyLinker(read_companies(path))


def fold(text: str) -> str:
    """The text with small letters, plain apostrophes and simplified characters, sign by sign: as
    long as before."""
    small = "".join(s if len(low := s.lower()) != 1 else low for s in text)
    return small.replace("’", "'").translate(_TRADITIONAL)


def _version(companies: Iterable[Company]) -> str:
    """Changes with the list and with the words that links depend on."""
    said = "\n".join(repr({**asdict(company), "line": 0}) for company in companies)
    return hashlib.sha256(f"{said}\n{_RAW}".encode()).hexdigest()[:12]


def _place(company: Company) -> str:
    return _PLACES.get(company.exchange, company.exchange)


def _key(folded: str) -> str:
    start = _START.search(folded)
    return start.group() if start else ""


def _all_names(companies: Sequence[Company]) -> dict[str, _Name]:
    """Folded name → what it is. What is said outright goes before what is derived; what two
    companies would share stands for neither."""
    said: dict[str, _Name] = {}
    for phrase in [*_WORDS["not_companies"], *(p for c in companies for p in c.not_in)]:
        said[fold(phrase)] = _Name(phrase, fold(phrase), "decoy", -1)
    derived: dict[str, list[_Name]] = defaultdict(list)
    for number, company in enumerate(companies):
        for form in company.names:
            word = company.word_name and form == company.name
            kind: Kind = "word" if word or _is_word(form) else "sure"
            said[fold(form)] = _Name(form, fold(form), kind, number)
            short = _CHINESE_END.sub("", _LEGAL_END.sub("", form))
            if short != form and len(short) > 1:
                plain: Kind = "sure" if " " in short and not _is_word(short) else "word"
                derived[fold(short)].append(_Name(short, fold(short), plain, number))
        if _alone(company):
            symbol = _Name(company.ticker, fold(company.ticker), "symbol", number)
            derived[symbol.folded].append(symbol)
    for folded, names in derived.items():
        if folded not in said and len({name.company for name in names}) == 1:
            said[folded] = names[0]
    return {folded: name for folded, name in said.items() if _key(folded)}


def _is_word(form: str) -> bool:
    return fold(form) in _ORDINARY or fold(form) in _ORDINARY_CHINESE


def _alone(company: Company) -> bool:
    """Whether its ticker may count without a mark."""
    ticker = company.ticker
    return (
        len(ticker) >= 3
        and ticker.isalpha()
        and not company.word_ticker
        and ticker not in _ORDINARY_SYMBOLS
    )


def _fits(text: str, folded: str, name: _Name, start: int, end: int) -> bool:
    """Whether the name stands here in a spelling that counts, as whole words."""
    if not folded.startswith(name.folded, start):
        return False
    last = folded[end - 1]
    following = folded[end : end + 1]
    if latin(last) and following and latin(following):
        return False
    if following == "." and latin(folded[end + 1 : end + 2] or " "):
        # A host or an address, no name: apple.com
        return False
    if name.kind == "decoy" or not latin(folded[start]):
        # 银行业 is the trade, whichever bank's name it seems to begin with.
        return name.kind == "decoy" or not (name.form.endswith("银行") and following == "业")
    slice_ = text[start:end].replace("’", "'")
    if slice_ == name.form or slice_ == name.form.upper():
        return True
    return name.kind == "sure" and not _is_word(name.form) and len(name.form) >= _ANY_SPELLING_FROM


def _with_legal(text: str, one: _Found) -> int:
    match = _LEGAL.match(text, one.end)
    return match.end() if match and latin(text[one.end - 1]) else one.end
