"""Which things does the monitor speak of, and by which small rules does it treat them?

Pure: no clock, no database, no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

KIND = "finance_sentiment"
SENTIMENT, TOPIC = "sentiment", "topic"

# pending: waits for the model · labelled · unlabelled: the model cannot read it
StoryState = Literal["pending", "labelled", "unlabelled"]
PENDING: StoryState = "pending"
LABELLED: StoryState = "labelled"
UNLABELLED: StoryState = "unlabelled"
# Who labelled a story that came with its labels, and one that a person corrected.
GIVEN = "given"
PERSON = "person"

MAX_TITLE = 500
MAX_SUMMARY = 4_000
# A feed's clock may be a little ahead of ours; a date further ahead is taken for an error.
CLOCK_TOLERANCE = timedelta(minutes=10)
# Feeds did not exist before; such dates are unset fields and broken clocks.
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "…", ":", "：")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a feed, cleaned. Its id and url are "" where the feed gives none."""

    entry_id: str
    url: str
    title: str
    summary: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class Label:
    """What is said of a text. A head that the model does not have gives None, and so does a text
    that it cannot read; the probabilities then show what it would have guessed."""

    model_version: str
    sentiment: str | None
    topic: str | None
    p_negative: float | None
    p_neutral: float | None
    p_positive: float | None
    p_topic: float | None
    readable: bool

    @property
    def state(self) -> StoryState:
        """How a story with this label is kept."""
        return LABELLED if self.readable else UNLABELLED


def story_text(title: str, summary: str) -> str:
    """What the model reads of a story: its title, then its summary as a further sentence."""
    if not summary or summary == title:
        return title
    if not title:
        return summary
    joint = " " if title.endswith(_SENTENCE_ENDS) else ". "
    return f"{title}{joint}{summary}"


def publication(stated: datetime | None, seen: datetime) -> datetime:
    """When a story counts as published: as stated, or when it was first seen where that is
    missing, in the future or before there were feeds."""
    if stated is None or stated > seen + CLOCK_TOLERANCE or stated < _EARLIEST:
        return seen
    return min(stated, seen)


def hour_of(moment: datetime) -> int:
    """Whole hours since 1970 (UTC): the bucket a moment falls in."""
    return int(moment.timestamp() // 3600)


def moment_of(hour: int) -> datetime:
    """The start of that hour."""
    return datetime.fromtimestamp(hour * 3600, UTC)
