"""When is a feed asked again: what does the server want, how often is there news, what went wrong?

Pure. Four things make the wait, and the longest of them counts:

- the feed's interval: its own where the user states one, else one that follows the news: halved
  by a look that found some, a quarter longer after one that found none, between two bounds. Where
  stories come at random it settles at .28 of the mean time between two: about one look in four
  finds something;
- how long the server says that its answer stays fresh (`Cache-Control`, `Expires`, RSS's `<ttl>`),
  up to the longer bound;
- twice the interval for each failure in a row, up to six hours;
- `Retry-After`, up to a day.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

LONGEST_BACKOFF = timedelta(hours=6)
LONGEST_ASKED = timedelta(days=1)
_FEWER, _MORE = 0.5, 1.25
# Trouble in a row before a host rests: one broken feed among several that work never adds up to
# it, since each answer of the others counts from the start.
TROUBLE_BEFORE_REST = 3
_FIRST_REST = timedelta(minutes=1)
_LONGEST_REST = timedelta(hours=1)
_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,9})')
_NOT_KEPT = re.compile(r"(?:^|[,\s])no-(?:cache|store)\b")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between these a feed without an interval of its own is asked."""

    shortest: timedelta
    longest: timedelta


def fresh_for(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How long an answer may be kept by its headers (RFC 9111): max-age less Age, or else Expires
    less Date; nothing where it says no-cache, no-store, or something that cannot be read."""
    control = headers.get("cache-control", "").lower()
    if _NOT_KEPT.search(control):
        return timedelta()
    age = _AGE.search(control)
    if age is not None:
        held = headers.get("age", "").strip()
        already = int(held[:9]) if held.isascii() and held.isdigit() else 0
        return timedelta(seconds=max(0, int(age[1]) - already))
    expires = http_date(headers.get("expires"))
    if expires is None:
        return timedelta()
    sent = http_date(headers.get("date")) or now
    return max(timedelta(), expires - sent)


def http_date(value: str | None) -> datetime | None:
    """A header's date; None where it is none."""
    try:
        moment = parsedate_to_datetime(value.strip()) if value else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def adapted(interval: timedelta, *, found_news: bool, bounds: Bounds) -> timedelta:
    """The next interval of a feed that states none."""
    moved = interval * (_FEWER if found_news else _MORE)
    return min(max(moved, bounds.shortest), max(bounds.longest, bounds.shortest))


def wait_before_next_check(
    interval: timedelta,
    errors: int,
    *,
    asked: timedelta = timedelta(),
    fresh: timedelta = timedelta(),
    jitter: float = 0.0,
) -> timedelta:
    """How long a feed rests; see the top. `jitter` in [0, 1] makes it up to a tenth longer, so that
    feeds taken in together drift apart."""
    doubled = min(interval * (1 << min(errors, 20)), max(interval, LONGEST_BACKOFF))
    return max(doubled, fresh, min(asked, LONGEST_ASKED)) * (1 + 0.1 * jitter)


def host_rest(troubles: int, *, busy: bool, asked: timedelta = timedelta()) -> timedelta:
    """How long all feeds of a host rest after so many troubles in a row: not at all before the
    third, then a minute, doubled each time up to an hour. A host that says that it is busy (429,
    or 503 with Retry-After) rests at once, and at least as long as it asks for."""
    beyond = troubles - (1 if busy else TROUBLE_BEFORE_REST)
    if beyond < 0:
        return timedelta()
    rest = min(_FIRST_REST * (1 << min(beyond, 20)), _LONGEST_REST)
    return max(rest, min(asked, LONGEST_ASKED)) if busy else rest


def lanes(things: Iterable[tuple[Hashable, T]], per_host: int) -> list[Sequence[T]]:
    """Things by host, each host's dealt out to at most `per_host` lanes. A lane is walked one
    after the other, so that no host is asked by more at once; hosts keep their order."""
    dealt: dict[Hashable, list[list[T]]] = {}
    for host, thing in things:
        own = dealt.setdefault(host, [])
        if len(own) < per_host:
            own.append([thing])
        else:
            min(own, key=len).append(thing)
    return [lane for own in dealt.values() for lane in own]
