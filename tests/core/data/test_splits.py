"""What do splits and the search for leaks promise?"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.duplicates import character_ngrams, near_duplicates
from core.data.splits import leakage, stratified_split, temporal_split
from core.errors import InvalidInput

shares = st.floats(0.05, 0.95)


@given(st.lists(st.sampled_from("abcd"), max_size=60), shares, st.integers(0, 9))
def test_every_row_lands_on_one_side_and_no_class_leaves_training(
    labels: list[str], share: float, seed: int
) -> None:
    train, valid = stratified_split(labels, share, np.random.default_rng(seed))
    assert sorted([*train, *valid]) == list(range(len(labels)))
    held_out = Counter(labels[i] for i in valid)
    for label, count in Counter(labels).items():
        assert held_out[label] < count
        assert (held_out[label] >= 1) == (count > 1)
        assert abs(held_out[label] - share * count) <= 1


def test_the_same_seed_gives_the_same_split() -> None:
    labels = ["a"] * 20 + ["b"] * 30
    one, other = (stratified_split(labels, 0.2, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one[1], other[1])
    assert not np.array_equal(one[1], stratified_split(labels, 0.2, np.random.default_rng(8))[1])


@given(st.lists(st.integers(0, 12), min_size=2, max_size=40), shares)
def test_every_test_row_is_later_than_every_training_row(times: list[int], share: float) -> None:
    if len(set(times)) == 1:
        with pytest.raises(InvalidInput, match="2 different times"):
            temporal_split(times, share)
        return
    train, test = temporal_split(times, share)
    assert sorted([*train, *test]) == list(range(len(times)))
    assert max(times[i] for i in train) < min(times[i] for i in test)


def test_the_latest_share_is_for_testing() -> None:
    train, test = temporal_split([5.0, 1.0, 4.0, 2.0, 3.0], 0.4)
    assert train.tolist() == [1, 3, 4]
    assert test.tolist() == [2, 0]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
def test_a_share_outside_zero_and_one_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        stratified_split(["a", "a"], share, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        temporal_split([1.0, 2.0], share)


def test_leaks_are_told_apart_as_exact_and_near() -> None:
    train = ["Where is my parcel?", "I want to return the blue kettle I bought", "hello"]
    test = ["where is my PARCEL", "I want to return the blue kettles I bought", "goodbye then"]
    report = leakage(train, test)
    assert report.exact == ((0, 0),)
    assert [(pair.left, pair.right) for pair in report.near] == [(1, 1)]
    assert report.leaked == {0, 1}
    assert report.share == pytest.approx(2 / 3)


def test_chinese_texts_leak_too() -> None:
    assert leakage(["请问我的包裹现在到哪里了呢"], ["请问，我的包裹现在到哪里了呢？"]).share == 1


def test_an_empty_test_set_leaks_nothing() -> None:
    assert leakage(["a"], []).share == 0


short_texts = st.lists(st.text(alphabet="abc ", max_size=12), max_size=8)


@given(short_texts, short_texts, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_near_duplicates_are_exactly_those_of_comparing_all_pairs(
    left: list[str], right: list[str], threshold: float
) -> None:
    expected = set()
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            a, b = character_ngrams(one), character_ngrams(other)
            if a and b and len(a & b) / len(a | b) >= threshold - 1e-9:
                expected.add((i, j))
    assert {(p.left, p.right) for p in near_duplicates(left, right, threshold)} == expected


@pytest.mark.parametrize("threshold", [0.0, 1.1])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be in"):
        list(near_duplicates([], [], threshold))
