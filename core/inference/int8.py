"""How does an fp32 encoder graph become an int8 one?

Each product with constant weights, X W, is computed on integers: X as uint8, W as int8. One scale
for all of X is too coarse, since a few channels of a transformer's activations are far wider than
the rest. So each channel c of X has a scale s_c and a zero point z_c of its own, and the scales are
folded into the weights, as in SmoothQuant (Xiao et al. 2023, arXiv:2211.10438):

    X W  ≈  Σ_c (Q_c − z_c) s_c W_c  =  Q W'  −  z W',      W'_c = s_c W_c

W' is quantised per column; z W' is constant and becomes part of the bias. With range r_c of a
channel and its largest weight w_c, s_c is proportional to r_c^α / w_c^(1−α), as small as leaves no
calibrated value out: α = 1 asks all of the weights, α = 0 all of the activations.

The scales are fixed beforehand on calibration texts. So nothing depends on what else is in the
batch, and one QuantizeLinear a product is all the extra work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.inference.onnx_session import pad

# Of .3 to 1 the best on BANKING77 training rows (benchmarks/README.md).
ALPHA = 0.9
_MICROSOFT = "com.microsoft"

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest value of each channel of one activation, (channels,) each."""

    low: FloatArray
    high: FloatArray

    def wider(self, values: FloatArray) -> Ranges:
        """These ranges, with `values` (tokens, channels) inside them."""
        return Ranges(
            np.minimum(self.low, values.min(axis=0)), np.maximum(self.high, values.max(axis=0))
        )


def quantise(
    source: Path, target: Path, sequences: Sequence[npt.NDArray[np.int64]], *, threads: int
) -> None:
    """Write the int8 form of the graph `source`, calibrated on token ids of texts."""
    import onnx

    model = onnx.load(str(source))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if _is_product(node, weights)]
    ranges = _calibrate(source, {node.input[0] for node in products}, sequences, threads)
    rewriter = _Rewriter(weights, ranges)
    nodes = [
        made
        for node in model.graph.node
        for made in (rewriter.replaced(node) if _is_product(node, weights) else [node])
    ]
    used = {name for node in nodes for name in node.input}
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(t for name, t in rewriter.tensors.items() if name in used)
    onnx.save(model, str(target))


def _is_product(node: Any, weights: dict[str, Any]) -> bool:
    """Whether the node multiplies activations by constant weights in a form that we know."""
    if node.op_type == "MatMul":
        return node.input[1] in weights and node.input[0] not in weights
    if node.op_type != "Attention":
        return False
    plain = {"num_heads", "scale", "mask_filter_value"}
    return (
        all(name in weights for name in node.input[1:3])
        and not any(node.input[4:])
        and {attribute.name for attribute in node.attribute} <= plain
    )


def _calibrate(
    source: Path, names: set[str], sequences: Sequence[npt.NDArray[np.int64]], threads: int
) -> dict[str, Ranges]:
    """The ranges of the named activations over all texts, each run alone (no padding in them)."""
    import onnx
    import onnxruntime as ort

    model = onnx.load(str(source))
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in sorted(names)
    )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    ranges: dict[str, Ranges] = {}
    for sequence in sequences:
        ids, mask = pad([sequence])
        found = session.run(sorted(names), {"input_ids": ids, "attention_mask": mask})
        for name, values in zip(sorted(names), found, strict=True):
            known = ranges.get(name, Ranges(values[0, 0], values[0, 0]))
            ranges[name] = known.wider(values[0])
    return ranges


class _Rewriter:
    """Replaces nodes; `tensors` are the constants of the new graph."""

    def __init__(self, weights: dict[str, Any], ranges: dict[str, Ranges]) -> None:
        self._ranges = ranges
        self.tensors = dict(weights)

    def replaced(self, node: Any) -> Iterator[Any]:
        """The integer form of one product."""
        from onnx import helper, numpy_helper

        weight = numpy_helper.to_array(self.tensors[node.input[1]]).astype(np.float64)
        scales, zero = channel_scales(self._ranges[node.input[0]], weight)
        even, quantised = f"{node.name}_even", f"{node.name}_quantised"
        # A QuantizeLinear with a scale a channel would do it alone, a hundred times slower.
        factors = self._constant(f"{node.name}_factors", (1 / scales).astype(np.float32))
        yield helper.make_node("Mul", [node.input[0], factors], [even])
        shift = self._constant(f"{node.name}_zero", np.array(zero, dtype=np.uint8))
        yield helper.make_node("QuantizeLinear", [even, self._one(), shift], [quantised])
        scaled = weight * scales[:, None]
        if node.op_type == "MatMul":
            yield self._product(quantised, scaled, shift, None, node.output[0])
            return
        bias = numpy_helper.to_array(self.tensors[node.input[2]]).astype(np.float64)
        parts = [f"{node.name}_{part}" for part in ("query", "key", "value")]
        for part, columns, offset in zip(
            parts, np.split(scaled, 3, axis=1), np.split(bias, 3), strict=True
        ):
            yield self._product(quantised, columns, shift, offset, part)
        attention = helper.make_node(
            "MultiHeadAttention", [*parts, "", *node.input[3:4]], node.output, domain=_MICROSOFT
        )
        attention.attribute.extend(node.attribute)
        yield attention

    def _product(
        self,
        quantised: str,
        scaled: Doubles,
        zero: str,
        bias: Doubles | None,
        output: str,
    ) -> Any:
        from onnx import helper

        columns = np.maximum(np.abs(scaled).max(axis=0), 1e-12) / 127
        integers = np.rint(scaled / columns).astype(np.int8)
        inputs = [
            quantised,
            self._constant(f"{output}_weight", integers),
            self._one(),  # the scales of X are inside the weights already
            self._constant(f"{output}_columns", columns.astype(np.float32)),
            zero,
            "",
        ]
        if bias is not None:
            inputs.append(self._constant(f"{output}_bias", bias.astype(np.float32)))
        return helper.make_node("MatMulIntegerToFloat", inputs, [output], domain=_MICROSOFT)

    def _one(self) -> str:
        return self._constant("int8_one", np.array(1, dtype=np.float32))

    def _constant(self, name: str, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.tensors[name] = numpy_helper.from_array(values, name)
        return name


def channel_scales(ranges: Ranges, weight: Doubles) -> tuple[Doubles, int]:
    """(scales (channels,), zero point) for activations in `ranges` and `weight` (channels,
    columns). Every calibrated value, and 0, is within the 256 steps."""
    low = np.minimum(ranges.low.astype(np.float64), 0)
    high = np.maximum(ranges.high.astype(np.float64), 0)
    span = np.maximum(high - low, 1e-6)
    largest = np.maximum(np.abs(weight).max(axis=1), 1e-8)
    shape = span**ALPHA / largest ** (1 - ALPHA)
    below, above = (-low / shape).max(), (high / shape).max()
    # 254 rather than 255 steps: rounding the zero point may take one at an end.
    step = max(below + above, 1e-12) / 254
    return shape * step, round(below / step)
