"""May this encoder be served in int8?

Weights are quantised per channel, activations dynamically. A dynamic scale is taken over all that
runs together, so neighbours in a batch would change a result: an int8 encoder therefore runs its
texts one by one (`row_by_row`), which on a CPU is still faster than fp32 in batches. It is chosen
only where validation shows that it does no harm; the report says what was tried and why.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.inference.encoder import EncoderConfig, TextEncoder
from core.models import sha256_of

MIN_AGREEMENT = 0.985
MAX_ACCURACY_LOSS = 0.003
MAX_NEIGHBOUR_EFFECT = 1e-5
# With fewer texts an agreement of 98.5 % cannot be told from chance.
MIN_TEXTS = 200

FloatArray = npt.NDArray[np.float32]
# Embeddings (n, width) of the validation texts → (n,) decided class.
Decide = Callable[[FloatArray], npt.NDArray[np.intp]]


@dataclasses.dataclass(frozen=True)
class PrecisionReport:
    """Which precision was chosen and why. Figures are of the last int8 candidate tried."""

    chosen: str
    reason: str
    texts: int
    agreement: float | None = None
    accuracy_loss: float | None = None
    neighbour_effect: float | None = None
    mean_cosine: float | None = None


def choose_precision(
    folder: Path,
    texts: Sequence[str],
    expected: npt.NDArray[np.intp],
    decide: Decide,
    *,
    reference: FloatArray | None = None,
    threads: int = 2,
) -> PrecisionReport:
    """Replace the fp32 encoder in `folder` by int8 if the checks on validation texts allow it.

    `expected` (n,) are the true classes; `decide` is the model that never saw these texts;
    `reference` (n, width) are their fp32 embeddings, if they were made before.
    """
    if len(texts) < MIN_TEXTS:
        reason = f"{len(texts)} validation texts, {MIN_TEXTS} are needed to judge int8"
        return PrecisionReport("fp32", reason, len(texts))
    if reference is None:
        reference = TextEncoder.load(folder, threads=threads).encode(texts).embeddings
    decided = decide(reference)
    report = PrecisionReport("fp32", "", len(texts))
    for keep_touchy in (False, True):
        candidate = folder / "candidate.onnx"
        _quantise(folder / "model.onnx", candidate, keep_touchy=keep_touchy)
        report = _judge(folder, candidate, texts, reference, expected, decided, decide, threads)
        if report.chosen == "int8":
            _install(folder, candidate)
            return report
        candidate.unlink()
    return report


def _judge(
    folder: Path,
    candidate: Path,
    texts: Sequence[str],
    reference: FloatArray,
    expected: npt.NDArray[np.intp],
    decided: npt.NDArray[np.intp],
    decide: Decide,
    threads: int,
) -> PrecisionReport:
    encoder = _load_candidate(folder, candidate, threads)
    embeddings = encoder.encode(texts).embeddings
    again = decide(embeddings)
    agreement = float((again == decided).mean())
    loss = float((decided == expected).mean() - (again == expected).mean())
    alone = np.concatenate([encoder.encode([t]).embeddings for t in texts[:16]])
    effect = float(np.abs(alone - embeddings[:16]).max())
    passed = (
        agreement >= MIN_AGREEMENT and loss <= MAX_ACCURACY_LOSS and effect <= MAX_NEIGHBOUR_EFFECT
    )
    reason = (
        f"on {len(texts)} validation texts int8 agrees on {agreement:.2%} of decisions "
        f"(needs {MIN_AGREEMENT:.1%}), loses {100 * loss:.2f} points of accuracy "
        f"(at most {100 * MAX_ACCURACY_LOSS:.1f}), neighbours change a result by {effect:.1g}"
    )
    return PrecisionReport(
        chosen="int8" if passed else "fp32",
        reason=reason,
        texts=len(texts),
        agreement=agreement,
        accuracy_loss=loss,
        neighbour_effect=effect,
        mean_cosine=float((embeddings * reference).sum(axis=1).mean()),
    )


def _quantise(source: Path, target: Path, *, keep_touchy: bool) -> None:
    """Dynamic int8 of `source`; touchy layers are the projections behind a GELU.

    Those see the widest activations: on the bundled encoder the six of them hold about half of
    the whole quantisation error in a quarter of the work.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(str(source)).graph
    behind_gelu = {out for n in graph.node if "Gelu" in n.op_type for out in n.output}
    touchy = [n.name for n in graph.node if n.op_type == "MatMul" and n.input[0] in behind_gelu]
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises preprocessing, which the export has done
    try:
        quantize_dynamic(
            str(source),
            str(target),
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=touchy if keep_touchy else [],
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.disable(level)


def _load_candidate(folder: Path, candidate: Path, threads: int) -> TextEncoder:
    from core.inference.onnx_session import OnnxSession
    from core.inference.tokenizer import TextTokenizer

    config = EncoderConfig.load(folder)
    return TextEncoder(
        config,
        TextTokenizer(folder / "tokenizer.json", config.max_length),
        OnnxSession(candidate, threads=threads, row_by_row=True),
    )


def _install(folder: Path, candidate: Path) -> None:
    candidate.replace(folder / "model.onnx")
    config = dataclasses.replace(
        EncoderConfig.load(folder),
        encoder_id=sha256_of(folder / "model.onnx")[:16],
        precision="int8",
        row_by_row=True,
    )
    config.save(folder)
