"""How many requests has a caller left in this window?

The notation ("600/minute") is that of the `limits` library. Its counter in memory is not used: it
starts a thread every few milliseconds to tidy up, which costs a request more than all the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from limits import parse

from core.errors import SettingsError

_TIDY_FROM = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` requests within `seconds` of the first one."""

    amount: int
    seconds: float
    text: str


def parse_rate(text: str) -> Rate | None:
    """ "600/minute" or "5 per 10 seconds"; None for "", which means no limit."""
    if not text.strip():
        return None
    try:
        item = parse(text)
    except ValueError as error:
        raise SettingsError(
            f"a rate limit must read like 600/minute, was: {text!r}",
            mend="Set RATE_LIMIT of this service so, or leave it empty for no limit.",
        ) from error
    return Rate(item.amount, float(item.get_expiry()), text.strip())


class WindowCounter:
    """Counts in fixed windows, each starting with a caller's first request. For one event loop."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        # caller -> (end of the window, requests in it)
        self._windows: dict[str, tuple[float, int]] = {}
        self._tidy_at = _TIDY_FROM

    def hit(self, caller: str) -> float:
        """Count a request. Seconds until the next window where it is one too many, else 0."""
        now = self._clock()
        end, count = self._windows.get(caller, (0.0, 0))
        if now >= end:
            self._tidy(now)
            end, count = now + self._rate.seconds, 0
        if count >= self._rate.amount:
            return end - now
        self._windows[caller] = (end, count + 1)
        return 0.0

    def _tidy(self, now: float) -> None:
        if len(self._windows) < self._tidy_at:
            return
        self._windows = {who: window for who, window in self._windows.items() if window[0] > now}
        # Twice what is left, so that the work stays small for each caller that comes new.
        self._tidy_at = max(_TIDY_FROM, 2 * len(self._windows))
