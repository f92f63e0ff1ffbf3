"""Which of the ranked items make one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender.diversity import (
    Cap,
    best_first,
    exploration_pool,
    explored,
    interleave,
    pick,
)

FLAT = np.ones((8, 2), dtype=np.float32)
FALLING = np.linspace(1, 0, 8, dtype=np.float32)


def test_rows_come_by_falling_score_and_equals_by_row() -> None:
    scores = np.array([1.0, 3.0, 2.0, 3.0], dtype=np.float32)
    allowed = np.array([True, True, False, True])
    assert best_first(scores, allowed).tolist() == [1, 3, 0]


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 30))
def test_the_first_few_are_those_of_the_whole_order(values: list[int], at_most: int) -> None:
    scores = np.array(values, dtype=np.float32)
    everything = np.ones(len(values), dtype=bool)
    found = best_first(scores, everything, at_most)
    assert found.tolist()[:at_most] == best_first(scores, everything).tolist()[:at_most]


def test_one_item_of_a_group_is_enough_and_the_ungrouped_all_stay() -> None:
    group = Cap(np.array([-1, 5, 5, -1, 7, 5]), 1)
    rows = np.array([2, 0, 1, 5, 3, 4])
    assert pick(rows, FALLING, FLAT, 6, 0.0, [group]).tolist() == [2, 0, 3, 4]


def test_caps_hold_together_and_count_what_stands_there() -> None:
    brand = Cap(np.array([0, 0, 0, 1, 1, -1, -1, 2]), 2)
    category = Cap(np.array([0, 1, 1, 1, 0, 1, 0, 0]), 3)
    rows = np.arange(8)
    assert pick(rows, FALLING, FLAT, 8, 0.0, [brand, category]).tolist() == [0, 1, 3, 4, 5, 6]
    assert pick(rows, FALLING, FLAT, 2, 0.0, [brand], standing=[0, 1]).tolist() == [3, 4]


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), min_size=1, max_size=20),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_no_cap_is_ever_broken_nor_a_place_left_that_could_be_filled(
    codes: list[tuple[int, int]], count: int, diversity: float
) -> None:
    first, second = (np.array(column) for column in zip(*codes, strict=True))
    rng = np.random.default_rng(len(codes))
    vectors = rng.normal(size=(len(codes), 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.sort(rng.random(len(codes)).astype(np.float32))[::-1]
    caps = [Cap(first, 1), Cap(second, 2)]
    found = pick(np.arange(len(codes)), scores, vectors, count, diversity, caps)
    assert len(set(found.tolist())) == len(found)
    for cap in caps:
        used = cap.codes[found]
        assert all((used == code).sum() <= cap.most for code in set(used.tolist()) - {-1})
    if len(found) < count:
        for row in set(range(len(codes))) - set(found.tolist()):
            full = [
                cap.codes[row] != -1 and (cap.codes[found] == cap.codes[row]).sum() >= cap.most
                for cap in caps
            ]
            assert any(full)


def test_a_varied_answer_begins_with_the_best_and_avoids_its_likes() -> None:
    scores = np.array([1.0, 0.95, 0.5, 0.0], dtype=np.float32)
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    assert pick(np.arange(4), scores, vectors, 2, 0.5, []).tolist() == [0, 2]
    assert pick(np.arange(4), scores, vectors, 2, 0.0, []).tolist() == [0, 1]


def test_nothing_allowed_is_an_empty_answer() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert pick(nothing, np.empty(0, np.float32), FLAT[:0], 5, 0.5, []).size == 0
    assert best_first(np.empty(0, np.float32), np.empty(0, bool), 3).size == 0


def test_the_share_of_explored_places_and_the_chance_of_each_item_are_as_said() -> None:
    pool, places = np.arange(100, 100 + exploration_pool(0.25, 10)), np.arange(1, 10)
    rng = np.random.default_rng(1)
    draws = [explored(pool, 0.25, places, 10, rng) for _ in range(2_000)]
    assert {len(one.rows) for one in draws} == {2, 3}
    shown = np.bincount(np.concatenate([one.rows for one in draws]) - 100, minlength=len(pool))
    assert np.mean([len(one.rows) for one in draws]) == pytest.approx(2.5, abs=0.05)
    assert draws[0].propensity == pytest.approx(2.5 / len(pool))
    # Five standard deviations of a count of 2,000 draws.
    spread = 5 * np.sqrt(2_000 * draws[0].propensity)
    assert np.all(np.abs(shown - 2_000 * draws[0].propensity) < spread)
    assert all(0 not in one.places for one in draws)


def test_nothing_is_explored_where_there_is_nothing_to_explore() -> None:
    nothing = np.empty(0, dtype=np.int64)
    found = explored(nothing, 0.5, np.arange(1, 5), 5, np.random.default_rng(0))
    assert len(found.rows) == 0 and found.propensity == 0.0


def test_fixed_places_are_kept_and_gaps_close_up() -> None:
    assert interleave([1, 2, 3], {0: 9, 2: 8}) == [9, 1, 8, 2, 3]
    assert interleave([1], {4: 9}) == [1, 9]
    assert interleave([], {}) == []


def test_of_a_large_shop_only_the_best_are_put_in_order_and_compared() -> None:
    rng = np.random.default_rng(0)
    scores = rng.permutation(100_000).astype(np.float32)
    rows = best_first(scores, np.ones(100_000, bool), 1_000)
    assert rows.tolist() == np.argsort(-scores)[:1_000].tolist()
