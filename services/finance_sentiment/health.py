"""Are the news that come in whole enough to be judged by?

Pure. Feeds that fail carry a share of what would have come; a feed that fails has failed so many
times in a row, since a single failure is mended by the next look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.finance_sentiment.life import DEGRADED, NO_DATA, OK, News

FAILURES = 3


@dataclass(frozen=True, slots=True)
class FeedState:
    """An enabled feed: failures in a row, and stories that it brought of late."""

    name: str
    failures: int
    stories: int


def judge_news(feeds: Sequence[FeedState], unread: int, degraded_share: float) -> tuple[News, str]:
    """The state of the news, and why. `no_data`: every feed fails. `degraded`: those that fail
    brought at least `degraded_share` of the stories (each counts as one story more, so that feeds
    of which nothing is known weigh alike), or stories wait for a label. Without feeds the news are
    pushed or imported, and what comes is what there is."""
    failing = [feed for feed in feeds if feed.failures >= FAILURES]
    if feeds and len(failing) == len(feeds):
        return NO_DATA, f"none of {len(feeds)} feeds answers"
    total = sum(feed.stories + 1 for feed in feeds)
    lost = sum(feed.stories + 1 for feed in failing)
    if failing and lost >= degraded_share * total:
        share = round(100 * lost / total)
        return DEGRADED, f"{len(failing)} of {len(feeds)} feeds fail, {share} % of the news"
    if unread:
        return DEGRADED, f"{unread} stories too many wait for a label"
    return OK, ""
