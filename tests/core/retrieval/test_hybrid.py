"""Does fusing two lists keep what each side knows?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.retrieval.dense import DenseIndex
from core.retrieval.hybrid import (
    FusedHit,
    HybridIndex,
    reciprocal_rank_fusion,
    tune_weight,
    weighted_sum,
)
from core.retrieval.ids import Hit
from core.retrieval.lexical import LexicalIndex


def hits(**scores: float) -> list[Hit]:
    return sorted((Hit(k, v) for k, v in scores.items()), key=lambda h: (-h.score, h.id))


hit_lists = st.dictionaries(
    st.sampled_from("abcdefgh"), st.integers(-20, 20).map(lambda x: x / 4), max_size=8
).map(lambda scores: hits(**scores))
weights = st.integers(0, 20).map(lambda x: x / 20)


def test_an_id_on_both_lists_beats_ids_on_one() -> None:
    assert [hit.id for hit in reciprocal_rank_fusion([["a", "b"], ["c", "b"]])] == ["b", "a", "c"]


def test_ranks_score_one_over_sixty_plus_rank() -> None:
    assert reciprocal_rank_fusion([["a", "b"]]) == [Hit("a", 1 / 61), Hit("b", 1 / 62)]


def test_an_id_given_twice_counts_where_it_first_stands() -> None:
    assert reciprocal_rank_fusion([["a", "a", "b"]]) == reciprocal_rank_fusion([["a", "b"]])


@given(st.lists(st.permutations("abcd").map(list), min_size=1, max_size=4))
def test_fusing_does_not_depend_on_the_order_of_lists(rankings: list[list[str]]) -> None:
    one = reciprocal_rank_fusion(rankings)
    other = reciprocal_rank_fusion(rankings[::-1])
    assert {h.id: pytest.approx(h.score) for h in one} == {h.id: h.score for h in other}


@given(st.permutations("abcdef"))
def test_one_list_keeps_its_order(ranking: list[str]) -> None:
    assert [hit.id for hit in reciprocal_rank_fusion([ranking])] == list(ranking)


def test_scaled_scores_are_weighed_and_raw_ones_kept() -> None:
    fused = weighted_sum(hits(a=0.9, b=0.5, c=0.4), hits(b=8.0, d=2.0), 0.5)
    assert fused[0] == FusedHit("b", pytest.approx(0.5 * 0.2 + 0.5), 0.5, 8.0)
    assert fused[1] == FusedHit("a", pytest.approx(0.5), 0.9, None)
    assert {hit.id for hit in fused[2:]} == {"c", "d"}


@given(hit_lists, hit_lists, weights)
def test_every_id_comes_once_and_scores_never_rise(dense, lexical, weight: float) -> None:
    fused = weighted_sum(dense, lexical, weight)
    assert sorted(hit.id for hit in fused) == sorted({hit.id for hit in [*dense, *lexical]})
    scores = [hit.score for hit in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(-1e-12 <= score <= 1 + 1e-12 for score in scores)


@given(hit_lists, hit_lists)
def test_a_weight_of_one_or_zero_keeps_the_order_of_that_side(dense, lexical) -> None:
    by_dense = [h.dense for h in weighted_sum(dense, lexical, 1.0) if h.dense is not None]
    assert by_dense == sorted(by_dense, reverse=True)
    by_lexical = [h.lexical for h in weighted_sum(dense, lexical, 0.0) if h.lexical is not None]
    assert by_lexical == sorted(by_lexical, reverse=True)


@given(hit_lists, hit_lists, weights, st.integers(1, 5), st.integers(-8, 8))
def test_the_scale_of_a_side_does_not_matter(dense, lexical, weight, factor, shift) -> None:
    moved = [Hit(hit.id, hit.score * factor + shift) for hit in lexical]
    one = {h.id: h.score for h in weighted_sum(dense, lexical, weight)}
    other = {h.id: h.score for h in weighted_sum(dense, moved, weight)}
    assert one == pytest.approx(other)


def test_two_empty_lists_fuse_to_none() -> None:
    assert weighted_sum([], [], 0.5) == []
    assert reciprocal_rank_fusion([[], []]) == []


def test_tuning_finds_the_side_that_is_right() -> None:
    right, wrong = hits(a=0.9, b=0.1), hits(b=7.0, a=1.0)
    tuned = tune_weight([right] * 3, [wrong] * 3, [{"a"}] * 3)
    assert tuned.mrr == 1
    assert tuned.weight > 0.5
    assert dict(tuned.curve)[0.0] == 0.5
    assert tune_weight([wrong], [right], [{"a"}]).weight < 0.5


@given(
    st.lists(
        st.tuples(hit_lists, hit_lists, st.sets(st.sampled_from("abcdefgh"), min_size=1)),
        min_size=1,
        max_size=4,
    )
)
def test_no_weight_of_the_grid_beats_the_tuned_one(queries) -> None:
    dense, lexical, relevants = zip(*queries, strict=True)
    tuned = tune_weight(dense, lexical, relevants)
    assert tuned.mrr == pytest.approx(max(value for _, value in tuned.curve))
    assert dict(tuned.curve)[tuned.weight] == pytest.approx(tuned.mrr)


def test_tuning_on_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1 query"):
        tune_weight([], [], [])
    with pytest.raises(InvalidInput, match="as many lists as queries"):
        tune_weight([[]], [], [{"a"}])
    with pytest.raises(InvalidInput, match="a relevant id for each"):
        tune_weight([[]], [[]], [set()])


# --- the index: three texts, a toy encoder that counts letters

TEXTS = {"cat": "a cat sat", "dog": "dogs bark loudly", "car": "car engines roar"}


def encode(query: str) -> np.ndarray:
    return np.array([query.count("a"), query.count("o"), 1.0])


def toy(weight: float | None = None) -> HybridIndex:
    index = HybridIndex(DenseIndex(3, "letters@1"), LexicalIndex(), encode, weight)
    index.add(list(TEXTS), list(TEXTS.values()), [encode(text) for text in TEXTS.values()])
    return index


def test_without_a_weight_ranks_are_fused() -> None:
    found = toy().search("cat", 3)
    assert found[0].id == "cat"
    assert found[0].score == pytest.approx(1 / 61 + 1 / 61)
    assert {hit.id for hit in found} == set(TEXTS)


def test_a_query_the_encoder_cannot_read_is_left_to_the_words() -> None:
    def refuse(query: str) -> np.ndarray:
        raise AssertionError(f"encoded {query!r}")

    index = HybridIndex(toy().dense, toy().lexical, refuse, 0.9)
    assert [hit.id for hit in index.search("dogs", 3, trust_dense=False)] == ["dog"]
    assert index.search("zebra", 3, trust_dense=False) == []


def test_a_query_that_was_encoded_already_is_not_encoded_again() -> None:
    index = toy(1.0)
    assert index.search("zzz", 1, embedding=encode("aaaa"))[0].id == "cat"


def test_deleted_ids_are_gone_from_both_sides() -> None:
    index = toy(0.5)
    index.delete(["cat"])
    assert "cat" not in {hit.id for hit in index.search("cat", 5)}


def test_tuning_sets_the_weight_that_search_uses() -> None:
    index = toy()
    tuned = index.tune(["bark", "engines"], [{"dog"}, {"car"}])
    assert index.weight == tuned.weight
    assert tuned.mrr == 1
    assert index.search("bark", 1)[0].id == "dog"


def test_a_weight_outside_zero_and_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"\[0, 1\]"):
        toy(1.5)
    with pytest.raises(InvalidInput, match=r"\[0, 1\]"):
        weighted_sum([], [], -0.1)
    with pytest.raises(InvalidInput, match="k must be at least 0"):
        reciprocal_rank_fusion([], -1)
