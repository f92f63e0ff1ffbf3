"""Do the ranking metrics agree with hand-made lists, with scikit-learn, and with one another?"""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score
from sklearn.metrics.pairwise import cosine_distances

from core.errors import InvalidInput
from core.evaluation.ranking import (
    catalogue_coverage,
    concatenate,
    ild,
    mean_metrics,
    mrr,
    ndcg_at_k,
    precision_at_k,
    rank_metrics,
    ranks_from_scores,
    recall_at_k,
    top_k_items,
)

lists = st.permutations(range(8)).flatmap(
    lambda ranked: st.tuples(
        st.just(ranked), st.sets(st.integers(0, 7), max_size=8), st.integers(1, 10)
    )
)


@pytest.mark.parametrize(
    ("ranked", "relevant", "value"),
    [
        ("abc", "a", 1.0),
        ("abc", "b", 0.5),
        ("abc", "bc", 0.5),
        ("abc", "z", 0.0),
        ("", "a", 0.0),
    ],
    ids=["first relevant", "second relevant", "the first hit counts", "none", "empty list"],
)
def test_reciprocal_rank(ranked: str, relevant: str, value: float) -> None:
    assert mrr(ranked, relevant) == value


def test_a_hit_after_the_cut_has_no_reciprocal_rank() -> None:
    assert mrr("abc", "c", k=2) == 0


@pytest.mark.parametrize(
    ("ranked", "relevant", "k", "value"),
    [
        ("abc", "a", 3, 1.0),
        ("abc", "ab", 3, 1.0),
        ("bac", "a", 3, 1 / math.log2(3)),
        ("axb", "ab", 3, (1 + 1 / 2) / (1 + 1 / math.log2(3))),
        ("abc", "abcdef", 2, 1.0),
        ("xyz", "a", 3, 0.0),
    ],
    ids=["first", "all first", "second", "with a gap", "more relevant than places", "none"],
)
def test_ndcg(ranked: str, relevant: str, k: int, value: float) -> None:
    assert ndcg_at_k(ranked, relevant, k) == pytest.approx(value)


def test_recall_divides_by_the_relevant_and_precision_by_the_places() -> None:
    assert recall_at_k("abcd", "adz", 2) == pytest.approx(1 / 3)
    assert precision_at_k("abcd", "adz", 2) == 0.5
    assert precision_at_k("a", "a", 10) == 0.1


def test_an_id_that_stands_twice_counts_once() -> None:
    assert recall_at_k("aab", "ab", 3) == 1
    assert ndcg_at_k("aa", "a", 2) == 1


@pytest.mark.parametrize("metric", [ndcg_at_k, recall_at_k, precision_at_k, mrr])
def test_a_user_without_relevant_items_has_no_figure(metric) -> None:
    assert math.isnan(metric("abc", "", 2))


@given(lists)
def test_ndcg_agrees_with_scikit_learn(case) -> None:
    ranked, relevant, k = case
    if not relevant:
        return
    truth = [[float(item in relevant) for item in range(8)]]
    scores = [[-float(ranked.index(item)) for item in range(8)]]
    assert ndcg_at_k(ranked, relevant, k) == pytest.approx(ndcg_score(truth, scores, k=k))


@given(lists)
def test_figures_are_shares_and_moving_a_hit_up_never_harms(case) -> None:
    ranked, relevant, k = case
    if not relevant:
        return
    sorted_list = sorted(ranked, key=lambda item: item not in relevant)
    for metric in (ndcg_at_k, recall_at_k, precision_at_k, mrr):
        assert 0 <= metric(ranked, relevant, k) <= metric(sorted_list, relevant, k) <= 1 + 1e-12


def test_coverage_counts_each_item_once() -> None:
    assert catalogue_coverage(["ab", "bc"], 6) == 0.5
    assert catalogue_coverage(["ab", "bc"], 4, k=1) == 0.5
    with pytest.raises(InvalidInput, match="catalogue_size"):
        catalogue_coverage([], 0)


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    assert ild([[1, 0], [2, 0]]) == pytest.approx(0)
    assert ild([[1, 0], [0, 3]]) == pytest.approx(1)
    assert ild([[1, 0], [-1, 0]]) == pytest.approx(2)
    assert math.isnan(ild([[1, 0]]))
    vectors = np.random.default_rng(0).normal(size=(9, 4))
    pairs = cosine_distances(vectors)[np.triu_indices(9, 1)]
    assert ild(vectors) == pytest.approx(pairs.mean())


# --- many users at once


@given(
    st.integers(0, 1000),
    st.integers(1, 5),
    st.booleans(),
)
def test_the_batch_equals_one_by_one(seed: int, users: int, tied: bool) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 4, (users, 12)).astype(float) if tied else draw.random((users, 12))
    relevants = [draw.choice(12, draw.integers(0, 5), replace=False) for _ in range(users)]
    known = [
        np.setdiff1d(draw.choice(12, draw.integers(0, 4), replace=False), relevant)
        for relevant in relevants
    ]
    by_scores = rank_metrics(relevants, scores=scores, exclude=known)
    by_lists = rank_metrics(relevants, ranked=top_k_items(scores, 12, known))
    for user in range(users):
        order = [i for i in np.argsort(-scores[user], kind="stable") if i not in known[user]]
        wanted = set(relevants[user].tolist())
        expected = {
            "ndcg@10": ndcg_at_k(order, wanted, 10),
            "recall@10": recall_at_k(order, wanted, 10),
            "recall@20": recall_at_k(order, wanted, 20),
            "mrr": mrr(order, wanted),
        }
        for batch in (by_scores, by_lists):
            assert {name: values[user] for name, values in batch.items()} == pytest.approx(
                expected, nan_ok=True
            )


def test_an_excluded_or_unscored_relevant_item_is_not_ranked() -> None:
    ranks = ranks_from_scores([[3.0, -np.inf, 1.0]], [[0, 1, 2]], [[0]])
    assert ranks[0].tolist() == [0, 0, 1]
    assert rank_metrics([[0]], scores=[[3.0, 2.0]], exclude=[[0]])["mrr"].tolist() == [0]


def test_lists_are_padded_where_few_items_are_left() -> None:
    top = top_k_items([[1.0, -np.inf, 3.0]], 5, [[0]])
    assert top.tolist() == [[2, -1, -1, -1, -1]]
    assert rank_metrics([[1]], ranked=top)["mrr"].tolist() == [0]


def test_blocks_of_users_join_and_means_leave_out_the_undefined() -> None:
    blocks = [
        rank_metrics([[0], []], scores=[[2.0, 1.0], [2.0, 1.0]]),
        rank_metrics([[1]], scores=[[2.0, 1.0]]),
    ]
    joined = concatenate(blocks)
    assert joined["mrr"] == pytest.approx([1, math.nan, 0.5], nan_ok=True)
    assert mean_metrics(joined)["mrr"] == 0.75
    assert mean_metrics(rank_metrics([[]], scores=[[1.0]]))["mrr"] is None


def test_2000_users_over_20000_items_take_seconds() -> None:
    draw = np.random.default_rng(0)
    block = draw.random((200, 20_000), dtype=np.float32)
    relevants = [draw.choice(20_000, 8, replace=False) for _ in range(200)]
    started = time.perf_counter()
    metrics = rank_metrics(relevants, scores=block)
    assert (time.perf_counter() - started) * 10 < 30  # a tenth of the users; slack for slow boxes
    assert metrics["recall@20"].mean() == pytest.approx(20 / 20_000, abs=0.005)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InvalidInput, match="either scores or ranked"):
        rank_metrics([[0]])
    with pytest.raises(InvalidInput, match="exclude goes with scores"):
        rank_metrics([[0]], ranked=[[0]], exclude=[[0]])
    with pytest.raises(InvalidInput, match="for 1 users"):
        rank_metrics([[0]], scores=[[1.0], [2.0]])
    with pytest.raises(InvalidInput, match="from 0 to 2"):
        rank_metrics([[5]], scores=[[1.0, 2.0]])
    with pytest.raises(InvalidInput, match="hold NaN"):
        rank_metrics([[0]], scores=[[np.nan, 2.0]])
