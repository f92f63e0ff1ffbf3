"""Does every training row come once an epoch, in an order that seed and epoch alone decide?"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.batches import ClassBatches, LengthBatches, TokenRows, collate

SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def tasks(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    """Some rows of many, in any order, and the lengths of all."""
    lengths = draw(st.lists(st.integers(0, 40), min_size=1, max_size=60))
    rows = draw(st.lists(st.sampled_from(range(len(lengths))), min_size=1, unique=True))
    return np.array(rows, dtype=np.intp), lengths


def epoch(batches: LengthBatches, number: int) -> list[list[tuple[int, int]]]:
    batches.set_epoch(number)
    return list(batches)


@given(tasks(), SIZES, SEEDS, st.integers(0, 5))
def test_every_row_comes_once_an_epoch(
    task: tuple[np.ndarray, list[int]], size: int, seed: int, number: int
) -> None:
    rows, lengths = task
    batches = LengthBatches(rows, lengths, size, seed=seed)
    found = epoch(batches, number)
    assert len(found) == len(batches)
    assert all(0 < len(batch) <= size for batch in found)
    keys = [key for batch in found for key in batch]
    assert {of for of, _ in keys} == {number}
    assert sorted(row for _, row in keys) == sorted(rows.tolist())


@given(tasks(), SIZES, SEEDS)
def test_seed_and_epoch_alone_decide_the_order(
    task: tuple[np.ndarray, list[int]], size: int, seed: int
) -> None:
    rows, lengths = task
    one, two = (LengthBatches(rows, lengths, size, seed=seed) for _ in range(2))
    for number in (0, 1, 2):
        epoch(one, number)
    assert epoch(one, 2) == epoch(two, 2), "whatever was drawn before"


def test_other_epochs_and_other_seeds_have_other_batches() -> None:
    rows, lengths = np.arange(64), [5] * 64
    one = LengthBatches(rows, lengths, 8, seed=0)
    two = LengthBatches(rows, lengths, 8, seed=1)

    def together(batches: list[list[tuple[int, int]]]) -> set[frozenset[int]]:
        return {frozenset(row for _, row in batch) for batch in batches}

    assert together(epoch(one, 0)) != together(epoch(one, 1))
    assert together(epoch(one, 0)) != together(epoch(two, 0))


def test_texts_of_like_length_come_together() -> None:
    lengths = [2 + 10 * (i % 4) for i in range(32)]
    batches = epoch(LengthBatches(np.arange(32), lengths, 4, seed=0), 0)
    assert all(len({lengths[row] for _, row in batch}) == 1 for batch in batches)
    order = [lengths[batch[0][1]] for batch in batches]
    assert order != sorted(order), "but not the short ones first"


# --- batches of classes --------------------------------------------------------------------------


@given(tasks(), st.integers(4, 12), st.integers(2, 4), st.integers(1, 5), SEEDS)
def test_batches_of_classes_are_full_and_of_the_rows_given(
    task: tuple[np.ndarray, list[int]], size: int, per_class: int, classes: int, seed: int
) -> None:
    rows, lengths = task
    labels = np.arange(len(lengths)) % classes
    batches = ClassBatches(rows, lengths, size, seed=seed, labels=labels, per_class=per_class)
    found = epoch(batches, 1)
    assert len(found) == len(LengthBatches(rows, lengths, size, seed=seed))
    assert all(len(batch) == size for batch in found)
    assert {row for batch in found for _, row in batch} <= set(rows.tolist())
    assert epoch(batches, 1) == found


def test_a_batch_holds_a_few_classes_with_as_many_rows_of_each() -> None:
    labels = np.repeat(np.arange(8), [100, 50, 10, 10, 10, 10, 10, 10])
    rows = np.arange(len(labels))
    batches = ClassBatches(rows, [5] * len(rows), 16, seed=0, labels=labels, per_class=4)
    found = epoch(batches, 0)
    for batch in found:
        assert len({row for _, row in batch}) == 16, "different rows"
        assert set(Counter(labels[row] for _, row in batch).values()) == {4}
    counts = Counter(int(labels[row]) for batch in found for _, row in batch)
    assert max(counts.values()) - min(counts.values()) <= 4, "rare classes as often as common ones"


def test_a_class_of_few_rows_gives_those_it_has() -> None:
    labels = np.array([0, 0, 0, 0, 0, 0, 1])
    batches = ClassBatches(np.arange(7), [5] * 7, 5, seed=0, labels=labels, per_class=4)
    [first, *_] = epoch(batches, 0)
    assert sorted(Counter(labels[row] for _, row in first).values()) == [1, 4]


# --- what a batch is made of ---------------------------------------------------------------------


def test_a_row_is_cut_and_may_be_varied_by_epoch() -> None:
    def vary(epoch: int, row: int) -> np.ndarray | None:
        return np.full(9, 10 * epoch + row) if row == 1 else None

    rows = TokenRows([np.arange(9), np.arange(9) + 20], 4, vary)
    assert len(rows) == 2
    number, tokens = rows[(3, 0)]
    assert (number, tokens.tolist()) == (0, [0, 1, 2, 3])
    number, tokens = rows[(3, 1)]
    assert (number, tokens.tolist()) == (1, [31] * 4)


def test_texts_are_padded_and_the_mask_says_where() -> None:
    batch = collate([(4, np.array([7, 8, 9])), (2, np.array([5]))])
    assert batch["input_ids"].tolist() == [[7, 8, 9], [5, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["rows"].tolist() == [4, 2]


@pytest.mark.parametrize("size", [1, 3, 32])
def test_the_number_of_batches_counts_the_last_one(size: int) -> None:
    batches = LengthBatches(np.arange(10), [1] * 10, size, seed=0)
    assert len(batches) == len(list(batches)) == {1: 10, 3: 4, 32: 1}[size]
