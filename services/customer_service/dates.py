"""Which days does a message name?

Pure: the clock is passed in. 2026-12-24, 24.12.2026, 12/24/2026 (by language), 24 December,
2026年12月24日, 十二月二十四日, tomorrow, in 3 days, next friday, 下周五, 三天后. The value is
ISO 8601.

A week runs from Monday to Sunday. "friday" is the next one to come; "next friday", as 下周五, the
one of the next week. A date without a year is the next such day, or the latest where the slot is
about the past.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Final

from services.customer_service.slots import NUMERAL, Moment, Span, han_number

# What a date may be: an order of another century is a typing error.
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2100
_DAYS_OF_WEEK: Final = 7
# 29 February comes after eight years at the latest (1896, 1904).
_LEAP_WAIT: Final = 8
_MOST_DAYS: Final = 3660

_MONTH_NAMES: Final = (
    "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug"
    "|september sept sep|october oct|november nov|december dec"
)
_DAY_NAMES: Final = (
    "monday mon|tuesday tues tue|wednesday wed|thursday thurs thu|friday fri"
    "|saturday sat|sunday sun"
)
_MONTHS: Final = {
    name: number
    for number, names in enumerate(_MONTH_NAMES.split("|"), start=1)
    for name in names.split()
}
_WEEKDAYS: Final = {
    name: number for number, names in enumerate(_DAY_NAMES.split("|")) for name in names.split()
}
_HAN_WEEKDAYS: Final = {c: n for n, c in enumerate("一二三四五六日")} | {"天": 6}
_DAY_WORDS: Final = {
    "the day after tomorrow": 2,
    "day after tomorrow": 2,
    "the day before yesterday": -2,
    "day before yesterday": -2,
    "today": 0,
    "tonight": 0,
    "tomorrow": 1,
    "yesterday": -1,
    "大后天": 3,
    "大前天": -3,
    "后天": 2,
    "前天": -2,
    "今天": 0,
    "今日": 0,
    "今晚": 0,
    "明天": 1,
    "明日": 1,
    "明晚": 1,
    "昨天": -1,
    "昨日": -1,
}
_SMALL: Final = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10}

_START, _END = r"(?<![A-Za-z0-9_/.-])", r"(?![A-Za-z0-9_/-]|\.\d)"
_MONTH_NAME = "|".join(sorted(_MONTHS, key=len, reverse=True))
_FULL_DAY = "|".join(name for name in _WEEKDAYS if name.endswith("day"))
_ANY_DAY = "|".join(sorted(_WEEKDAYS, key=len, reverse=True))
_HAN_COUNT = rf"(?P<count>\d{{1,3}}|{NUMERAL}{{1,3}})"

_Handler = Callable[[re.Match[str], Moment | None, bool], date | None]


def date_spans(text: str, moment: Moment | None, *, past: bool = False) -> list[Span]:
    """The days named. Without a `moment` only those that need no clock, and 12/11 is December."""
    found: list[Span] = []
    for pattern, read in _FORMS:
        for match in pattern.finditer(text):
            day = read(match, moment, past)
            if day is not None and _FIRST_YEAR <= day.year <= _LAST_YEAR:
                found.append(Span(match.start(), match.end(), day.isoformat()))
    return _apart(found)


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Of those that overlap, the one that begins first, and of these the longest."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _written(match: re.Match[str], moment: Moment | None, past: bool) -> date | None:
    """Day and month, with or without a year."""
    given = match.groupdict()
    name = given.get("name")
    month = _MONTHS[name.lower()] if name else han_number(given["month"])
    day = han_number(given["day"])
    if month is None or day is None:
        return None
    if given["year"]:
        return _day(_full_year(given["year"]), month, day)
    return None if moment is None else _nearest(moment.today, month, day, past)


def _slashed(match: re.Match[str], moment: Moment | None, past: bool) -> date | None:
    """Which of both is the month depends on the language; what is above 12 is none."""
    first, second, year = int(match["a"]), int(match["b"]), _full_year(match["year"])
    pairs = [(first, second), (second, first)]
    if moment is not None and not moment.month_first:
        pairs.reverse()
    days = (_day(year, month, day) for month, day in pairs)
    return next((day for day in days if day is not None), None)


def _full_year(text: str) -> int:
    return int(text) + (2000 if len(text) == 2 else 0)


def _nearest(today: date, month: int, day: int, past: bool) -> date | None:
    step = -1 if past else 1
    for distance in range(_LEAP_WAIT + 1):
        found = _day(today.year + step * distance, month, day)
        if found is not None and (found <= today if past else found >= today):
            return found
    return None


def _word(match: re.Match[str], moment: Moment | None, past: bool) -> date | None:
    return None if moment is None else _shifted(moment, _DAY_WORDS[match.group().lower()])


def _counted(match: re.Match[str], moment: Moment | None, past: bool) -> date | None:
    """In 3 days, two weeks ago, 三天后."""
    word = match["count"].lower()
    count = _SMALL.get(word) or han_number(word)
    if moment is None or count is None:
        return None
    days = count * (_DAYS_OF_WEEK if match["unit"].lower() in _WEEKS else 1)
    return _shifted(moment, -days if match["way"].lower() in _BACK else days)


_WEEKS: Final = frozenset({"week", "weeks", "周", "星期", "礼拜"})
_BACK: Final = frozenset({"ago", "前", "以前", "之前"})


def _shifted(moment: Moment, days: int) -> date | None:
    return moment.today + timedelta(days=days) if abs(days) <= _MOST_DAYS else None


def _weekday(match: re.Match[str], moment: Moment | None, past: bool) -> date | None:
    if moment is None:
        return None
    name, which = match["day"].lower(), (match["which"] or "").lower()
    wanted = _WEEKDAYS.get(name, _HAN_WEEKDAYS.get(name, 0))
    today = moment.today
    monday = today - timedelta(days=today.weekday())
    weeks = _WEEKS_AWAY.get(which)
    if weeks is not None:
        return monday + timedelta(days=wanted + _DAYS_OF_WEEK * weeks)
    ahead = (wanted - today.weekday()) % _DAYS_OF_WEEK
    if which == "this":
        return today + timedelta(days=ahead)
    if which == "last" or (past and not which):
        return today + timedelta(days=ahead - _DAYS_OF_WEEK)
    return today + timedelta(days=ahead or _DAYS_OF_WEEK)


_WEEKS_AWAY: Final = {"next": 1, "下": 1, "下下": 2, "这": 0, "本": 0, "上": -1, "上上": -2}


def _form(pattern: str, read: _Handler) -> tuple[re.Pattern[str], _Handler]:
    return re.compile(pattern, re.IGNORECASE), read


_YEAR = r"(?P<year>\d{4}|\d{2})"
_FORMS: Final = (
    _form(
        rf"{_START}(?P<year>[12]\d{{3}})(?P<sep>[-/.])(?P<month>\d{{1,2}})(?P=sep)(?P<day>\d{{1,2}})"
        rf"{_END}",
        _written,
    ),
    _form(
        rf"{_START}(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.(?:\s?{_YEAR}(?!\d)|(?!\s?\d)){_END}",
        _written,
    ),
    _form(
        rf"{_START}(?P<a>\d{{1,2}})(?P<sep>[-/])(?P<b>\d{{1,2}})(?P=sep){_YEAR}{_END}",
        _slashed,
    ),
    _form(
        rf"{_START}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s?(?:of\s)?(?P<name>{_MONTH_NAME})\b"
        rf"(?:[.,]{{0,2}}\s(?P<year>\d{{4}})(?!\d))?",
        _written,
    ),
    _form(
        rf"{_START}(?P<name>{_MONTH_NAME})\.?\s(?:the\s)?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
        rf"(?:,?\s(?P<year>[12]\d{{3}}))?{_END}",
        _written,
    ),
    _form(
        rf"(?<![\d零〇一二两三四五六七八九十])(?:(?P<year>\d{{4}})年)?(?P<month>\d{{1,2}}|{NUMERAL}{{1,3}})月"
        rf"(?P<day>\d{{1,2}}|{NUMERAL}{{1,3}})[日号]",
        _written,
    ),
    _form(
        "|".join(
            rf"\b{word}\b" if word.isascii() else word
            for word in sorted(_DAY_WORDS, key=len, reverse=True)
        ),
        _word,
    ),
    _form(
        rf"\bin (?P<count>\d{{1,3}}|{'|'.join(_SMALL)}) (?P<unit>days?|weeks?)\b(?P<way>)",
        _counted,
    ),
    _form(
        rf"\b(?P<count>\d{{1,3}}|{'|'.join(_SMALL)}) (?P<unit>days?|weeks?) "
        r"(?P<way>ago|from now)\b",
        _counted,
    ),
    _form(
        rf"(?<!\d){_HAN_COUNT}\s?个?(?P<unit>天|日|周|星期|礼拜)(?P<way>之后|以后|后|以前|之前|前)",
        _counted,
    ),
    _form(rf"\b(?:(?P<which>next|this|last)\s|(?:on|coming)\s)(?P<day>{_ANY_DAY})\b", _weekday),
    _form(rf"\b(?P<which>)(?P<day>{_FULL_DAY})\b", _weekday),
    _form(
        r"(?<![\d一二两三四五六七八九十几每])(?P<which>下下|下|这|本|上上|上)?个?(?:周|星期|礼拜)"
        r"(?P<day>[一二三四五六日天])",
        _weekday,
    ),
)
