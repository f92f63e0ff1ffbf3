"""Has every text features, also one that no encoder can read?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.inference.ngrams import (
    BUCKETS,
    SparseRows,
    document_frequency_weights,
    featurize,
    grams,
)

TEXTS = st.text(st.characters(), max_size=80)  # surrogates too
FLAT = np.ones(BUCKETS, dtype=np.float32)


def row(rows: SparseRows, i: int) -> tuple[np.ndarray, np.ndarray]:
    span = slice(rows.starts[i], rows.starts[i + 1])
    return rows.indices[span], rows.values[span]


def dense(rows: SparseRows) -> np.ndarray:
    full = np.zeros((len(rows), BUCKETS), dtype=np.float32)
    for i in range(len(rows)):
        indices, values = row(rows, i)
        full[i, indices] = values
    return full


def similarity(left: str, right: str) -> float:
    a, b = dense(featurize([left, right], FLAT))
    return float(a @ b)


# --- which grams ---------------------------------------------------------------------------------


def test_a_word_gives_itself_and_its_grams_with_both_boundaries() -> None:
    assert set(grams("refund")) == {
        "<refund>",
        *("<re", "ref", "efu", "fun", "und", "nd>"),
        *("<ref", "refu", "efun", "fund", "und>"),
        *("<refu", "refun", "efund", "fund>"),
    }


def test_a_gram_as_long_as_the_word_is_counted_once() -> None:
    assert list(grams("a")) == ["<a>"]
    assert sorted(grams("ab")) == sorted(["<ab>", "<ab", "ab>"])


def test_a_script_without_spaces_gives_its_characters_pairs_and_triples() -> None:
    assert set(grams("我要退")) == {"我", "要", "退", "我要", "要退", "我要退"}


def test_scripts_that_stand_together_are_taken_apart() -> None:
    assert {"<usb>", "线", "<c>"} <= set(grams("usb线c"))


@pytest.mark.parametrize("text", ["", "   ", "!?…", "\x00", "🎧", "\ud83d", "___"])
def test_a_text_without_words_has_no_features(text: str) -> None:
    rows = featurize([text], FLAT)
    assert (len(rows), len(rows.indices)) == (1, 0)


def test_case_and_width_make_no_difference() -> None:
    assert set(grams("REFUND")) == set(grams("refund")) == set(grams("ｒｅｆｕｎｄ"))


def test_work_on_a_megabyte_is_bounded() -> None:
    assert len(list(grams("order " * 170_000))) < 10_000
    assert len(list(grams("x" * 1_000_000))) < 200
    assert len(list(grams("退" * 1_000_000))) < 10_000


# --- how like are texts --------------------------------------------------------------------------


def test_a_typo_leaves_a_word_like_itself() -> None:
    assert similarity("where is my refund", "where is my refudn") > 0.6
    assert similarity("refund", "warranty") == 0


def test_chinese_questions_on_one_matter_are_more_alike() -> None:
    assert similarity("我要退款", "怎么退款") > similarity("我要退款", "订单在哪里") + 0.2


# --- numbers -------------------------------------------------------------------------------------


@given(st.lists(TEXTS, max_size=4))
def test_rows_have_unit_length_or_none_and_their_indices_ascend(texts: list[str]) -> None:
    rows = featurize(texts, document_frequency_weights(texts))
    assert len(rows) == len(texts)
    assert rows.starts[-1] == len(rows.indices) == len(rows.values)
    assert (rows.indices.dtype, rows.values.dtype) == (np.int32, np.float32)
    for i in range(len(texts)):
        indices, values = row(rows, i)
        assert (np.diff(indices) > 0).all()
        assert ((indices >= 0) & (indices < BUCKETS)).all()
        assert len(values) == 0 or math.isclose(np.linalg.norm(values), 1, rel_tol=1e-5)


@given(st.lists(TEXTS, max_size=4))
def test_features_are_the_same_every_time_and_whatever_stands_beside(texts: list[str]) -> None:
    together = featurize(texts, FLAT)
    again = featurize(texts, FLAT)
    assert np.array_equal(together.indices, again.indices)
    assert np.array_equal(together.values, again.values)
    for i, text in enumerate(texts):
        alone = featurize([text], FLAT)
        assert np.array_equal(alone.indices, row(together, i)[0])
        assert np.array_equal(alone.values, row(together, i)[1])


@given(st.lists(TEXTS, max_size=4))
def test_the_sparse_product_is_the_dense_one(texts: list[str]) -> None:
    rows = featurize(texts, FLAT)
    weight = np.random.default_rng(0).normal(size=(BUCKETS, 3)).astype(np.float32)
    np.testing.assert_allclose(rows.dot(weight), dense(rows) @ weight, atol=1e-4)


def test_a_gram_keeps_its_bucket_from_one_release_to_the_next() -> None:
    """Trained heads depend on it."""
    assert featurize(["a"], FLAT).indices.tolist() == [683], "CRC-32 of <a>, below 32,768"


def test_grams_of_every_text_weigh_less_than_rare_ones() -> None:
    weights = document_frequency_weights(["a b", "a c", "a d"])
    bucket = {word: featurize([word], FLAT).indices[0] for word in "abz"}
    assert weights[bucket["a"]] == pytest.approx(1.0)
    assert weights[bucket["b"]] == pytest.approx(math.log(4 / 2) + 1)
    assert weights[bucket["z"]] == pytest.approx(math.log(4 / 1) + 1)


def test_a_repeated_gram_counts_more_but_less_than_twice() -> None:
    indices, values = row(featurize(["a a b"], FLAT), 0)
    a, b = (values[list(indices).index(featurize([w], FLAT).indices[0])] for w in "ab")
    assert a / b == pytest.approx(1 + math.log(2))
