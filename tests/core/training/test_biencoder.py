"""Does each objective bring a query's texts closer, and is the encoder served as any other?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.artifacts import Manifest, verify
from core.data.pairs import TextPair
from core.errors import DataError, InvalidInput
from core.inference.encoder import TextEncoder
from core.training.biencoder import DEFAULTS, KIND, train_bi_encoder
from core.training.loop import RunOptions

# Query words and page words share nothing: only training can tell which belong together.
THINGS = {"order": "arrive", "money": "refund back", "rain": "hiking jacket", "shares": "profit"}
WAYS = (
    *("where is the", "i want my", "when will this", "how do i return an", "a light", "for this"),
    *("where is my", "i want this", "when will it", "how do i", "that i bought", "for a"),
)
PAIRS = [TextPair(f"{way} {thing}", page) for thing, page in THINGS.items() for way in WAYS]
TRIPLETS = [
    TextPair(pair.query, pair.text, None, "hiking jacket" if pair.text == "arrive" else "arrive")
    for pair in PAIRS
]
GRADED = [
    TextPair(pair.query, page, 2.0 if page == pair.text else 0.0)
    for pair in PAIRS
    for page in THINGS.values()
]
QUICK = replace(DEFAULTS, epochs=4, batch_size=4, learning_rate=2e-3, dropout=0.0, patience=4)


def train(base: Path, output: Path, pairs: list[TextPair], **given: Any) -> Manifest:
    objective, options = given.pop("objective", None), given.pop("options", None)
    return train_bi_encoder(
        pairs,
        output,
        objective=objective,
        base_model=str(base),
        config=replace(QUICK, **given),
        threads=1,
        options=options,
    )


@pytest.mark.parametrize(
    ("pairs", "objective", "said"),
    [
        (PAIRS, None, "in_batch"),
        (TRIPLETS, None, "triplets"),
        (GRADED, None, "graded"),
        (GRADED, "listwise", "listwise"),
    ],
)
def test_every_objective_finds_more_than_the_frozen_encoder(
    tiny_base_model: Path, tmp_path: Path, pairs: list[TextPair], objective: Any, said: str
) -> None:
    manifest = train(tiny_base_model, tmp_path / "model", pairs, objective=objective)
    assert manifest.settings["objective"] == said
    figures = manifest.metrics
    assert figures["mrr@10"] > figures["frozen"]["mrr@10"]
    assert figures["mrr@10_gain"] == pytest.approx(figures["mrr@10"] - figures["frozen"]["mrr@10"])
    assert verify(tmp_path / "model", kind=KIND).metrics == figures


def test_the_tuned_encoder_is_served_by_the_text_encoder(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    train(tiny_base_model, tmp_path / "model", PAIRS)
    encoder = TextEncoder.load(tmp_path / "model" / "encoder", threads=1)
    queries = encoder.encode([pair.query for pair in PAIRS]).embeddings
    pages = encoder.encode(list(THINGS.values())).embeddings
    best = (queries @ pages.T).argmax(axis=1)
    right = [list(THINGS.values())[i] == pair.text for i, pair in zip(best, PAIRS, strict=True)]
    assert np.mean(right) > 0.8
    np.testing.assert_allclose(np.linalg.norm(pages, axis=1), 1, atol=1e-5)


def test_serving_reads_as_much_of_a_text_as_training_did(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    train(tiny_base_model, tmp_path / "model", PAIRS, epochs=0, max_tokens=6)
    encoder = TextEncoder.load(tmp_path / "model" / "encoder", threads=1)
    short, long = encoder.encode(["my money back now", "my money back now and then"]).embeddings
    np.testing.assert_allclose(short, long, atol=1e-6)


def test_one_matrix_can_be_learnt_and_is_part_of_the_graph(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    head = {"tune": "head", "head_learning_rate": 2e-2, "epochs": 6}
    manifest = train(tiny_base_model, tmp_path / "model", PAIRS, **head)
    figures = manifest.metrics
    # What is reported is the exported graph's; what picked the epoch was the torch model.
    history = manifest.settings["tuning"]["history"]
    best = history[manifest.settings["tuning"]["best_epoch"]]["MRR@10"]
    assert figures["mrr@10"] == pytest.approx(best, abs=1e-6)
    assert figures["mrr@10"] > figures["frozen"]["mrr@10"]


def test_no_epochs_leave_the_encoder_as_it_was(tiny_base_model: Path, tmp_path: Path) -> None:
    manifest = train(tiny_base_model, tmp_path / "model", PAIRS, epochs=0)
    assert manifest.metrics["mrr@10"] == pytest.approx(manifest.metrics["frozen"]["mrr@10"])
    assert manifest.settings["tuning"]["best_epoch"] == 0


def test_a_resumed_run_ends_like_an_uninterrupted_one(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    whole = train(tiny_base_model, tmp_path / "whole", PAIRS, epochs=2)
    parts = RunOptions(checkpoints=tmp_path / "checkpoints")
    train(tiny_base_model, tmp_path / "half", PAIRS, epochs=2, max_minutes=0.0, options=parts)
    resumed = replace(parts, resume=True)
    rest = train(tiny_base_model, tmp_path / "rest", PAIRS, epochs=2, options=resumed)
    assert rest.settings["tuning"]["history"] == whole.settings["tuning"]["history"]
    assert rest.files["encoder/model.onnx"] == whole.files["encoder/model.onnx"]


@pytest.mark.parametrize(
    ("pairs", "given", "said"),
    [
        (PAIRS, {"objective": "triplets"}, "column `negative`"),
        (PAIRS, {"objective": "listwise"}, "column `relevance`"),
        (PAIRS, {"tune": "lora"}, "tune must be head, top or all"),
        (PAIRS, {"augment": 0.5}, "augment does nothing"),
    ],
)
def test_what_would_do_nothing_is_refused(
    tiny_base_model: Path, tmp_path: Path, pairs: list[TextPair], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        train(tiny_base_model, tmp_path / "model", pairs, **given)


def test_too_few_queries_are_refused(tiny_base_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few"):
        train(tiny_base_model, tmp_path / "model", [TextPair("q", "a")])
