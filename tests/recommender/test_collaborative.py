"""What goes together in behaviour, on data whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelCorrupt
from services.recommender.collaborative import Neighbours, largest_in_rows
from services.recommender.learning.behaviour import ease, item_knn


@pytest.fixture
def checkerboard():
    """20 users, 10 items: user u took the items of their own parity, but item u for u below 10."""
    from scipy.sparse import csr_matrix

    taken = np.fromfunction(lambda u, i: (u + i) % 2 == 0, (20, 10)).astype(np.float32)
    taken[np.arange(10), np.arange(10)] = 0
    return csr_matrix(taken)


@pytest.mark.parametrize("method", ["ease", "item_knn"])
def test_the_item_that_was_held_back_comes_first(checkerboard, method: str) -> None:
    if method == "ease":
        scores = checkerboard @ ease(checkerboard, 1.0)
    else:
        neighbours = item_knn(checkerboard, 0.0)
        scores = np.stack(
            [neighbours.score(row.indices, np.ones(len(row.indices))) for row in checkerboard]
        )
    scores = np.where(checkerboard.toarray() > 0, -np.inf, scores)
    assert scores[:10].argmax(axis=1).tolist() == list(range(10))


def test_an_item_never_speaks_for_itself(checkerboard) -> None:
    assert np.diag(ease(checkerboard, 1.0)) == pytest.approx(np.zeros(10))


def test_items_that_nobody_took_have_no_neighbours() -> None:
    from scipy.sparse import csr_matrix

    found = item_knn(csr_matrix(np.array([[1, 1, 0], [1, 1, 0]], dtype=np.float32)), 0.0)
    assert np.isfinite(found.weights).all()
    assert found.score(np.array([2]), np.array([1.0])).tolist() == [0, 0, 0]


def test_the_largest_weights_are_kept_by_size() -> None:
    places, values = largest_in_rows(np.array([[0.1, -0.9, 0.5, 0.0]], dtype=np.float32), 2)
    assert set(places[0].tolist()) == {1, 2}
    assert sorted(values[0].tolist()) == pytest.approx([-0.9, 0.5])


def test_parts_add_up_to_the_score(checkerboard) -> None:
    neighbours = Neighbours(
        [str(n) for n in range(10)], *largest_in_rows(ease(checkerboard, 1.0), 4)
    )
    rows, weights = np.array([1, 3, 8]), np.array([0.5, 2.0, 1.0])
    targets = np.array([0, -1, 5, 7])
    parts = neighbours.parts(rows, weights, targets)
    score = neighbours.score(rows, weights)
    assert parts.sum(axis=1) == pytest.approx([score[0], 0.0, score[5], score[7]], abs=1e-6)


def test_neighbours_survive_saving_and_must_fit_their_items(checkerboard, tmp_path: Path) -> None:
    names = [str(n) for n in range(10)]
    neighbours = Neighbours(names, *largest_in_rows(ease(checkerboard, 1.0)))
    path = tmp_path / "behaviour.safetensors"
    neighbours.save(path)
    again = Neighbours.load(path, names)
    assert again.score(np.array([2]), np.array([1.0])) == pytest.approx(
        neighbours.score(np.array([2]), np.array([1.0]))
    )
    with pytest.raises(ModelCorrupt, match="10 rows for 9 items"):
        Neighbours.load(path, names[:9])
