"""Does a cross-encoder learn which text answers, from given and from mined wrong ones?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.artifacts import Manifest, verify
from core.data.pairs import TextPair, all_texts
from core.errors import ArtifactError, DataError, InvalidInput
from core.inference.reranker import KIND, Reranker
from core.models import resolve_model
from core.training.loop import RunOptions
from core.training.reranker import DEFAULTS, labelled_rows, search, train_reranker

# Both texts of a thing share its word, so that BM25 finds both, the wrong one first (of equal
# scores the earlier text); only the other answers.
THINGS = ("order", "money", "phone", "jacket", "item", "rain")
WAYS = (
    *("where is my", "i want the", "when will this", "how do i return an", "for a light"),
    *("where is the", "i want my", "when will it", "how do i", "for this"),
)
PAIRS = [TextPair(f"{way} {thing}", f"{thing} now") for thing in THINGS for way in WAYS]
LABELLED = [
    TextPair(pair.query, text, grade)
    for pair in PAIRS
    for text, grade in ((f"{pair.text.split()[0]} broken", 0.0), (pair.text, 1.0))
]
QUICK = replace(
    DEFAULTS, epochs=4, batch_size=8, learning_rate=2e-3, head_learning_rate=1e-2, dropout=0.0
)


def train(base: Path, output: Path, pairs: list[TextPair] = LABELLED, **given: Any) -> Manifest:
    others = {n: given.pop(n) for n in ("negatives", "mine", "options") if n in given}
    return train_reranker(
        pairs, output, base_model=str(base), config=replace(QUICK, **given), threads=1, **others
    )


@pytest.fixture(scope="module")
def artifact(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rerank") / "model"
    train(tiny_base_model, folder)
    return folder


def test_the_answer_comes_before_the_text_that_only_shares_the_word(artifact: Path) -> None:
    metrics = verify(artifact, kind=KIND).metrics
    assert metrics["search"]["mrr@10"] == 0.5
    assert metrics["mrr@10"] > 0.9
    reranker = Reranker.load(artifact, threads=1)
    order = reranker.rerank("where is my order", ["order broken", "order now"])
    assert [position for position, _ in order] == [1, 0]


def test_scores_are_shares_and_a_pair_keeps_its_score_beside_others(artifact: Path) -> None:
    reranker = Reranker.load(artifact, threads=1)
    pairs = [("", ""), ("我的订单", "订单"), ("i want", "order " * 300), ("\ud800", "x")]
    scores = reranker.score(pairs)
    assert ((scores >= 0) & (scores <= 1)).all()
    alone = [float(reranker.score([pair])[0]) for pair in pairs]
    np.testing.assert_allclose(scores, alone, atol=1e-4)
    assert reranker.score([]).shape == (0,)
    assert reranker.rerank("order", []) == []


def test_the_order_of_query_and_text_matters_to_the_model(artifact: Path) -> None:
    reranker = Reranker.load(artifact, threads=1)
    there, back = reranker.score([("where is my order", "money"), ("money", "where is my order")])
    assert there != back


def test_serving_never_imports_torch(artifact: Path, run_python: Callable[..., str]) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from core.inference.reranker import Reranker\n"
        "Reranker.load(Path(sys.argv[1])).score([('a', 'b')])\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    assert run_python(code, str(artifact)) == "False False"


def test_another_kind_of_model_is_refused(artifact: Path) -> None:
    with pytest.raises(ArtifactError, match="holds a reranker model"):
        verify(artifact, kind="token_classifier")


def test_wrong_texts_are_mined_from_what_the_search_finds(tiny_base_model: Path) -> None:
    base = resolve_model(str(tiny_base_model))
    pairs = [TextPair("my order", "the order page"), TextPair("no money", "the money page")]
    texts = [*all_texts(pairs), "order of things", "rain"]
    found = search(["my order"], texts, "bm25", base, 1)
    assert set(found["my order"]) == {"the order page", "order of things"}
    rows = labelled_rows(pairs, found, 4, np.random.default_rng(0))
    assert list(zip(rows["query"], rows["text"], rows["label"], strict=True)) == [
        ("my order", "the order page", 1.0),
        ("no money", "the money page", 1.0),
        ("my order", "order of things", 0.0),
    ]


def test_no_more_wrong_texts_than_asked_are_mined() -> None:
    found = {"q": [f"t{i}" for i in range(9)]}
    rows = labelled_rows([TextPair("q", "t0")], found, 3, np.random.default_rng(0))
    assert rows["label"] == [1.0, 0.0, 0.0, 0.0]
    assert "t0" not in rows["text"][1:]


def test_given_wrong_texts_are_taken_instead() -> None:
    pairs = [TextPair("q", "a", None, "b"), TextPair("r", "a", 1.0), TextPair("r", "c", 0.0)]
    found = {"q": ["z"], "r": ["z"]}
    rows = labelled_rows(pairs, found, 4, np.random.default_rng(0))
    assert set(zip(rows["query"], rows["text"], rows["label"], strict=True)) == {
        ("q", "a", 1.0),
        ("q", "b", 0.0),
        ("r", "a", 1.0),
        ("r", "c", 0.0),
    }


def test_the_dense_search_finds_a_text_by_itself_first(tiny_base_model: Path) -> None:
    base = resolve_model(str(tiny_base_model))
    texts = [f"{thing} now" for thing in THINGS]
    found = search(["order now", "rain now"], texts, "dense", base, 1)
    assert [found["order now"][0], found["rain now"][0]] == ["order now", "rain now"]


def test_a_resumed_run_ends_like_an_uninterrupted_one(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    whole = train(tiny_base_model, tmp_path / "whole", epochs=2)
    parts = RunOptions(checkpoints=tmp_path / "checkpoints")
    train(tiny_base_model, tmp_path / "half", epochs=2, max_minutes=0.0, options=parts)
    resumed = replace(parts, resume=True)
    rest = train(tiny_base_model, tmp_path / "rest", epochs=2, options=resumed)
    assert rest.settings["tuning"]["history"] == whole.settings["tuning"]["history"]
    assert rest.files["model.onnx"] == whole.files["model.onnx"]


def test_what_cannot_be_trained_is_refused(tiny_base_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="negatives must be at least 1, was: 0"):
        train(tiny_base_model, tmp_path / "model", negatives=0)
    with pytest.raises(InvalidInput, match="contrastive does nothing"):
        train(tiny_base_model, tmp_path / "model", contrastive=1.0)
    alone = [TextPair("order", "order"), TextPair("rain", "rain")]
    with pytest.raises(DataError, match="no wrong text"):
        train(tiny_base_model, tmp_path / "model", alone)
