"""Who is told of what changes, while it changes?

    Hub       looks into the log of changes (changes.py) once a tick for all streams of this
              process, and keeps the last of what it found in memory
    Places    how many streams may be open, of all callers and of one

A stream keeps nothing but how far it has read: whoever is at the end gets what the hub found,
whoever is behind (a slow reader, or one that comes back with Last-Event-ID) reads pages from the
database until it is there. So no reader, however slow, fills memory, and every web process and
every start of one goes on from the same ids.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from core.errors import Overloaded, RateLimited
from services.finance_sentiment.changes import Noted, kept_ids, noted_after

logger = logging.getLogger("trefoil.finance_sentiment")

# Changes read at once; with stories of up to 4,000 characters that is below a megabyte.
PAGE = 100
# Events kept in memory for streams that are nearly at the end.
WINDOW = 5 * PAGE
# Streams that read what they missed at the same time: after a restart all of them come at once.
_READERS = 2
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it goes out (`block`), and what streams choose by."""

    id: int
    kind: str
    block: bytes
    topic: str | None = None
    sentiment: str | None = None
    companies: frozenset[str] = frozenset()


# From rows of the log to events, in a session that reads; what there is nothing to say of (a story
# that waits for its label anew) is left out.
Tell = Callable[[Session, Sequence[Noted]], list[Told]]


def event_block(event_id: int, name: str, data: str) -> bytes:
    """One server-sent event; each line of `data` has a line of its own, as the format wants."""
    lines = [f"id: {event_id}", f"event: {name}"]
    lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def json_block(event_id: int, name: str, content: dict[str, Any]) -> bytes:
    """One server-sent event with JSON on one line."""
    return event_block(event_id, name, json.dumps(content, ensure_ascii=False))


class Places:
    """Open streams; taken in the event loop alone."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._of: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many streams are open."""
        return self._of.total()

    @contextmanager
    def one(self, caller: str) -> Iterator[None]:
        """A place for a stream of this caller. RateLimited where it has too many open, Overloaded
        where all callers together have."""
        if self._of[caller] >= self._most_of_one:
            raise RateLimited(
                f"this caller has {self._most_of_one} streams open",
                retry_after=30,
                mend="Close one; one stream without filters tells of everything.",
            )
        if self.taken >= self._most:
            raise Overloaded(f"{self._most} streams are open", retry_after=30)
        self._of[caller] += 1
        try:
            yield
        finally:
            self._of[caller] -= 1
            if not self._of[caller]:
                del self._of[caller]


class Hub:
    """What is new, for all streams of this process. To be used in one event loop."""

    def __init__(self, read: sessionmaker[Session], tell: Tell, *, tick: float) -> None:
        self._read = read
        self._tell = tell
        self._tick = tick
        self._streams = 0
        # Everything after the change `_since` up to `position` is in the window.
        self.position = self._since = 0
        self._window: deque[Told] = deque()
        self._readers = asyncio.Semaphore(_READERS)
        self._news = asyncio.Event()
        self.ended = False

    @property
    def news(self) -> asyncio.Event:
        """Set at the next change, and at the end; to be taken before `after` is asked."""
        return self._news

    @asynccontextmanager
    async def following(self, last: int | None) -> AsyncIterator[tuple[int, bool]]:
        """A stream that has read up to `last` (None: wants what is new from now on): where it
        begins, and whether it missed what can no longer be told."""
        oldest, newest = await asyncio.to_thread(self._ids)
        if not self._streams:
            # Nobody listened, so nobody looked: nothing before this is in the window.
            self.position = self._since = newest
            self._window.clear()
        missed = last is not None and (last > newest or last < oldest - 1)
        self._streams += 1
        try:
            yield newest if last is None or missed else last, missed
        finally:
            self._streams -= 1

    async def after(self, position: int) -> tuple[list[Told], int]:
        """Events after `position`, and how far they reach."""
        if position >= self._since:
            return [e for e in self._window if e.id > position], max(position, self.position)
        async with self._readers:
            return await asyncio.to_thread(self._page, position)

    async def look(self) -> bool:
        """One look into the log; whether there may be more at once."""
        start = self.position
        found, position = await asyncio.to_thread(self._page, start)
        if position == start or self.position != start:
            return False
        self._window.extend(found)
        self.position = position
        while len(self._window) > WINDOW:
            self._since = self._window.popleft().id
        self._tell_all()
        return True

    async def run(self) -> None:
        """Look once a tick for as long as there are streams, until the end."""
        while not self.ended:
            await asyncio.sleep(self._tick)
            try:
                while self._streams and await self.look():
                    pass
            except Exception as error:
                # Streams wait and go on where they were, once the database answers again.
                logger.error("changes cannot be read", exc_info=error)

    def end(self) -> None:
        """Let all streams end."""
        self.ended = True
        self._tell_all()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs beside the server. A server waits for open answers before it stops its parts, so
        the signal that stops it also ends the streams."""
        looking = asyncio.create_task(self.run())
        try:
            with _also_at_signals(self.end):
                yield
        finally:
            self.end()
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    def _tell_all(self) -> None:
        told, self._news = self._news, asyncio.Event()
        told.set()

    def _ids(self) -> tuple[int, int]:
        with self._read() as session:
            return kept_ids(session)

    def _page(self, position: int) -> tuple[list[Told], int]:
        with self._read() as session:
            rows = noted_after(session, position, PAGE)
            if not rows:
                return [], position
            return self._tell(session, rows), rows[-1].id


@contextmanager
def _also_at_signals(end: Callable[[], None]) -> Iterator[None]:
    """`end` is called in the event loop, too, when a signal asks the process to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in before.items():
        # Where nobody handles it, the signal ends the process, and that is to stay so.
        if callable(handler):
            signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
