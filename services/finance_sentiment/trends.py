"""How is each topic doing, by the hour or by the day?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from core.errors import InvalidInput
from core.evaluation.intervals import wilson_interval
from services.finance_sentiment.domain import hour_of, moment_of

BucketSize = Literal["hour", "day"]
HOURS: dict[BucketSize, int] = {"hour": 1, "day": 24}
DEFAULT_SPAN: dict[BucketSize, timedelta] = {"hour": timedelta(hours=48), "day": timedelta(days=30)}
LONGEST_SPAN: dict[BucketSize, timedelta] = {"hour": timedelta(days=31), "day": timedelta(days=366)}


@dataclass
class Tally:
    """Stories of one topic in some stretch of time, by sentiment."""

    negative: int = 0
    neutral: int = 0
    positive: int = 0

    def add(self, sentiment: str, count: int) -> None:
        """Count `count` more of that sentiment."""
        setattr(self, sentiment, getattr(self, sentiment) + count)

    @property
    def stories(self) -> int:
        """All of them."""
        return self.negative + self.neutral + self.positive

    @property
    def negative_share(self) -> float | None:
        """Negative ones among all, None where there is none."""
        return self.negative / self.stories if self.stories else None

    @property
    def negative_share_ci(self) -> tuple[float, float] | None:
        """The share's 95 % interval (Wilson 1927), None where there is no story."""
        return wilson_interval(self.negative, self.stories) if self.stories else None


@dataclass
class Trend:
    """One topic: its sum, and its tally at the start of each bucket that has a story."""

    topic: str
    total: Tally = field(default_factory=Tally)
    buckets: dict[datetime, Tally] = field(default_factory=dict)


def window(
    bucket: BucketSize, since: datetime | None, until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """The stretch that is shown: whole buckets (UTC) from `since` to past `until` or now.

    InvalidInput where it is empty or longer than a page of figures should be.
    """
    until = until or now
    since = since or until - DEFAULT_SPAN[bucket]
    if since >= until:
        raise InvalidInput("`since` must be before `until`")
    if until - since > LONGEST_SPAN[bucket]:
        days = LONGEST_SPAN[bucket].days
        raise InvalidInput(
            f"trends by the {bucket} are given for at most {days} days",
            mend="Ask for less" + (", or for bucket=day." if bucket == "hour" else "."),
        )
    size = HOURS[bucket]
    first = hour_of(since) // size * size
    end = -(-int(until.timestamp()) // (3600 * size)) * size
    return moment_of(first), moment_of(end)


def trends(rows: Iterable[tuple[str, int, str, int]], bucket: BucketSize) -> list[Trend]:
    """Rows of (topic, hour, sentiment, stories) as one trend a topic, by name."""
    size = HOURS[bucket]
    found: dict[str, Trend] = {}
    buckets: dict[str, dict[datetime, Tally]] = defaultdict(dict)
    for topic, hour, sentiment, count in rows:
        trend = found.setdefault(topic, Trend(topic))
        trend.total.add(sentiment, count)
        start = moment_of(hour // size * size)
        buckets[topic].setdefault(start, Tally()).add(sentiment, count)
    for topic, trend in found.items():
        trend.buckets = dict(sorted(buckets[topic].items()))
    return sorted(found.values(), key=lambda trend: trend.topic)
