"""Who may stand in an answer, and in which places."""

from __future__ import annotations

import numpy as np

from services.recommender.rules import best_first, one_per_group, spread


def test_rows_come_by_falling_score_and_equals_by_row() -> None:
    scores = np.array([1.0, 3.0, 2.0, 3.0], dtype=np.float32)
    allowed = np.array([True, True, False, True])
    assert best_first(scores, allowed).tolist() == [1, 3, 0]


def test_one_item_of_a_group_is_enough_and_the_ungrouped_all_stay() -> None:
    group = np.array([-1, 5, 5, -1, 7, 5])
    assert one_per_group(np.array([2, 0, 1, 5, 3, 4]), group).tolist() == [2, 0, 3, 4]


def test_a_spread_answer_begins_with_the_best_and_avoids_its_likes() -> None:
    scores = np.array([1.0, 0.95, 0.5, 0.0], dtype=np.float32)
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    assert spread(np.arange(4), scores, vectors, 2, 0.5).tolist() == [0, 2]


def test_a_spread_answer_without_diversity_is_the_ranking() -> None:
    scores = np.array([0.3, 0.2, 0.1], dtype=np.float32)
    vectors = np.ones((3, 2), dtype=np.float32)
    assert spread(np.arange(3), scores, vectors, 3, 0.0).tolist() == [0, 1, 2]


def test_nothing_allowed_is_an_empty_answer() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert spread(nothing, np.empty(0, np.float32), np.empty((0, 2), np.float32), 5, 0.5).size == 0
    assert one_per_group(nothing, np.empty(0, np.int64)).size == 0
