"""How is a file of past stories read: labelled or not, dated or counted back from an end?

Columns: `title`, one of `published_at` (ISO 8601) and `offset_minutes` (minutes before the end of
the stream, negative or 0), and any of `summary, source, url, story_id, topic, sentiment`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.data.fields import choice_field, optional_number, optional_text, text_field, time_field
from core.data.records import SENTIMENTS
from core.data.tables import Row, iterate_table
from core.errors import DataError
from core.files import written_whole
from core.markup import plain_text, web_address
from services.finance_sentiment.domain import GIVEN, MAX_SUMMARY, MAX_TITLE, Entry, Label

_OPTIONAL = ("summary", "source", "url", "story_id", "topic", "sentiment")
_DATES = ("published_at", "offset_minutes")
_LONGEST_OFFSET = 60 * 24 * 366 * 20
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PastStory:
    """A story of the past. `sentiment` and `topic` are "" where the file does not say."""

    title: str
    summary: str
    source: str
    url: str
    story_id: str
    published_at: datetime
    topic: str
    sentiment: str
    line: int

    def entry(self) -> Entry:
        """The story as an entry of a feed."""
        return Entry(self.story_id, self.url, self.title, self.summary, self.published_at)

    def label(self) -> Label | None:
        """Its own label, None where it carries no sentiment."""
        if not self.sentiment:
            return None
        return Label(GIVEN, self.sentiment, self.topic or None, None, None, None, None, True)


def read_history(path: Path, *, anchor: datetime) -> list[PastStory]:
    """The stories of a file, in its order; offsets are counted back from `anchor`."""
    stories = []
    dated_by = ""
    for row in iterate_table(path, ["title"], _OPTIONAL):
        dated_by = dated_by or _date_column(path, row)
        stories.append(_story(path, row, dated_by, anchor))
    return stories


def rebased(stories: Sequence[PastStory], anchor: datetime) -> list[PastStory]:
    """The same stories, all moved by as much, so that the last one is published at `anchor`."""
    if not stories:
        return []
    shift = anchor - max(story.published_at for story in stories)
    return [replace(story, published_at=story.published_at + shift) for story in stories]


def published(path: Path, seconds: float, line: int) -> datetime:
    """The moment of a `published_at` in Unix seconds; DataError outside of 1970 to 2200."""
    if not _FIRST.timestamp() <= seconds <= _LAST.timestamp():
        raise DataError("`published_at`: expected a date from 1970 to 2200", path, line)
    return datetime.fromtimestamp(seconds, UTC)


def _date_column(path: Path, row: Row) -> str:
    for column in _DATES:
        if column in row:
            return column
    raise DataError(
        f"column `published_at` or `offset_minutes` missing; found {', '.join(list(row)[:20])}",
        path,
        1,
        mend="Give each story a date in ISO 8601.",
    )


def _story(path: Path, row: Row, dated_by: str, anchor: datetime) -> PastStory:
    sentiment = optional_text(path, row, "sentiment")
    return PastStory(
        title=plain_text(text_field(path, row, "title"), MAX_TITLE),
        summary=plain_text(optional_text(path, row, "summary"), MAX_SUMMARY),
        source=optional_text(path, row, "source")[:200] or "import",
        url=web_address(optional_text(path, row, "url")),
        story_id=optional_text(path, row, "story_id"),
        published_at=_moment(path, row, dated_by, anchor),
        topic=optional_text(path, row, "topic")[:100],
        sentiment=choice_field(path, row, "sentiment", SENTIMENTS) if sentiment else "",
        line=row.line,
    )


def _moment(path: Path, row: Row, dated_by: str, anchor: datetime) -> datetime:
    if dated_by == "published_at":
        return published(path, time_field(path, row, dated_by), row.line)
    offset = optional_number(path, row, dated_by)
    if offset is None or not math.isfinite(offset) or not -_LONGEST_OFFSET <= offset <= 0:
        raise DataError(
            "`offset_minutes`: expected minutes before the end, 0 or negative", path, row.line
        )
    return anchor + timedelta(minutes=offset)


def write_history(path: Path, stories: Sequence[PastStory]) -> None:
    """The stories as a file that `import --stories` and `backtest --stories` read."""
    columns = ("published_at", "topic", "sentiment", "title", "summary", "source", "url")
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for story in stories:
            moment = story.published_at.isoformat()
            writer.writerow([moment, *(getattr(story, name) for name in columns[1:])])
