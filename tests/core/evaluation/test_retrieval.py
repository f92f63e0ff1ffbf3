"""Is a hit beyond the tenth place worth nothing, and the first worth one?"""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.retrieval import metrics_at, search_metrics, with_intervals


def test_the_rank_of_the_first_hit_counts_up_to_k() -> None:
    metrics = metrics_at([[1], [2, 4], [11], [0]])
    np.testing.assert_allclose(metrics["mrr@10"], [1, 0.5, 0, 0])
    np.testing.assert_allclose(metrics["recall@10"], [1, 1, 0, 0])


def test_half_of_two_found_is_half_the_recall() -> None:
    assert metrics_at([[3, 12]])["recall@10"].tolist() == [0.5]


def test_texts_are_ranked_by_inner_product() -> None:
    texts = np.eye(3)
    queries = np.array([[0.1, 0.9, 0.0], [0.5, 0.4, 0.9]])
    metrics = search_metrics(queries, texts, [[1], [0]])
    np.testing.assert_allclose(metrics["mrr@10"], [1, 0.5])


def test_many_queries_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    queries, texts = rng.normal(size=(300, 4)), rng.normal(size=(40, 4))
    relevant = [[i % 40] for i in range(300)]
    together = search_metrics(queries, texts, relevant)["mrr@10"]
    alone = [search_metrics(queries[i : i + 1], texts, relevant[i : i + 1]) for i in (0, 255, 299)]
    assert [float(of["mrr@10"][0]) for of in alone] == together[[0, 255, 299]].tolist()


def test_the_report_has_means_with_intervals() -> None:
    report = with_intervals({"mrr@10": np.array([1.0, 0.0, 1.0, 0.0])}, 0)
    assert report["mrr@10"] == 0.5
    low, high = report["mrr@10_ci"]
    assert low < 0.5 < high
    assert with_intervals({"x": np.ones(3)}, 0)["x_ci"] == pytest.approx([1, 1])
