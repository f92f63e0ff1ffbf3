"""Do the right features decide, and do probabilities survive saving and loading?"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import ModelCorrupt
from core.inference.heads import LinearHead, load_heads, save_heads, softmax
from core.inference.ngrams import BUCKETS, SparseRows, featurize

FLAT = np.ones(BUCKETS, dtype=np.float32)


def make_head(**changes: object) -> LinearHead:
    """The embedding votes for its own column, the n-grams of "refund" for the second class."""
    lexical = np.zeros((BUCKETS, 2), dtype=np.float32)
    lexical[featurize(["refund"], FLAT).indices, 1] = 8.0
    head = LinearHead(
        "intent",
        ("order", "refund"),
        np.eye(2, dtype=np.float32) * 4,
        np.zeros(2, dtype=np.float32),
        lexical,
        np.array([1.0, 0.0], dtype=np.float32),
    )
    return dataclasses.replace(head, **changes)  # type: ignore[arg-type]


def logits(head: LinearHead, text: str, readable: bool) -> list[float]:
    embedding = np.array([[1.0, 0.0]], dtype=np.float32)  # says "order"
    return head.logits(embedding, featurize([text], FLAT), np.array([readable]))[0].tolist()


def test_a_readable_text_is_judged_by_its_embedding_alone_where_the_n_grams_weigh_nothing() -> None:
    assert logits(make_head(lexical_weight=0.0), "refund", readable=True) == [4.0, 0.0]


def test_a_readable_text_is_judged_by_both_where_the_n_grams_have_a_weight() -> None:
    grams = float(np.linalg.norm(featurize(["refund"], FLAT).values, 1)) * 8.0
    [order, refund] = logits(make_head(lexical_weight=0.5), "refund", readable=True)
    assert order == pytest.approx(4.0 + 0.5 * 1.0)
    assert refund == pytest.approx(0.5 * grams, rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_an_unreadable_text_is_judged_by_its_n_grams_alone(weight: float) -> None:
    head = make_head(lexical_weight=weight)
    grams = float(np.linalg.norm(featurize(["refund"], FLAT).values, 1)) * 8.0
    assert logits(head, "refund", readable=False) == pytest.approx([1.0, grams], rel=1e-5)
    assert logits(head, "", readable=False) == [1.0, 0.0]


def test_each_kind_of_text_has_its_own_temperature() -> None:
    head = make_head(temperature=2.0, lexical_temperature=0.5)
    embeddings = np.array([[1.0, 0.0]] * 2, dtype=np.float32)
    said = head.predict(embeddings, featurize(["", ""], FLAT), np.array([True, False]))
    np.testing.assert_allclose(said.probabilities[0], softmax(np.array([[4 / 2.0, 0.0]]))[0])
    np.testing.assert_allclose(said.probabilities[1], softmax(np.array([[1 / 0.5, 0.0]]))[0])


def test_the_best_label_has_the_highest_probability_and_lends_its_confidence() -> None:
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    said = make_head().predict(embeddings, featurize(["", ""], FLAT), np.array([True, True]))
    assert said.best.tolist() == [0, 1]
    assert said.best_labels == ["order", "refund"]
    np.testing.assert_array_equal(said.confidence, said.probabilities.max(axis=1))


def test_no_texts_give_no_predictions() -> None:
    nothing = SparseRows(np.empty(0, np.int32), np.empty(0, np.float32), np.zeros(1, np.int64))
    said = make_head().predict(np.empty((0, 2), np.float32), nothing, np.empty(0, np.bool_))
    assert said.probabilities.shape == (0, 2)
    assert said.best_labels == []


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32)))
def test_probabilities_are_positive_and_sum_to_one_also_for_extreme_logits(
    values: np.ndarray,
) -> None:
    p = softmax(values)
    assert np.isfinite(p).all()
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (p[np.arange(3), values.argmax(axis=1)] == p.max(axis=1)).all()


# --- files ---------------------------------------------------------------------------------------


def test_heads_come_back_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    head = make_head(lexical_weight=0.4, temperature=1.7, lexical_temperature=0.9)
    idf = np.linspace(1, 5, BUCKETS, dtype=np.float32)
    save_heads([head], idf, path)
    [loaded], loaded_idf = load_heads(path, {"intent": head.settings()})
    np.testing.assert_array_equal(loaded_idf, idf)
    assert loaded.settings() == head.settings()
    assert loaded.labels == head.labels
    for name in ("weight", "bias", "lexical", "lexical_bias"):
        np.testing.assert_allclose(getattr(loaded, name), getattr(head, name), rtol=1e-3)
        assert getattr(loaded, name).dtype == np.float32


def test_several_heads_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    heads = [make_head(name="topic"), make_head(name="sentiment", temperature=3.0)]
    save_heads(heads, FLAT, path)
    loaded, _ = load_heads(path, {head.name: head.settings() for head in heads})
    assert [(head.name, head.temperature) for head in loaded] == [
        ("topic", 1.0),
        ("sentiment", 3.0),
    ]


def test_a_missing_head_is_named(tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    save_heads([make_head()], FLAT, path)
    with pytest.raises(ModelCorrupt, match=r"topic\.weight"):
        load_heads(path, {"topic": make_head().settings()})


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_a_missing_or_broken_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "heads.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"heads\.safetensors cannot be read"):
        load_heads(path, {"intent": make_head().settings()})
