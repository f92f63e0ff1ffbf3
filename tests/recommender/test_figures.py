"""The figures of the contract, on tasks small enough to work out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from services.recommender.figures import (
    METRICS,
    SLICES,
    Task,
    difference,
    empty_report,
    judge,
    report,
)

ITEMS = 30
RNG = np.random.default_rng(0)


def task(relevant, known=None, trained=None, short=None) -> Task:
    users = len(relevant)
    return Task(
        relevant=[np.array(r, dtype=np.int64) for r in relevant],
        known=[np.array(k, dtype=np.int64) for k in (known or [[]] * users)],
        short=np.array(short or [False] * users),
        trained=np.ones(ITEMS, bool) if trained is None else trained,
        embeddings=np.eye(ITEMS, dtype=np.float32),
    )


def in_order(users: np.ndarray) -> np.ndarray:
    """A method that ranks item 0 first, then 1, and so on."""
    return np.tile(-np.arange(ITEMS, dtype=np.float32), (len(users), 1))


def figures(asked: Task) -> dict:
    return report(judge(asked, in_order), np.random.default_rng(0))


def test_the_best_list_has_full_marks() -> None:
    found = figures(task([[0], [0, 1]]))
    assert (found["users"], found["ndcg@10"], found["recall@10"], found["mrr"]) == (2, 1, 1, 1)


def test_the_second_place_counts_by_its_logarithm() -> None:
    found = figures(task([[1]]))
    assert found["ndcg@10"] == pytest.approx(1 / math.log2(3))
    assert found["mrr"] == pytest.approx(0.5)


def test_known_items_take_no_place() -> None:
    assert figures(task([[2]], known=[[0, 1]]))["mrr"] == 1.0


def test_recall_looks_as_deep_as_its_name_says() -> None:
    found = figures(task([[5, 15, 25, 29]]))
    assert (found["recall@10"], found["recall@20"], found["recall@50"]) == (0.25, 0.5, 1.0)


def test_new_items_are_judged_in_the_catalogue_and_among_themselves() -> None:
    trained = np.ones(ITEMS, bool)
    trained[[20, 21]] = False
    found = figures(task([[0, 21], [3]], trained=trained))["slices"]
    assert found["cold_items"]["users"] == found["cold_among_cold"]["users"] == 1
    assert found["cold_items"]["mrr"] == pytest.approx(1 / 22)
    assert found["cold_among_cold"]["mrr"] == pytest.approx(1 / 2)
    assert found["cold_among_cold"]["coverage"] == 1.0


def test_short_histories_are_a_slice_of_users() -> None:
    found = figures(task([[0], [1]], short=[False, True]))
    assert found["slices"]["short_history"]["users"] == 1
    assert found["slices"]["short_history"]["mrr"] == 0.5


def test_coverage_counts_items_that_anybody_sees_among_the_first_ten() -> None:
    found = figures(task([[0], [1]], known=[[], [0]]))
    assert found["coverage"] == pytest.approx(11 / ITEMS)


def test_lists_of_unlike_items_are_fully_diverse() -> None:
    assert figures(task([[0]]))["ild"] == pytest.approx(1.0)


def test_every_key_is_there_and_an_empty_slice_is_null() -> None:
    found = figures(task([[0]]))
    for part in (found, *(found["slices"][name] for name in SLICES)):
        for name in (*METRICS, "ild"):
            assert name in part and f"{name}_ci" in part
        assert {"users", "coverage"} <= set(part)
    assert found["slices"]["cold_items"]["ndcg@10"] is None
    assert found["slices"]["cold_items"]["ndcg@10_ci"] is None


def test_no_users_at_all_give_nulls_and_valid_json() -> None:
    found = figures(task([]))
    assert found["users"] == 0 and found["ndcg@10"] is None
    json.dumps(found, allow_nan=False)


def test_a_method_that_could_not_be_worked_out_has_the_same_keys() -> None:
    def shape(content: dict) -> dict:
        return {k: shape(v) if isinstance(v, dict) else None for k, v in content.items()}

    assert shape(empty_report()) == shape(figures(task([[0]])))


def test_a_difference_is_of_the_same_users() -> None:
    asked = task([[0], [1], [2]])
    worse = judge(asked, lambda users: -in_order(users))
    found = difference(judge(asked, in_order), worse, np.random.default_rng(0))
    assert found["ndcg@10"] > 0.5 and found["ndcg@10_ci"][0] > 0
