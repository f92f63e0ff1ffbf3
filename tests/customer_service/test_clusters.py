"""Texts that mean the same are one group, and a group is called by what is rare elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_service import clusters
from services.customer_service.clusters import (
    Likeness,
    group_texts,
    label_of,
    linked,
    most_typical_first,
    typical_words,
    without_codes,
    word_vectors,
)

HALF = Likeness(meaning=0.5, words=0.5)
FloatArray = npt.NDArray[np.float32]


def at(*degrees: float) -> FloatArray:
    """Unit vectors in the plane."""
    angles = np.deg2rad(np.array(degrees))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def ones(count: int) -> FloatArray:
    return np.ones(count, dtype=np.float32)


def as_sets(groups: Sequence[Sequence[int]]) -> set[frozenset[int]]:
    return {frozenset(group) for group in groups}


def greedy(vectors: FloatArray, threshold: float) -> set[frozenset[int]]:
    """Average linkage as a textbook says it: always join the two groups that are most alike."""
    groups = [[position] for position in range(len(vectors))]
    while len(groups) > 1:
        pairs = [(i, j) for i in range(len(groups)) for j in range(i)]
        means = {
            (i, j): float((vectors[groups[i]] @ vectors[groups[j]].T).mean()) for i, j in pairs
        }
        i, j = max(pairs, key=means.__getitem__)
        if means[i, j] < threshold:
            break
        groups[j] += groups.pop(i)
    return as_sets(groups)


# --- groups --------------------------------------------------------------------------------------


@given(st.integers(2, 14), st.integers(0, 10_000), st.floats(-0.5, 0.95))
def test_chains_find_what_joining_the_nearest_two_again_and_again_finds(
    count: int, seed: int, threshold: float
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert as_sets(linked(vectors, ones(count), threshold)) == greedy(vectors, threshold)


@given(st.integers(0, 30), st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_every_text_is_in_exactly_one_group(count: int, seed: int, threshold: float) -> None:
    vectors = at(*np.random.default_rng(seed).uniform(0, 360, count))
    groups = linked(vectors, ones(count), threshold)
    assert sorted(position for group in groups for position in group) == list(range(count))


def test_a_text_that_came_often_draws_the_mean_of_its_group() -> None:
    vectors = at(0, 40, 85)
    assert as_sets(linked(vectors, ones(3), 0.5)) == {frozenset({0, 1}), frozenset({2})}
    often = np.array([1, 9, 1], dtype=np.float32)
    assert as_sets(linked(vectors, often, 0.5)) == {frozenset({0, 1, 2})}


def test_what_does_not_fit_at_once_joins_the_groups_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "_AT_ONCE", 3)
    vectors = at(0, 2, 90, 1, 91, 180, 181, 3)
    assert as_sets(linked(vectors, ones(8), 0.8)) == {
        frozenset({0, 1, 3, 7}),
        frozenset({2, 4}),
        frozenset({5, 6}),
    }


def test_the_largest_group_is_number_0_and_repeats_are_never_parted() -> None:
    texts = ["rare", "Where is it?", "where is it", "WHERE IS IT!"]
    # The same words, though the encoder would have it otherwise.
    embeddings = at(0, 90, 180, 270)
    assert group_texts(texts, embeddings, np.ones(4, dtype=bool), HALF) == [1, 0, 0, 0]


def test_texts_that_the_encoder_cannot_read_are_grouped_by_their_words() -> None:
    texts = ["退货期限是多久", "退货期限多久", "怎么开发票", "refund"]
    same = at(0, 0, 0, 0)
    readable = np.array([False, False, False, True])
    assert group_texts(texts, same, readable, HALF) == [0, 0, 1, 2]


def test_nothing_is_no_group() -> None:
    empty = np.empty((0, 2), dtype=np.float32)
    assert group_texts([], empty, np.empty(0, dtype=bool), HALF) == []


@given(st.lists(st.text(max_size=20), max_size=12))
def test_word_vectors_have_length_one_or_no_word(texts: list[str]) -> None:
    lengths = np.linalg.norm(word_vectors(texts), axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-4) | (lengths == 0))


def test_the_members_most_like_the_others_come_first() -> None:
    texts = ["a", "b", "c"]
    embeddings = at(0, 50, 60)
    assert most_typical_first([0, 1, 2], texts, embeddings, np.ones(3, dtype=bool))[0] == 1


# --- names ---------------------------------------------------------------------------------------


def test_a_group_is_named_by_words_that_are_rare_elsewhere() -> None:
    texts = [
        "where is my refund for the order",
        "the refund of my order is late",
        "cancel my order please",
        "please cancel the order",
    ]
    assert typical_words(texts, [0, 0, 1, 1], top=1) == {0: ("refund",), 1: ("cancel",)}


def test_chinese_is_named_by_pairs_of_characters() -> None:
    names = typical_words(["退货要多久", "怎么退货", "发票在哪里", "我要发票"], [0, 0, 1, 1])
    assert names[0][0] == "退货"
    assert names[1][0] == "发票"


def test_numbers_placeholders_and_function_words_name_nothing() -> None:
    assert typical_words(["is it LY-204518 [email]?"], [0]) == {0: ()}


def test_a_word_stands_once_in_a_name_whatever_its_ending() -> None:
    assert typical_words(["return returns returned parcel"], [0], top=2)[0] in {
        ("parcel", "return"),
        ("parcel", "returned"),
        ("parcel", "returns"),
    }


def test_two_groups_never_get_one_name() -> None:
    taken = {"refund"}
    names = [
        label_of(("refund",), taken, 1),
        label_of(("refund",), taken, 2),
        label_of((), taken, 3),
    ]
    assert names == ["refund_2", "refund_3", "group_3"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("where is LY-204518?", "where is ?"),
        ("我的订单LY-205631到哪里了", "我的订单 到哪里了"),
        ("write to [email] about 3 pieces", "write to about 3 pieces"),
        ("LY-204518", "LY-204518"),
        ("iPhone 13, 128", "iPhone 13, 128"),
    ],
)
def test_order_numbers_and_placeholders_do_not_count(text: str, plain: str) -> None:
    assert without_codes(text) == plain
