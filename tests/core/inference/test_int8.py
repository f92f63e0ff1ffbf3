"""Does an int8 graph say what its fp32 graph says, whatever stands beside a text?"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.inference.encoder import TextEncoder
from core.inference.int8 import Ranges, channel_scales, quantise
from core.inference.onnx_session import OnnxSession

CALIBRATION = [f"where is my order {i} and when will it come" for i in range(40)]
TEXTS = [
    "where is my order",
    "i want my money back for this broken phone",
    "shares fall",
    "",
    "very long " * 30,
    "我的订单在哪里",
]


@pytest.fixture(scope="module")
def int8(exported: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "model.onnx"
    tokens = TextEncoder.load(exported.folder, threads=1).tokenize(CALIBRATION)
    quantise(exported.folder / "model.onnx", path, [t.ids for t in tokens], threads=1)
    return path


@pytest.fixture(scope="module")
def session(int8: Path) -> OnnxSession:
    return OnnxSession(int8, threads=1)


def ids_of(encoder: TextEncoder, texts: list[str]) -> list[np.ndarray]:
    return [tokens.ids for tokens in encoder.tokenize(texts)]


def test_int8_embeddings_lie_close_to_fp32_also_on_texts_unlike_the_calibrating_ones(
    encoder: TextEncoder, session: OnnxSession
) -> None:
    cosines = (session.run(ids_of(encoder, TEXTS)) * encoder.encode(TEXTS).embeddings).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.max() < 1 - 1e-7, "int8 and fp32 are not the same graph"


def test_in_int8_a_text_gives_the_same_row_alone_and_in_a_batch(
    encoder: TextEncoder, session: OnnxSession
) -> None:
    ids = ids_of(encoder, TEXTS)
    alone = np.concatenate([session.run([one]) for one in ids])
    np.testing.assert_allclose(session.run(ids), alone, atol=1e-5)


def test_every_product_with_weights_runs_on_integers(exported: SimpleNamespace, int8: Path) -> None:
    import onnx

    before, after = (
        [node.op_type for node in onnx.load(str(path)).graph.node]
        for path in (exported.folder / "model.onnx", int8)
    )
    # The products inside a fused attention, query, key and value, stand alone afterwards.
    expected = before.count("MatMul") + 3 * before.count("Attention")
    assert expected > 0
    assert after.count("MatMulIntegerToFloat") == expected
    assert "MatMul" not in after
    assert "Attention" not in after


def test_weights_take_one_byte_and_the_old_ones_are_gone(int8: Path) -> None:
    import onnx

    tensors = onnx.load(str(int8)).graph.initializer
    matrices = [t for t in tensors if len(t.dims) == 2 and "embed" not in t.name.lower()]
    assert matrices
    assert {t.data_type for t in matrices} == {onnx.TensorProto.INT8}


def test_attention_of_an_unknown_form_is_left_as_it_is(
    exported: SimpleNamespace, tmp_path: Path
) -> None:
    import onnx

    model = onnx.load(str(exported.folder / "model.onnx"))
    for node in model.graph.node:
        if node.op_type == "Attention":
            node.attribute.append(onnx.helper.make_attribute("unidirectional", 0))
    odd, target = tmp_path / "odd.onnx", tmp_path / "int8.onnx"
    onnx.save(model, str(odd))
    quantise(odd, target, [np.array([1, 2, 3])], threads=1)
    kinds = [node.op_type for node in onnx.load(str(target)).graph.node]
    assert "Attention" in kinds
    assert "MultiHeadAttention" not in kinds
    assert OnnxSession(target, threads=1).run([np.array([1, 2, 3])]).shape == (1, 32)


values = st.floats(-1e3, 1e3, width=32)


@given(hnp.arrays(np.float32, (6, 4), elements=values), hnp.arrays(np.float64, (4, 3)))
def test_no_calibrated_value_is_cut_off(activations: np.ndarray, weight: np.ndarray) -> None:
    weight = np.nan_to_num(weight, posinf=0, neginf=0).clip(-10, 10)
    scales, zero = channel_scales(Ranges(activations.min(axis=0), activations.max(axis=0)), weight)
    steps = np.rint(activations / scales) + zero
    assert steps.min() >= 0
    assert steps.max() <= 255
    assert 0 <= zero <= 255
    assert (scales > 0).all()
