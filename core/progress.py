"""What is a long piece of work doing, and how far is it?

On a terminal one line is rewritten; elsewhere (a log, CI) each step is a plain line. Always on
standard error: standard output belongs to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

Item = TypeVar("Item")


class Progress:
    """Steps and bars of one command. `quiet` says nothing at all."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._clock = clock
        self._live = not quiet and self._stream.isatty()

    def say(self, text: str) -> None:
        """One step, in a few words."""
        if not self._quiet:
            self._write(text, end="\n")

    def bar(
        self,
        items: Iterable[Item],
        total: int,
        label: str,
        detail: Callable[[], str] = lambda: "",
    ) -> Iterator[Item]:
        """Pass `items` on and show how many of `total` are done, with the time left.

        `detail()` may add a figure, such as the loss.
        """
        start = self._clock()
        tenth = 0
        for done, item in enumerate(items, start=1):
            yield item
            elapsed = self._clock() - start
            left = elapsed / done * max(total - done, 0)
            words = (label, f"{done}/{total}", detail(), f"{left:.0f} s left")
            text = " ".join(word for word in words if word)
            if self._live:
                self._write(text, end="\n" if done >= total else "")
            elif not self._quiet and 10 * done // max(total, 1) > tenth:
                tenth = 10 * done // max(total, 1)
                self._write(text, end="\n")

    def _write(self, text: str, end: str) -> None:
        clear = "\r\x1b[2K" if self._live else ""
        self._stream.write(f"{clear}{text}{end}")
        self._stream.flush()


SILENT = Progress(quiet=True)
