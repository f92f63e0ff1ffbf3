"""How often may somebody try a password?

So many times in a window for each name and for each address, whichever is first; the counts are
this process's own. A guess costs memory and time on purpose, so they are made one after the other
in a thread of their own, and who comes when too many wait is sent away: chats go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from core.errors import Overloaded, RateLimited
from core.web.rate import Rate, WindowCounter

Result = TypeVar("Result")
# Some seconds of waiting; whoever waits longer has gone.
_MOST_WAITING: Final = 10


class Door:
    """Where passwords are tried. For one event loop."""

    def __init__(self, rate: Rate | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._counter = None if rate is None else WindowCounter(rate, clock)
        self._waiting = 0
        # Made with the first guess: it belongs to the event loop.
        self._one: CapacityLimiter | None = None

    async def attempt(self, name: str, address: str, guess: Callable[[], Result]) -> Result:
        """What `guess` gives, which tries the password. RateLimited where this name or address had
        too many attempts, Overloaded where too many wait."""
        for caller in (f"address {address}", f"name {name.strip().lower()[:200]}"):
            self._count(caller)
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("too many log in at once", retry_after=5)
        self._one = self._one or CapacityLimiter(1)
        self._waiting += 1
        try:
            return await run_sync(guess, limiter=self._one)
        finally:
            self._waiting -= 1

    def _count(self, caller: str) -> None:
        if self._rate is None or self._counter is None:
            return
        wait = self._counter.hit(caller)
        if wait > 0:
            raise RateLimited(
                f"more than {self._rate.text} attempts to log in",
                retry_after=wait,
                mend="Wait, then try again.",
            )
