"""Is int8 served only where validation shows that it does no harm?"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.files import sha256_of
from core.inference.encoder import Encoded, EncoderConfig, TextEncoder
from core.inference.quantize import MIN_TEXTS, Decide, choose_precision
from core.inference.tokenizer import Tokens

# Every fifth calibrates, the others judge.
ALL = MIN_TEXTS * 5 // 4
TEXTS = [f"where is my order {i}" for i in range(ALL)]
ALL_RIGHT = np.zeros(ALL, dtype=np.intp)
JUDGING = np.flatnonzero(np.arange(ALL) % 5)


def changing(changed: int) -> Decide:
    """Decides 0 on the fp32 embeddings; on the others `changed` decisions of judging texts
    differ."""
    calls = iter([0, changed])

    def decide(embeddings: np.ndarray) -> np.ndarray:
        decided = np.zeros(len(embeddings), dtype=np.intp)
        decided[JUDGING[: next(calls)]] = 1
        return decided

    return decide


@pytest.fixture
def folder(exported: SimpleNamespace, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "encoder"))


def is_untouched(folder: Path, exported: SimpleNamespace) -> bool:
    names = {p.name for p in folder.iterdir()}
    return names == {"model.onnx", "tokenizer.json", "encoder.json"} and all(
        sha256_of(folder / name) == sha256_of(exported.folder / name) for name in names
    )


def test_too_few_validation_texts_cannot_speak_for_int8(
    folder: Path, exported: SimpleNamespace
) -> None:
    def never(embeddings: np.ndarray) -> np.ndarray:
        raise AssertionError("there is nothing to decide")

    report = choose_precision(folder, TEXTS[:-1], ALL_RIGHT[:-1], never)
    assert report.chosen == "fp32"
    assert report.reason == "199 validation texts, 200 are needed to judge int8"
    assert (report.texts, report.agreement) == (199, None)
    assert is_untouched(folder, exported)


def test_int8_is_chosen_where_decisions_agree_and_the_encoder_says_so(
    folder: Path, exported: SimpleNamespace
) -> None:
    report = choose_precision(folder, TEXTS, ALL_RIGHT, changing(0), threads=1)
    assert report.chosen == "int8"
    assert (report.agreement, report.accuracy_loss) == (1.0, 0.0)
    assert report.neighbour_effect is not None
    assert report.neighbour_effect <= 1e-5
    assert report.mean_cosine is not None
    assert report.mean_cosine > 0.99
    config = EncoderConfig.load(folder)
    assert config.precision == "int8"
    assert config.encoder_id == sha256_of(folder / "model.onnx")[:16]
    assert config.encoder_id != exported.config.encoder_id, "its vectors are others"
    assert config.base_model == exported.config.base_model
    assert {p.name for p in folder.iterdir()} == {"model.onnx", "tokenizer.json", "encoder.json"}


def test_the_installed_encoder_gives_what_was_judged(folder: Path, encoder: TextEncoder) -> None:
    seen: list[np.ndarray] = []

    def decide(embeddings: np.ndarray) -> np.ndarray:
        seen.append(embeddings)
        return np.zeros(len(embeddings), dtype=np.intp)

    choose_precision(folder, TEXTS, ALL_RIGHT, decide, threads=1)
    np.testing.assert_array_equal(seen[0], encoder.encode(TEXTS).embeddings)
    served = TextEncoder.load(folder, threads=1).encode(TEXTS).embeddings
    np.testing.assert_array_equal(served, seen[1])
    assert not np.array_equal(seen[0], seen[1])


def test_fp32_embeddings_that_were_made_before_are_not_made_again(folder: Path) -> None:
    made_before = np.full((ALL, 32), 32**-0.5, dtype=np.float32)
    seen: list[np.ndarray] = []

    def decide(embeddings: np.ndarray) -> np.ndarray:
        seen.append(embeddings)
        return np.zeros(len(embeddings), dtype=np.intp)

    choose_precision(folder, TEXTS, ALL_RIGHT, decide, reference=made_before, threads=1)
    assert seen[0] is made_before


def test_fp32_stays_where_decisions_differ(folder: Path, exported: SimpleNamespace) -> None:
    nobody_knows = np.full(ALL, 2, dtype=np.intp)
    report = choose_precision(folder, TEXTS, nobody_knows, changing(4), threads=1)
    assert report.chosen == "fp32"
    assert report.agreement == pytest.approx(0.98)
    assert is_untouched(folder, exported)


def test_fp32_stays_where_accuracy_is_lost_though_decisions_agree(
    folder: Path, exported: SimpleNamespace
) -> None:
    report = choose_precision(folder, TEXTS, ALL_RIGHT, changing(2), threads=1)
    assert report.chosen == "fp32"
    assert report.agreement == pytest.approx(0.99)
    assert report.accuracy_loss == pytest.approx(0.01)
    assert is_untouched(folder, exported)


def test_a_gain_of_accuracy_is_no_loss(folder: Path) -> None:
    first_two_are_ones = ALL_RIGHT.copy()
    first_two_are_ones[JUDGING[:2]] = 1
    report = choose_precision(folder, TEXTS, first_two_are_ones, changing(2), threads=1)
    assert report.chosen == "int8"
    assert report.accuracy_loss == pytest.approx(-0.01)


@pytest.mark.parametrize("changed", [0, 4])
def test_the_reason_names_the_figures_and_their_limits(folder: Path, changed: int) -> None:
    reason = choose_precision(folder, TEXTS, ALL_RIGHT, changing(changed), threads=1).reason
    agreement = {0: "100.00%", 4: "98.00%"}[changed]
    loss = {0: "0.00 points", 4: "2.00 points"}[changed]
    for figure in ("200 validation texts", agreement, "needs 98.5%", loss, "at most 0.3"):
        assert figure in reason


def test_neighbours_that_change_a_result_keep_fp32(
    folder: Path, monkeypatch: pytest.MonkeyPatch, exported: SimpleNamespace
) -> None:
    encode_tokens = TextEncoder.encode_tokens

    def leaning(self: TextEncoder, tokens: Sequence[Tokens]) -> Encoded:
        encoded = encode_tokens(self, tokens)
        return Encoded(encoded.embeddings + 1e-4 * (len(tokens) > 1), encoded.unknown_share)

    monkeypatch.setattr(TextEncoder, "encode_tokens", leaning)
    report = choose_precision(folder, TEXTS, ALL_RIGHT, changing(0), threads=1)
    assert report.neighbour_effect == pytest.approx(1e-4, rel=0.01)
    assert report.chosen == "fp32"
    assert is_untouched(folder, exported)


def test_the_texts_that_calibrate_do_not_judge(folder: Path) -> None:
    """Decisions on every fifth text change, and nobody minds: those fixed the scales."""
    seen = 0

    def decide(embeddings: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += 1
        decided = np.zeros(len(embeddings), dtype=np.intp)
        decided[::5] = seen == 2
        return decided

    report = choose_precision(folder, TEXTS, ALL_RIGHT, decide, threads=1)
    assert (report.texts, report.calibration, report.agreement) == (200, 50, 1.0)
