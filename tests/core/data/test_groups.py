"""Does a split that keeps repeats together leave no leak, and keep every class in training?"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.groups import near_groups, stratified_group_split, temporal_group_split
from core.data.splits import leakage
from core.errors import InvalidInput

TEXTS = (
    "where is my order today",
    "Where is my order, today?",
    "where is my order this day",
    "I want my money back",
    "I want my money back!",
    "please cancel the whole order",
    "退货费多少",
)
texts = st.lists(st.sampled_from(TEXTS), min_size=2, max_size=25)


def test_what_is_near_to_a_near_text_is_in_its_group() -> None:
    chain = ["abcdefghijklmnopqrst", "abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstuvwx", "other"]
    assert len(leakage(chain[:1], chain[2:3]).leaked) == 0
    assert near_groups(chain) == [0, 0, 0, 3]


def test_texts_that_differ_in_case_alone_are_a_group() -> None:
    assert near_groups(["Hi!", "bye", "hi"]) == [0, 1, 0]


# Two texts of one class that do not repeat each other, so that there is something to hold out.
splittable = texts.map(lambda rows: [*rows, "please cancel the whole order", "pay me at once"])


@settings(deadline=None)
@given(splittable, st.floats(0.1, 0.9), st.integers(0, 5))
def test_no_text_leaks_and_every_row_is_on_one_side(
    rows: list[str], share: float, seed: int
) -> None:
    labels = [text[0] for text in rows]
    groups = near_groups(rows)
    firsts = {group: labels[group] for group in groups}
    train, test = stratified_group_split(labels, groups, share, np.random.default_rng(seed))
    assert sorted([*train, *test]) == list(range(len(rows)))
    assert not leakage([rows[i] for i in train], [rows[i] for i in test]).leaked
    assert {firsts[groups[i]] for i in train} == set(firsts.values())


def test_without_repeats_every_class_gives_its_share() -> None:
    labels = ["a"] * 20 + ["b"] * 30
    _, test = stratified_group_split(labels, range(50), 0.2, np.random.default_rng(0))
    assert Counter(labels[i] for i in test) == {"a": 4, "b": 6}


def test_the_same_seed_gives_the_same_split() -> None:
    labels = ["a"] * 50
    one, other = (
        stratified_group_split(labels, range(50), 0.2, np.random.default_rng(3))[1].tolist()
        for _ in range(2)
    )
    assert one == other


def test_rows_that_all_repeat_one_another_cannot_be_divided() -> None:
    with pytest.raises(InvalidInput, match="none to hold out"):
        stratified_group_split(["a"] * 4, [0] * 4, 0.5, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="share must be"):
        stratified_group_split(["a"] * 4, range(4), 1.0, np.random.default_rng(0))


def test_by_time_a_later_repeat_goes_to_the_earlier_side() -> None:
    train, test, moved = temporal_group_split([5, 1, 2, 3, 4], [0, 1, 2, 3, 1], 0.4)
    assert sorted(train) == [1, 2, 3, 4]
    assert test.tolist() == [0]
    assert moved == 1
    with pytest.raises(InvalidInput, match="repeats one before"):
        temporal_group_split([1, 2], [0, 0], 0.5)
