"""How near is a text to the training rows, and what is that worth beside the logit?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelCorrupt
from core.inference.classifier import load_reference, save_reference
from core.inference.neighbours import NEIGHBOURS, kth_similarity


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    matrix = np.array(rows, dtype=np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def test_the_kth_nearest_row_counts_not_the_nearest() -> None:
    reference = unit((1, 0), (3, 4), (0, 1), (-1, 0))
    text = unit((1, 0))
    found = [float(kth_similarity(text, reference, k)[0]) for k in (1, 2, 3, 4)]
    assert found == pytest.approx([1.0, 0.6, 0.0, -1.0])


def test_with_fewer_rows_than_k_the_farthest_of_them_counts() -> None:
    assert kth_similarity(unit((1, 0)), unit((1, 0), (3, 4)), k=5)[0] == pytest.approx(0.6)


def test_the_kth_similarity_is_that_of_a_full_sort() -> None:
    rng = np.random.default_rng(0)
    texts, reference = (unit(*rng.normal(size=(n, 8))) for n in (7, 50))
    expected = np.sort(texts @ reference.T, axis=1)[:, -NEIGHBOURS]
    np.testing.assert_allclose(kth_similarity(texts, reference), expected, rtol=1e-6)


def test_no_texts_have_no_similarities() -> None:
    assert kth_similarity(np.empty((0, 2), np.float32), unit((1, 0))).shape == (0,)


def test_the_reference_rows_survive_their_file_in_half_precision(tmp_path: Path) -> None:
    rows = unit(*np.random.default_rng(0).normal(size=(20, 8)))
    save_reference(tmp_path / "reference.safetensors", rows)
    loaded = load_reference(tmp_path / "reference.safetensors")
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, rows, atol=1e-3)


@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind"])
def test_a_missing_or_broken_reference_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "reference.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"reference\.safetensors"):
        load_reference(path)
