"""Does the served score tell what it was taught from what it was not, also after a file?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelCorrupt
from core.evaluation.open_set_scores import fit_scores
from core.evaluation.openset import auroc
from core.inference.open_set import ENERGY, LOGIT, MAHALANOBIS, NEIGHBOUR, Combination, OpenSet

CENTRES = np.eye(6)[:3]


def embeddings(centres: np.ndarray, count: int, seed: int) -> np.ndarray:
    rows = np.repeat(centres, count, axis=0)
    rows = rows + np.random.default_rng(seed).normal(scale=0.1, size=rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def logits(rows: np.ndarray) -> np.ndarray:
    return (rows @ CENTRES.T * 5).astype(np.float32)


def equal(*names: str) -> Combination:
    count = len(names)
    return Combination(names, (0.0,) * count, (1.0,) * count, (1.0,) * count, "equal")


@pytest.fixture(scope="module")
def served() -> OpenSet:
    train = embeddings(CENTRES, 20, seed=0)
    model = fit_scores(train, np.repeat(np.arange(3), 20), rng=np.random.default_rng(0))
    known = embeddings(CENTRES, 10, seed=1)
    scale = model.scores(known, logits(known))
    return OpenSet(
        model, equal(ENERGY, NEIGHBOUR, MAHALANOBIS).rescaled(scale), equal(LOGIT).rescaled(scale)
    )


def test_rows_of_known_classes_score_above_rows_of_an_unknown_one(served: OpenSet) -> None:
    known, unknown = embeddings(CENTRES, 10, seed=2), embeddings(np.eye(6)[4:5], 10, seed=3)
    yes = np.ones(30, dtype=bool)
    inside = served.in_scope(known, logits(known), yes)
    outside = served.in_scope(unknown, logits(unknown), yes[:10])
    assert auroc(inside, outside) == 1.0


def test_the_embedding_of_an_unreadable_text_says_nothing(served: OpenSet) -> None:
    rows = embeddings(CENTRES, 2, seed=4)
    no = np.zeros(len(rows), dtype=bool)
    said = served.in_scope(rows, logits(rows), no)
    elsewhere = served.in_scope(np.roll(rows, 3, axis=1), logits(rows), no)
    np.testing.assert_array_equal(said, elsewhere)


def test_no_texts_have_no_scores(served: OpenSet) -> None:
    nothing = np.empty((0, 6), np.float32)
    assert served.in_scope(nothing, np.empty((0, 3)), np.empty(0, dtype=bool)).shape == (0,)


def test_the_score_survives_its_file_and_the_manifest(served: OpenSet, tmp_path: Path) -> None:
    settings = served.save(tmp_path / "open_set.safetensors")
    loaded = OpenSet.load(tmp_path / "open_set.safetensors", settings)
    rows = embeddings(CENTRES, 5, seed=5)
    yes = np.ones(len(rows), dtype=bool)
    np.testing.assert_allclose(
        loaded.in_scope(rows, logits(rows), yes),
        served.in_scope(rows, logits(rows), yes),
        atol=0.05,  # the reference rows are kept in half precision
    )


@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind"])
def test_a_missing_or_broken_file_is_named(
    served: OpenSet, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "open_set.safetensors"
    settings = served.save(path)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"open_set\.safetensors"):
        OpenSet.load(path, settings)
