"""How many stories came in, and how many of them were negative, by topic and hour?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InvalidInput

IntArray = npt.NDArray[np.int64]

HOURS_A_DAY = 24
HOURS_A_WEEK = 168
# Cells of the table (topics × hours): 20 topics over ten years are 1.7 million.
MAX_CELLS = 20_000_000


@dataclass(frozen=True)
class HourlyCounts:
    """`stories` and `negative`: (topics, hours), the latter of the former; column 0 is
    `first_hour`, counted in whole hours since 1970 (UTC)."""

    first_hour: int
    topics: tuple[str, ...]
    stories: IntArray
    negative: IntArray

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[str, int, int, int]],
        *,
        first_hour: int | None = None,
        end_hour: int | None = None,
    ) -> HourlyCounts:
        """Rows of (topic, hour, stories, negative); rows of one topic and hour add up. The table
        spans the rows, or first_hour to end_hour (exclusive), and rows outside are left out."""
        listed = list(rows)
        first = min((row[1] for row in listed), default=0) if first_hour is None else first_hour
        if end_hour is None:
            end_hour = max((row[1] + 1 for row in listed), default=first)
        width = max(0, end_hour - first)
        topics = tuple(sorted({row[0] for row in listed}))
        if width * max(1, len(topics)) > MAX_CELLS:
            raise InvalidInput(
                f"{len(topics)} topics over {width} hours are more than can be followed",
                mend="Check the dates for one that is far off, or give a shorter stretch.",
            )
        number = {topic: i for i, topic in enumerate(topics)}
        table = np.zeros((2, len(topics), width), dtype=np.int64)
        for topic, hour, stories, negative in listed:
            if first <= hour < end_hour:
                table[:, number[topic], hour - first] += (stories, negative)
        return cls(first, topics, table[0], table[1])

    def and_rows(self, rows: Iterable[tuple[str, int, int, int]]) -> HourlyCounts:
        """With further topics over the same hours, from rows as `from_rows` takes them."""
        more = HourlyCounts.from_rows(rows, first_hour=self.first_hour, end_hour=self.end_hour)
        return HourlyCounts(
            self.first_hour,
            self.topics + more.topics,
            np.concatenate([self.stories, more.stories]),
            np.concatenate([self.negative, more.negative]),
        )

    def only(self, kept: Callable[[str], bool]) -> HourlyCounts:
        """The topics that are to be kept."""
        rows = [row for row, topic in enumerate(self.topics) if kept(topic)]
        if len(rows) == len(self.topics):
            return self
        topics = tuple(self.topics[row] for row in rows)
        return HourlyCounts(self.first_hour, topics, self.stories[rows], self.negative[rows])

    @property
    def end_hour(self) -> int:
        """The hour after the last one."""
        return self.first_hour + int(self.stories.shape[1])

    def between(self, start: int, end: int) -> HourlyCounts:
        """The hours from start to end (exclusive), as far as there are any."""
        width = self.stories.shape[1]
        low = min(max(start - self.first_hour, 0), width)
        high = min(max(end - self.first_hour, low), width)
        stories, negative = self.stories[:, low:high], self.negative[:, low:high]
        return HourlyCounts(self.first_hour + low, self.topics, stories, negative)

    def total(self, topic: str, start: int, end: int) -> tuple[int, int]:
        """(stories, negative) of one topic from start to end (exclusive)."""
        if topic not in self.topics:
            return 0, 0
        part = self.between(start, end)
        row = self.topics.index(topic)
        return int(part.stories[row].sum()), int(part.negative[row].sum())

    def without(self, spans: Iterable[tuple[str, int, int]]) -> HourlyCounts:
        """A copy in which the hours of (topic, start, end) are empty."""
        stories, negative = self.stories.copy(), self.negative.copy()
        for topic, start, end in spans:
            row = self.topics.index(topic)
            low, high = max(0, start - self.first_hour), max(0, end - self.first_hour)
            stories[row, low:high] = 0
            negative[row, low:high] = 0
        return HourlyCounts(self.first_hour, self.topics, stories, negative)

    def whole_days(self) -> tuple[IntArray, IntArray]:
        """(stories, negative), each (topics, days, 24), of the days (UTC) that are complete."""
        low = -self.first_hour % HOURS_A_DAY
        days = max(0, (self.stories.shape[1] - low) // HOURS_A_DAY)
        shape = (len(self.topics), days, HOURS_A_DAY)
        high = low + days * HOURS_A_DAY
        return self.stories[:, low:high].reshape(shape), self.negative[:, low:high].reshape(shape)
