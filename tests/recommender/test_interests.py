"""What a user's events say of their interests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender.domain import DAY, HISTORY_EVENTS
from services.recommender.interests import Interaction, interests_of, weigh

NOW = 1_000 * DAY
ROWS = {"a": 0, "b": 1, "c": 2}


def of(*events: tuple[str, str, float], half_life: float | None = None) -> dict[str, float]:
    """Item → weight, from (item, kind, age in days)."""
    history = [Interaction(i, kind, NOW - days * DAY) for i, kind, days in events]  # type: ignore[arg-type]
    found = interests_of(history, ROWS.get, NOW, half_life)
    names = list(ROWS)
    return {names[r]: float(w) for r, w in zip(found.rows, found.weights, strict=True)}


def test_the_strongest_interest_comes_first() -> None:
    assert list(of(("a", "view", 1), ("b", "purchase", 1), ("c", "click", 1))) == ["b", "c", "a"]


def test_events_on_one_item_add_up_but_ever_less() -> None:
    once, twice = of(("a", "click", 1))["a"], of(("a", "click", 1), ("a", "click", 1))["a"]
    assert once == pytest.approx(math.log(2)) and once < twice < 2 * once


def test_a_refund_takes_the_interest_back() -> None:
    assert of(("a", "purchase", 3), ("a", "refund", 1)) == {}


def test_a_refund_before_its_purchase_arrived_late_takes_back_as_well() -> None:
    assert of(("a", "refund", 1), ("a", "purchase", 3)) == {}


def test_what_was_only_shown_is_no_interest() -> None:
    assert of(("a", "impression", 1)) == {}


def test_an_old_event_says_less_where_interests_fade() -> None:
    found = of(("a", "click", 30), ("b", "click", 0), half_life=30.0)
    assert found["b"] == pytest.approx(math.log(2))
    assert found["a"] == pytest.approx(math.log(1.5))


def test_an_event_of_the_future_counts_as_one_of_now() -> None:
    assert of(("a", "click", -400), half_life=30.0) == of(("a", "click", 0), half_life=30.0)


def test_items_that_the_shop_does_not_know_are_left_out() -> None:
    assert of(("gone", "purchase", 1), ("a", "click", 1)).keys() == {"a"}


def test_only_the_newest_events_are_looked_at() -> None:
    old = [("a", "click", 500.0)] + [("b", "view", 1.0)] * HISTORY_EVENTS
    assert of(*old).keys() == {"b"}


events = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["view", "click", "purchase", "refund"]),
        st.floats(0, 500),
    ),
    max_size=20,
)


@given(events, st.randoms())
def test_the_order_in_which_events_arrive_does_not_matter(given, random) -> None:
    shuffled = list(given)
    random.shuffle(shuffled)
    first, second = of(*given, half_life=30.0), of(*shuffled, half_life=30.0)
    assert first.keys() == second.keys()
    assert all(first[item] == pytest.approx(second[item]) for item in first)


@given(events)
def test_weights_are_above_zero_and_never_rise(given) -> None:
    weights = list(of(*given).values())
    assert all(weight > 0 for weight in weights)
    assert weights == sorted(weights, reverse=True)


def test_no_events_are_no_interests() -> None:
    assert len(weigh(np.empty(0, np.int64), np.empty(0), np.empty(0), None)) == 0
