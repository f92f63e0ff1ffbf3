"""Counting what is popular, ever and of late."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender.domain import RECENT_HALF_LIFE
from services.recommender.popularity import NEVER, Popularity, Seen, count, recent

NOW = 1_800_000_000.0


def click(moment: float, item: str = "a", received: float = NOW) -> Seen:
    return Seen(item, "click", None, moment, received)


def of_late(popularity: Popularity, now: float = NOW) -> float:
    return float(recent(np.array([popularity.recent_log2]), now)[0])


def test_each_half_life_halves_an_event() -> None:
    found = count([click(NOW), click(NOW - RECENT_HALF_LIFE), click(NOW - 2 * RECENT_HALF_LIFE)])
    assert found["a"].positives == 3
    assert of_late(found["a"]) == pytest.approx(1.75, abs=1e-6)


def test_it_fades_as_the_present_moves_on() -> None:
    found = count([click(NOW)])["a"]
    assert of_late(found, NOW + RECENT_HALF_LIFE) == pytest.approx(0.5, abs=1e-6)


def test_events_that_are_no_success_count_nothing_but_show_when_the_item_came() -> None:
    found = count([Seen("a", "view", None, NOW - 100, NOW), Seen("a", "refund", 1.0, NOW, NOW)])
    assert found["a"] == Popularity(0.0, NEVER, NOW - 100)
    assert of_late(found["a"]) == 0.0


def test_an_event_dated_in_the_future_counts_from_when_it_came() -> None:
    assert of_late(count([click(NOW + 9e9)])["a"]) == pytest.approx(1.0, abs=1e-6)


def test_moments_far_from_the_present_neither_overflow_nor_count() -> None:
    ancient = count([click(-6e10)])["a"]
    assert of_late(ancient) == 0.0
    assert np.isfinite(of_late(count([click(NOW)])["a"], now=0.0))


moments = st.lists(st.floats(0, NOW), min_size=1, max_size=30)


@given(moments, moments)
def test_counting_in_two_goes_is_counting_at_once(first: list[float], second: list[float]) -> None:
    apart = count(map(click, first))["a"].plus(count(map(click, second))["a"])
    at_once = count(map(click, [*second, *first]))["a"]
    assert apart.positives == at_once.positives
    assert apart.first_at == at_once.first_at
    assert of_late(apart) == pytest.approx(of_late(at_once), rel=1e-6)
