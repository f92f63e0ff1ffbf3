"""When is somebody at the desk, and how is that told to a customer?

Pure. Hours are kept as the owner writes them, on the clock of one place:

    {"timezone": "Europe/Berlin",
     "weekly": {"monday": ["09:00-12:30", "13:30-17:00"], "tuesday": ["09:00-17:00"]},
     "holidays": ["2026-12-25"], "expected_minutes": 10, "place": {"zh": "柏林"}}

A day on which the clock is changed has its own rule: the desk opens when the clock first shows the
hour of opening, and closes when it last shows that of closing; an hour that the clock jumps over
is the moment of the jump. So whenever the clock shows an hour of opening, the desk is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from core.errors import InvalidInput
from services.customer_service.phrases import phrase, spoken

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
_WHOLE_DAY: Final = 24 * 60
# How far the next opening is looked for: a desk that is closed for longer has no hours.
_DAYS_AHEAD: Final = 370
_WEEK: Final = timedelta(days=6)
_CHINESE_DAYS: Final = "一二三四五六日"
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)

# Minutes after midnight on the clock of the place: opening and closing, the latter up to 24:00.
Span = tuple[int, int]


@dataclass(frozen=True)
class Hours:
    """Business hours. `weekly`: spans of each day, Monday first, in order and apart;
    `expected_minutes`: how long a customer usually waits while it is open."""

    zone: ZoneInfo
    weekly: tuple[tuple[Span, ...], ...]
    holidays: frozenset[date] = frozenset()
    expected_minutes: int | None = None
    place: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the desk is open, and until when that stays so (UTC); None: for as long as one can
    see ahead."""

    open: bool
    until: datetime | None


def parse_hours(document: Mapping[str, Any]) -> Hours:
    """The hours of a document of the right shape (schemas); InvalidInput says what is wrong."""
    weekly = document.get("weekly", {})
    unknown = sorted(set(weekly) - set(DAYS))
    if unknown:
        raise InvalidInput(
            f"weekly: {unknown[0][:40]!r} is no day", mend=f"Days are {', '.join(DAYS)}."
        )
    return Hours(
        zone=_zone(document["timezone"]),
        weekly=tuple(_spans(day, weekly.get(day, ())) for day in DAYS),
        holidays=frozenset(_date(text) for text in document.get("holidays", ())),
        expected_minutes=document.get("expected_minutes"),
        place=dict(document.get("place", {})),
    )


def when(hours: Hours, now: datetime) -> Standing:
    """How the desk stands at this moment. `now` has a zone."""
    now = now.astimezone(UTC)
    closes: datetime | None = None
    for opening, closing in _openings(hours, now):
        if closes is None and opening > now:
            return Standing(False, opening)
        if closes is not None and opening > closes:
            return Standing(True, closes)
        # The first that is not over, or one that begins where the last one ends (midnight).
        closes = closing if closes is None else max(closes, closing)
    # Open to the end of what was looked at is open without an end, unless the hours end there.
    endless = closes is None or closes >= now + timedelta(days=_DAYS_AHEAD - 1)
    return Standing(closes is not None, None if endless else closes)


def expectation(hours: Hours, now: datetime, language: str, fallback: str) -> str:
    """What a customer who waits for a person is told, in one or two sentences."""
    standing, language = when(hours, now), spoken(language, fallback)
    if standing.open:
        if hours.expected_minutes is None:
            return phrase("desk_open", language, fallback)
        said = phrase("desk_open_within", language, fallback)
        return said.format(minutes=hours.expected_minutes)
    if standing.until is None:
        return phrase("desk_closed", language, fallback)
    said = phrase("desk_closed_until", language, fallback)
    return said.format(moment=_moment(hours, standing.until, now, language))


def _openings(hours: Hours, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Openings and closings (UTC) that are not over, in order, from now on."""
    today = now.astimezone(hours.zone).date()
    for ahead in range(-1, _DAYS_AHEAD):
        try:
            day = today + timedelta(days=ahead)
        except OverflowError:
            return  # the calendar ends in the year 9999
        if day in hours.holidays:
            continue
        for opens, closes in hours.weekly[day.weekday()]:
            opening = _instant(hours.zone, day, opens, last=False)
            closing = _instant(hours.zone, day, closes, last=True)
            if opening < closing and closing > now:
                yield opening, closing


def _instant(zone: ZoneInfo, day: date, minutes: int, *, last: bool) -> datetime:
    """When the clock of the zone shows this; of two such moments the first or the last, and the
    moment of the jump where the clock jumps over it."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if before <= after:
        return after if last else before
    # Read with the offset of after the jump it is too early, with that of before it too late.
    low, high = int(after.timestamp()), int(before.timestamp())
    old = after.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _moment(hours: Hours, moment: datetime, now: datetime, language: str) -> str:
    """A moment as one says it: the day, the time, and where the clock hangs."""
    local, today = moment.astimezone(hours.zone), now.astimezone(hours.zone).date()
    place = hours.place.get(language) or str(hours.zone).rpartition("/")[2].replace("_", " ")
    clock = f"{local.hour}:{local.minute:02d}"
    near, same = local.date() - today <= _WEEK, local.date() == today
    if language == "zh":
        day = "今天" if same else f"周{_CHINESE_DAYS[local.weekday()]}"
        dated = day if near else f"{local.month}月{local.day}日（{day}）"
        return f"{dated} {clock}（{place}时间）"
    day = "today" if same else f"on {DAYS[local.weekday()].capitalize()}"
    dated = day if near else f"{day} {local.day} {_MONTHS[local.month - 1]}"
    return f"{dated} at {clock} ({place} time)"


def _spans(day: str, said: Sequence[str]) -> tuple[Span, ...]:
    spans = sorted(_span(day, text) for text in said)
    for (_, closes), (opens, _) in pairwise(spans):
        if opens < closes:
            raise InvalidInput(f"weekly.{day}: two of its spans overlap", mend="Join them to one.")
    return tuple(spans)


def _span(day: str, text: str) -> Span:
    found = _SPAN.fullmatch(text)
    opens, closes = (0, 0)
    if found is not None:
        opens, closes = (60 * int(found[n]) + int(found[n + 1]) for n in (1, 3))
    if not opens < closes <= _WHOLE_DAY:
        raise InvalidInput(
            f"weekly.{day}: expected opening and closing such as 09:00-17:00, was: {text[:40]!r}",
            mend="The clock has 24 hours; a night is two spans, 22:00-24:00 and 00:00-06:00.",
        )
    return opens, closes


def _zone(name: str) -> ZoneInfo:
    try:
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        pass  # a folder of zones, a file that is none, a name that nobody knows: told below
    raise InvalidInput(
        f"there is no time zone {name[:60]!r}",
        mend="Name one such as Europe/Berlin; where all are unknown, install the tzdata package.",
    )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"holidays: expected a date such as 2026-12-25, was: {text[:40]!r}"
        ) from error
