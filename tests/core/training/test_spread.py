"""Do labels reach along dense regions, and stay where they are known?"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.training.spread import spread


def on_a_circle(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def two_arcs() -> tuple[np.ndarray, np.ndarray]:
    """Sixty points on two arcs far apart, and the arc of each."""
    arcs = np.concatenate([np.linspace(0, 1, 30), np.linspace(3, 4, 30)])
    return on_a_circle(arcs), np.repeat([0, 1], 30)


def test_one_known_text_of_each_kind_labels_its_whole_region() -> None:
    embeddings, truth = two_arcs()
    labels = np.full(60, -1)
    labels[[0, 59]] = truth[[0, 59]]
    undecided = np.full((60, 2), 0.5, dtype=np.float32)
    assert (spread(embeddings, undecided, labels, k=3).argmax(axis=1) == truth).all()


def test_a_classifier_that_errs_at_a_few_places_is_put_right_by_the_neighbours() -> None:
    embeddings, truth = two_arcs()
    said = np.eye(2, dtype=np.float32)[truth]
    said[[10, 20, 45]] = said[[10, 20, 45]][:, ::-1]
    found = spread(embeddings, said, np.full(60, -1), k=5)
    assert (found.argmax(axis=1) == truth).all()


def test_known_labels_outvote_a_classifier_that_is_wrong_everywhere() -> None:
    embeddings, truth = two_arcs()
    said = np.eye(2, dtype=np.float32)[1 - truth]  # wrong everywhere
    labels = np.where(np.arange(60) % 5 != 0, truth, -1)
    assert (spread(embeddings, said, labels, k=8).argmax(axis=1) == truth).all()


@given(
    count=st.integers(2, 40),
    classes=st.integers(2, 5),
    k=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_what_comes_out_are_probabilities(count: int, classes: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 4))
    embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    said = rng.dirichlet(np.ones(classes), count).astype(np.float32)
    labels = rng.integers(-1, classes, count)
    found = spread(embeddings, said, labels, k)
    assert found.shape == (count, classes)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-4)
