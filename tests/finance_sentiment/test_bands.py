"""Is the range that is drawn as normal the one that normal news keep within?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.finance_sentiment import promise
from services.finance_sentiment.alerts import Terms, advance
from services.finance_sentiment.bands import banded
from services.finance_sentiment.baseline import Normal
from services.finance_sentiment.counts import HourlyCounts
from tests.finance_sentiment.test_alerts import history


@pytest.fixture(scope="module")
def counts() -> HourlyCounts:
    return history(4, volume=6.0)


@pytest.fixture(scope="module")
def normal(counts: HourlyCounts) -> Normal:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promise, "MAX_PATHS", 16)
        baseline = advance(None, counts, counts.end_hour, Terms(1.0)).baseline
    assert baseline is not None
    return baseline.normal


@pytest.mark.parametrize("size", [1, 6, 24])
def test_calm_news_keep_within_it_nearly_always(
    counts: HourlyCounts, normal: Normal, size: int
) -> None:
    outside = []
    for topic in counts.topics:
        for one in banded(counts, topic, size, normal):
            if one.low is not None and one.high is not None:
                share = one.negative / one.stories
                outside.append(not one.low <= share <= one.high)
    assert 0.0 < np.mean(outside) < 0.1


def test_the_range_is_wider_where_stories_come_in_bunches(
    counts: HourlyCounts, normal: Normal
) -> None:
    apart = banded(counts, "a", 24, replace(normal, alike=(0.0, 0.0, 0.0)))
    bunched = banded(counts, "a", 24, replace(normal, alike=(0.05, 0.05, 0.05)))
    for one, other in zip(apart, bunched, strict=True):
        assert one.expected == other.expected
        assert one.high is not None and other.high is not None and one.high < other.high


def test_every_story_counts_in_one_bucket(counts: HourlyCounts, normal: Normal) -> None:
    found = banded(counts, "b", 6, normal)
    assert sum(one.stories for one in found) == counts.stories[1].sum()
    assert sum(one.negative for one in found) == counts.negative[1].sum()


def test_where_nothing_is_known_no_range_is_drawn(counts: HourlyCounts, normal: Normal) -> None:
    assert all(one.expected is None for one in banded(counts, "a", 6, None))
    empty = HourlyCounts(counts.first_hour, ("a",), counts.stories[:1] * 0, counts.negative[:1] * 0)
    assert all(one.high is None for one in banded(empty, "a", 6, normal))
