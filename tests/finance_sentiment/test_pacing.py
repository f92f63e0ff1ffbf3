"""Is a feed asked as often as it has news, as its server wants, and seldom when it is broken?"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance_sentiment.pacing import (
    Bounds,
    adapted,
    fresh_for,
    host_rest,
    lanes,
    wait_before_next_check,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FIVE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
BOUNDS = Bounds(FIVE, HOUR)


def test_a_feed_rests_its_interval_and_longer_with_each_error() -> None:
    assert wait_before_next_check(FIVE, 0) == FIVE
    assert wait_before_next_check(FIVE, 1) == 2 * FIVE
    assert wait_before_next_check(FIVE, 3) == 8 * FIVE
    assert wait_before_next_check(FIVE, 1_000_000) == timedelta(hours=6)


def test_a_server_may_ask_for_more_rest_up_to_a_day() -> None:
    assert wait_before_next_check(FIVE, 0, asked=HOUR) == HOUR
    assert wait_before_next_check(FIVE, 0, asked=timedelta(days=9)) == timedelta(days=1)


def test_an_answer_that_is_fresh_is_not_asked_for_again() -> None:
    assert wait_before_next_check(FIVE, 0, fresh=HOUR) == HOUR


def test_a_slow_feed_never_comes_sooner_because_of_an_error() -> None:
    day = timedelta(days=1)
    assert wait_before_next_check(day, 5) == day


def test_jitter_adds_at_most_a_tenth() -> None:
    assert wait_before_next_check(FIVE, 0, jitter=1.0) == FIVE * 1.1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": "public, Max-Age=600"}, 600),
        ({"cache-control": "max-age=600", "age": "100"}, 500),
        ({"cache-control": "max-age=600", "age": "9999"}, 0),
        ({"cache-control": "no-cache, max-age=600"}, 0),
        ({"cache-control": "no-store"}, 0),
        ({"cache-control": "s-maxage=600"}, 0),
        ({"cache-control": "max-age=soon"}, 0),
        ({"expires": "Mon, 02 Mar 2026 12:10:00 GMT"}, 600),
        (
            {
                "expires": "Mon, 02 Mar 2026 12:10:00 GMT",
                "date": "Mon, 02 Mar 2026 12:09:00 GMT",
            },
            60,
        ),
        ({"expires": "Mon, 02 Mar 2020 12:10:00 GMT"}, 0),
        ({"expires": "0"}, 0),
        ({"expires": "Mon, 02 Mar 2026 12:10:00 GMT", "cache-control": "max-age=5"}, 5),
    ],
)
def test_cache_headers_say_how_long_an_answer_is_fresh(
    headers: dict[str, str], seconds: float
) -> None:
    assert fresh_for(headers, NOW) == timedelta(seconds=seconds)


@given(st.dictionaries(st.sampled_from(["cache-control", "age", "expires", "date"]), st.text()))
def test_no_header_raises(headers: dict[str, str]) -> None:
    assert fresh_for(headers, NOW) >= timedelta()


def test_a_feed_with_news_is_asked_more_often_within_bounds() -> None:
    assert adapted(HOUR, found_news=True, bounds=BOUNDS) == HOUR / 2
    assert adapted(FIVE, found_news=True, bounds=BOUNDS) == FIVE
    assert adapted(HOUR, found_news=False, bounds=BOUNDS) == HOUR
    assert adapted(FIVE, found_news=False, bounds=BOUNDS) == FIVE * 1.25


@given(st.lists(st.booleans(), max_size=60))
def test_the_pace_never_leaves_its_bounds(looks: list[bool]) -> None:
    interval = FIVE
    for found in looks:
        interval = adapted(interval, found_news=found, bounds=BOUNDS)
        assert BOUNDS.shortest <= interval <= BOUNDS.longest


def test_a_host_rests_at_its_third_trouble_and_longer_after_each() -> None:
    rests = [host_rest(n, busy=False) / timedelta(minutes=1) for n in range(1, 6)]
    assert rests == [0, 0, 1, 2, 4]
    assert host_rest(1000, busy=False) == HOUR


def test_a_busy_host_rests_at_once_and_as_long_as_it_asks() -> None:
    assert host_rest(1, busy=True) == timedelta(minutes=1)
    assert host_rest(1, busy=True, asked=2 * HOUR) == 2 * HOUR
    assert host_rest(1, busy=True, asked=timedelta(days=9)) == timedelta(days=1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers())), st.integers(1, 4))
def test_lanes_hold_everything_and_no_host_has_too_many(
    things: list[tuple[str, int]], per_host: int
) -> None:
    dealt = lanes(((host, (host, n)) for host, n in things), per_host)
    assert sorted(thing for lane in dealt for thing in lane) == sorted(things)
    hosts = Counter({lane[0][0] for lane in dealt if not lane})
    assert not hosts
    of_host = Counter(lane[0][0] for lane in dealt)
    assert all(count <= per_host for count in of_host.values())
    assert all(len({host for host, _ in lane}) == 1 for lane in dealt)
