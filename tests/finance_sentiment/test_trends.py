"""Are counts gathered into hours and days, with the uncertainty they have?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.errors import InvalidInput
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.trends import Tally, trends, window

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
HOUR = hour_of(NOW)


def test_stories_are_summed_by_topic_and_hour() -> None:
    rows = [
        ("banking", HOUR, "negative", 3),
        ("banking", HOUR, "neutral", 1),
        ("banking", HOUR - 1, "positive", 2),
        ("energy", HOUR, "positive", 1),
    ]
    banking, energy = trends(rows, "hour")
    assert (banking.total.stories, banking.total.negative) == (6, 3)
    assert [start.hour for start in banking.buckets] == [11, 12]
    assert energy.total.negative_share == 0


def test_hours_of_a_day_are_one_bucket() -> None:
    rows = [("a", HOUR, "negative", 1), ("a", HOUR - 12, "neutral", 1)]
    [trend] = trends(rows, "day")
    assert list(trend.buckets) == [datetime(2026, 3, 2, tzinfo=UTC)]


def test_a_share_of_few_stories_is_known_badly_and_of_none_not_at_all() -> None:
    few, many = Tally(negative=1, neutral=1), Tally(negative=100, neutral=100)
    assert few.negative_share_ci is not None and many.negative_share_ci is not None
    assert few.negative_share_ci[0] < many.negative_share_ci[0] < 0.5 < many.negative_share_ci[1]
    assert Tally().negative_share is Tally().negative_share_ci is None


def test_the_window_holds_whole_buckets() -> None:
    since, until = window("day", None, None, NOW)
    assert (since.hour, until) == (0, datetime(2026, 3, 3, tzinfo=UTC))
    since, until = window("hour", NOW - timedelta(minutes=1), NOW, NOW)
    assert (since.minute, until) == (0, datetime(2026, 3, 2, 13, tzinfo=UTC))


@pytest.mark.parametrize("since", [NOW, NOW + timedelta(1), NOW - timedelta(days=40)])
def test_an_empty_or_endless_window_is_refused(since: datetime) -> None:
    with pytest.raises(InvalidInput):
        window("hour", since, NOW, NOW)
