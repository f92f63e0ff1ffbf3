"""May this encoder be served in int8?

It is chosen only where validation shows that it does no harm; the report says what was tried and
why. A part of the validation texts fixes the scales (int8.py), the others judge.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.files import sha256_of
from core.inference.encoder import EncoderConfig, TextEncoder
from core.inference.int8 import quantise
from core.inference.onnx_session import OnnxSession
from core.inference.tokenizer import TextTokenizer

MIN_AGREEMENT = 0.985
MAX_ACCURACY_LOSS = 0.003
MAX_NEIGHBOUR_EFFECT = 1e-5
# With fewer texts an agreement of 98.5 % cannot be told from chance.
MIN_TEXTS = 200
# A fifth of the texts, this many at most, calibrate.
_CALIBRATION_SHARE = 5
_MOST_CALIBRATION = 400

FloatArray = npt.NDArray[np.float32]
# Embeddings (n, width) of the validation texts → (n,) decided class.
Decide = Callable[[FloatArray], npt.NDArray[np.intp]]


@dataclasses.dataclass(frozen=True)
class PrecisionReport:
    """Which precision was chosen and why. `texts` were judged, others `calibration` texts fixed the
    scales."""

    chosen: str
    reason: str
    texts: int
    calibration: int = 0
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
    calibrating = np.zeros(len(texts), dtype=np.bool_)
    calibrating[::_CALIBRATION_SHARE] = True
    calibrating[_MOST_CALIBRATION * _CALIBRATION_SHARE :] = False
    judging = int((~calibrating).sum())
    if judging < MIN_TEXTS:
        reason = f"{judging} validation texts, {MIN_TEXTS} are needed to judge int8"
        return PrecisionReport("fp32", reason, judging)
    if reference is None:
        reference = TextEncoder.load(folder, threads=threads).encode(texts).embeddings
    config = EncoderConfig.load(folder)
    tokenizer = TextTokenizer(folder / "tokenizer.json", config.max_length)
    candidate = folder / "candidate.onnx"
    try:
        tokens = tokenizer.encode([t for t, use in zip(texts, calibrating, strict=True) if use])
        quantise(folder / "model.onnx", candidate, [t.ids for t in tokens], threads=threads)
        encoder = TextEncoder(config, tokenizer, OnnxSession(candidate, threads=threads))
        report = _judge(encoder, texts, reference, expected, decide, ~calibrating)
        if report.chosen == "int8":
            _install(folder, candidate)
        return report
    finally:
        candidate.unlink(missing_ok=True)


def _judge(
    encoder: TextEncoder,
    texts: Sequence[str],
    reference: FloatArray,
    expected: npt.NDArray[np.intp],
    decide: Decide,
    judging: npt.NDArray[np.bool_],
) -> PrecisionReport:
    embeddings = encoder.encode(texts).embeddings
    decided, again = decide(reference)[judging], decide(embeddings)[judging]
    agreement = float((again == decided).mean())
    right = expected[judging]
    loss = float((decided == right).mean() - (again == right).mean())
    alone = np.concatenate([encoder.encode([t]).embeddings for t in texts[:16]])
    effect = float(np.abs(alone - embeddings[:16]).max())
    passed = (
        agreement >= MIN_AGREEMENT and loss <= MAX_ACCURACY_LOSS and effect <= MAX_NEIGHBOUR_EFFECT
    )
    count = int(judging.sum())
    reason = (
        f"on {count} validation texts int8 agrees on {agreement:.2%} of decisions "
        f"(needs {MIN_AGREEMENT:.1%}), loses {100 * loss:.2f} points of accuracy "
        f"(at most {100 * MAX_ACCURACY_LOSS:.1f}), neighbours change a result by {effect:.1g}"
    )
    return PrecisionReport(
        chosen="int8" if passed else "fp32",
        reason=reason,
        texts=count,
        calibration=len(texts) - count,
        agreement=agreement,
        accuracy_loss=loss,
        neighbour_effect=effect,
        mean_cosine=float((embeddings * reference)[judging].sum(axis=1).mean()),
    )


def _install(folder: Path, candidate: Path) -> None:
    candidate.replace(folder / "model.onnx")
    config = dataclasses.replace(
        EncoderConfig.load(folder),
        encoder_id=sha256_of(folder / "model.onnx")[:16],
        precision="int8",
    )
    config.save(folder)
