"""Is an exported encoder the same as the torch model, whatever stands beside a text?"""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelCorrupt, ModelError, ModelNotFound
from core.files import sha256_of
from core.inference.encoder import UNKNOWN_LIMIT, Encoded, EncoderConfig, TextEncoder
from core.inference.export import export_encoder, load_torch_encoder, pool
from core.inference.onnx_session import FEWEST_ROWS, OnnxSession, pad, shared_session
from core.models import resolve_model

TEXTS = [
    "where is my order",
    "",
    "i want my money back for this broken phone and i want it now please " * 3,
    "shares fall after the company cuts its profit forecast",
    "我的订单在哪里",
    "a",
    "hiking 🎧 in the rain?!",
    "<b>return</b> an item",
]


# --- against plain transformers ------------------------------------------------------------------


def reference(exported: SimpleNamespace, texts: list[str]) -> np.ndarray:
    """What transformers' own tokenizer and model say, one text at a time, mean-pooled."""
    import torch
    from transformers import AutoModel, PreTrainedTokenizerFast

    path = exported.base.path
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"))
    model = AutoModel.from_pretrained(str(path)).eval()
    rows = []
    for text in texts:
        ids = torch.tensor([tokenizer(text, truncation=True, max_length=64)["input_ids"]])
        with torch.no_grad():
            hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        mean = hidden[0].mean(0).numpy()
        rows.append(mean / np.linalg.norm(mean))
    return np.stack(rows)


def test_the_export_gives_what_plain_transformers_give(
    exported: SimpleNamespace, encoder: TextEncoder
) -> None:
    ours = encoder.encode(TEXTS).embeddings
    np.testing.assert_allclose(ours, reference(exported, TEXTS), atol=1e-4)


def test_the_first_token_is_taken_where_the_model_pools_so(
    exported: SimpleNamespace, tmp_path: Path
) -> None:
    import torch

    base = dataclasses.replace(exported.base, pooling="cls")
    export_encoder(load_torch_encoder(base), base, tmp_path)
    encoder = TextEncoder.load(tmp_path, threads=1)
    [tokens] = encoder.tokenize(["where is my order"])
    with torch.no_grad():
        hidden = exported.model(torch.from_numpy(tokens.ids)[None]).last_hidden_state
    first = hidden[0, 0].numpy()
    [ours] = encoder.encode(["where is my order"]).embeddings
    np.testing.assert_allclose(ours, first / np.linalg.norm(first), atol=1e-4)


def test_pooling_leaves_padding_out() -> None:
    import torch

    hidden = torch.tensor([[[6.0, 0.0], [0.0, 8.0], [99.0, -99.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert pool(hidden, mask, "mean").tolist() == [pytest.approx([0.6, 0.8])]
    assert pool(hidden, mask, "cls").tolist() == [pytest.approx([1.0, 0.0])]


def test_an_export_that_differs_from_its_model_is_refused(
    exported: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.inference import export

    trace = export._trace

    def shifted(*args: object) -> object:
        expected, feed = trace(*args)  # type: ignore[arg-type]
        return expected + 0.001, feed

    monkeypatch.setattr(export, "_trace", shifted)
    with pytest.raises(ModelError, match=r"differs from the torch model by 0\.001"):
        export_encoder(exported.model, exported.base, tmp_path)


def test_an_architecture_that_transformers_do_not_ship_is_told(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_base_model, tmp_path / "odd"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "homegrown"}))
    with pytest.raises(ModelError, match="transformers cannot load"):
        load_torch_encoder(resolve_model(str(folder)))


def test_the_exported_folder_holds_what_serving_needs_and_nothing_else(
    exported: SimpleNamespace,
) -> None:
    names = {p.name for p in exported.folder.iterdir()}
    assert names == {"model.onnx", "tokenizer.json", "encoder.json"}
    assert EncoderConfig.load(exported.folder) == exported.config
    assert exported.config.encoder_id == sha256_of(exported.folder / "model.onnx")[:16]
    assert exported.config.precision == "fp32"


# --- shapes and order ----------------------------------------------------------------------------


def test_embeddings_have_unit_length_and_one_row_a_text(encoder: TextEncoder) -> None:
    encoded = encoder.encode(TEXTS)
    assert encoded.embeddings.shape == (len(TEXTS), encoder.dimensions) == (8, 32)
    assert encoded.embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(encoded.embeddings, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows_of_the_same_width(encoder: TextEncoder) -> None:
    encoded = encoder.encode([])
    assert encoded.embeddings.shape == (0, 32)
    assert encoded.unknown_share.shape == encoded.readable.shape == (0,)


def test_what_can_be_read_is_told_from_what_cannot(encoder: TextEncoder) -> None:
    assert encoder.encode(["where is my order", "我的订单", ""]).readable.tolist() == [
        True,
        False,
        False,
    ]
    edge = np.array([UNKNOWN_LIMIT, UNKNOWN_LIMIT + 0.01], dtype=np.float32)
    assert Encoded(np.zeros((2, 1), np.float32), edge).readable.tolist() == [True, False]


@settings(max_examples=25)
@given(order=st.permutations(range(len(TEXTS))))
def test_rows_come_in_the_order_of_the_texts(encoder: TextEncoder, order: list[int]) -> None:
    straight = encoder.encode(TEXTS).embeddings
    shuffled = encoder.encode([TEXTS[i] for i in order]).embeddings
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-5)


# --- neighbours change nothing -------------------------------------------------------------------


def test_in_fp32_a_text_gives_the_same_row_alone_in_a_batch_and_beside_long_texts(
    encoder: TextEncoder,
) -> None:
    together = encoder.encode(TEXTS).embeddings
    for row, text in enumerate(TEXTS):
        alone = encoder.encode([text]).embeddings[0]
        beside = encoder.encode(["very long " * 50, text, "very long " * 50]).embeddings[1]
        np.testing.assert_allclose(alone, together[row], atol=1e-5)
        np.testing.assert_allclose(beside, alone, atol=1e-5)


# --- batches -------------------------------------------------------------------------------------


class CountingGraph:
    """In the place of the ONNX graph: remembers the shape of each batch."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def run(self, outputs: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.shapes.append(feed["input_ids"].shape)
        return [np.repeat(feed["input_ids"][:, :1], 32, axis=1).astype(np.float32)]


def run_counted(exported: SimpleNamespace, lengths: list[int]) -> tuple[CountingGraph, np.ndarray]:
    session = OnnxSession(exported.folder / "model.onnx", threads=1, max_batch_tokens=64)
    session._session = graph = CountingGraph()
    result = session.run([np.full(n, row) for row, n in enumerate(lengths)])
    return graph, result


@given(st.lists(st.integers(1, 80), max_size=30))
def test_batches_keep_the_token_budget_and_the_order(
    exported: SimpleNamespace, lengths: list[int]
) -> None:
    graph, result = run_counted(exported, lengths)
    assert result[:, 0].tolist() == list(range(len(lengths)))
    assert sum(rows for rows, _ in graph.shapes) == len(lengths)
    assert all(rows * width <= 64 or rows <= FEWEST_ROWS for rows, width in graph.shapes)


def test_long_texts_run_a_few_at_a_time(exported: SimpleNamespace) -> None:
    graph, _ = run_counted(exported, [30] * 20)
    assert graph.shapes == [(8, 30), (8, 30), (4, 30)]


def test_texts_of_like_length_run_together(exported: SimpleNamespace) -> None:
    graph, _ = run_counted(exported, [30, 2, 30, 2, 2])
    assert graph.shapes == [(3, 2), (2, 30)]


def test_padding_is_masked_and_no_text_has_zero_width() -> None:
    ids, mask = pad([np.array([5, 6, 7]), np.array([8])])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    ids, mask = pad([np.empty(0, dtype=np.int64)])
    assert (ids.tolist(), mask.tolist()) == ([[0]], [[0]])


def test_a_tokenizer_without_special_tokens_still_takes_an_empty_text(
    exported: SimpleNamespace, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "bare"))
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"post_processor": None}
    path.write_text(json.dumps(content))
    encoded = TextEncoder.load(folder, threads=1).encode(["", "order"])
    assert np.isfinite(encoded.embeddings).all()
    assert encoded.readable.tolist() == [False, True]


# --- broken folders ------------------------------------------------------------------------------


def test_a_folder_without_an_encoder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no encoder"):
        TextEncoder.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("encoder.json", "{half"),
        ("encoder.json", "[]"),
        ("encoder.json", '{"unheard": 1}'),
        ("model.onnx", "not a graph"),
        ("model.onnx", ""),
        ("tokenizer.json", "{}"),
    ],
)
def test_a_broken_file_is_named(
    exported: SimpleNamespace, tmp_path: Path, file: str, content: str
) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "encoder"))
    (folder / file).write_text(content)
    with pytest.raises(ModelCorrupt, match=file) as error:
        TextEncoder.load(folder)
    assert error.value.mend


def test_the_same_weights_are_in_memory_once_and_not_longer_than_somebody_uses_them(
    exported: SimpleNamespace, tmp_path: Path
) -> None:
    copy = tmp_path / "model.onnx"
    shutil.copy(exported.folder / "model.onnx", copy)
    session = shared_session(copy, threads=3)
    assert shared_session(exported.folder / "model.onnx", threads=3) is session
    assert shared_session(copy, threads=4) is not session
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None


def test_without_a_graph_it_is_said_so(exported: SimpleNamespace) -> None:
    with pytest.raises(ModelNotFound, match="Train a model first"):
        shared_session(exported.folder / "none.onnx", threads=1)
