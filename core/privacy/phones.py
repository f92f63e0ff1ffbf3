"""Where does a text hold a phone number?

phonenumbers knows each country's number plan. A number with `+` or `00` says which plan; any other
is tried in the plans of `REGIONS`, and since ten bare digits are valid somewhere, it counts only
beside a word such as "call", or in the grouping its country writes, or with the leading 0 or 1 of a
mobile. A word such as "order" before it rules it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from core.privacy.plain import ENDS, STARTS, Span, covered, cue_after, cue_before

REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "BR", "IN", "CN")

_CHINESE_MOBILE = re.compile(
    rf"{STARTS}(?:(?:\+ ?|00)86[ -]?)?1[3-9]\d([ -]?)\d{{4}}\1\d{{4}}{ENDS}", re.ASCII
)
_RUN = re.compile(rf"{STARTS}(?<![=@])(?:\+ ?)?\(?\d[\d ().\-/+]{{5,46}}\d{ENDS}", re.ASCII)
# Also a date with a time behind it; with spaces between its parts a number may be anything.
_DATE = re.compile(
    r"(?<!\d)(?<!\d[-/.])(?:(?:19|20)\d\d([-/.])[01]?\d\1[0-3]?\d"
    r"|[0-3]?\d([-/.])[0-3]?\d\2(?:19|20)?\d\d)(?!\d)(?![-/.]\d)",
    re.ASCII,
)
_MONEY = r"usd|eur|gbp|cny|rmb|yen|pln|brl|inr|chf"
_MONEY_BEFORE = re.compile(rf"(?:[$€£¥₹]|\b(?:{_MONEY})) ?$", re.IGNORECASE)
_MONEY_AFTER = re.compile(
    rf" ?(?:[.,]\d|[$€£¥₹%元块円]|(?:{_MONEY}|zł|kr)(?![a-z]))", re.IGNORECASE
)


# Runs of a text that may turn out to be no phone number before the number plans are no longer
# asked: no message has so many, and each costs milliseconds.
_PATIENCE = 20


def phones(plain: str) -> Iterator[Span]:
    """Phone numbers. In a text with more than 20 runs of digits that are none, a further run counts
    when it has a phone number's count of digits and `+` or a word such as "call" before it."""
    mobiles = [m.span() for m in _CHINESE_MOBILE.finditer(plain) if not _is_order(plain, m.start())]
    yield from mobiles
    left = _DATE.sub(lambda date: "|" * len(date.group()), covered(plain, mobiles))
    failed = 0
    for match in _RUN.finditer(left):
        asked = _plans_to_ask(left, match)
        if asked is None:
            continue
        if failed >= _PATIENCE:
            found = _by_length(match.group()) if asked != _BY_GROUPING else ()
        else:
            found = _matches(match.group(), *asked)
            failed += _length(found) < len(match.group())
        for start, end in found:
            yield match.start() + start, match.start() + end


# Number plans, and whether the digits must be grouped as they are written there.
_Plans = tuple[Sequence[str], bool]
_INTERNATIONAL: _Plans = (("GB",), False)
_BESIDE_A_WORD: _Plans = (REGIONS, False)
_BY_LEADING_ZERO: _Plans = (("GB", "DE", "FR", "IT", "NL", "CN"), False)
_BY_GROUPING: _Plans = (REGIONS, True)


def _plans_to_ask(plain: str, match: re.Match[str]) -> _Plans | None:
    """Which plans may say that a run of digits and separators is a number; None: it is none."""
    run = match.group()
    if run.startswith(("+", "(+", "00")):
        return _INTERNATIONAL
    cue = cue_before(plain, match.start()) or cue_after(plain, match.end())
    if cue == "order" or _is_money(plain, match.span()):
        return None
    if cue == "phone":
        return _BESIDE_A_WORD
    if run.isdigit():
        return _BY_LEADING_ZERO if run.startswith("0") else None
    return None if any(map(_is_range, run.split())) else _BY_GROUPING


def _is_range(word: str) -> bool:
    """`69980-69990`, `.738-.739`: from a price, a page or a year up to another of that form."""
    low, _, high = (part.strip(".") for part in word.partition("-"))
    return len(low) == len(high) and low < high and not {*word} & {*"()/+"}


def _is_order(plain: str, start: int) -> bool:
    return cue_before(plain, start) == "order"


def _is_money(plain: str, span: Span) -> bool:
    before = plain[max(0, span[0] - 4) : span[0]]
    return bool(_MONEY_BEFORE.search(before) or _MONEY_AFTER.match(plain, span[1]))


def _matches(run: str, regions: Sequence[str], strict: bool) -> Sequence[Span]:
    """What the number plan that accounts for most of `run` finds in it.

    `strict`: the digits must also be grouped as that country writes them.
    """
    from phonenumbers import Leniency, PhoneNumberMatcher

    leniency = Leniency.STRICT_GROUPING if strict else Leniency.VALID
    best: Sequence[Span] = ()
    for region in regions:
        found = [(m.start, m.end) for m in PhoneNumberMatcher(run, region, leniency=leniency)]
        if _length(found) > _length(best):
            best = found
        if _length(best) == len(run):
            break
    return best


def _by_length(run: str) -> Sequence[Span]:
    """The run as a whole where its count of digits is that of phone numbers (ITU-T E.164)."""
    return ((0, len(run)),) if 8 <= sum(c.isdigit() for c in run) <= 15 else ()


def _length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)
