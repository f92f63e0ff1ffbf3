"""Does the index of rows find what an exact search finds, and nothing that is not allowed?"""

from __future__ import annotations

import numpy as np
import pytest

from core.retrieval.rows import RowIndex

ROWS = 5_000


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Unit vectors around 50 centres, as the texts of a shop are."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(50, 32))
    rows = centres[rng.integers(0, 50, ROWS)] + 0.7 * rng.normal(size=(ROWS, 32))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def index(vectors: np.ndarray) -> RowIndex:
    return RowIndex(vectors)


def exact(vectors: np.ndarray, query: np.ndarray, top_k: int, allowed: np.ndarray) -> set[int]:
    scores = np.where(allowed, vectors @ query, -np.inf)
    return set(np.argsort(-scores)[:top_k].tolist())


@pytest.mark.parametrize("share", [1.0, 0.3, 0.02])
def test_it_finds_what_an_exact_search_finds_among_the_allowed(
    index: RowIndex, vectors: np.ndarray, share: float
) -> None:
    rng = np.random.default_rng(1)
    allowed = rng.random(ROWS) < share
    found = []
    for row in rng.integers(0, ROWS, 50):
        near = index.search(vectors[row : row + 1], 10, allowed)
        assert allowed[near].all()
        wanted = exact(vectors, vectors[row], 10, allowed)
        found.append(len(wanted & set(near.tolist())) / len(wanted))
    assert np.mean(found) >= 0.95


def test_several_queries_name_each_row_once(index: RowIndex, vectors: np.ndarray) -> None:
    near = index.search(vectors[:3], 20)
    assert len(near) == len(set(near.tolist())) >= 20
    assert {0, 1, 2} <= set(near.tolist())


def test_fewer_allowed_rows_than_asked_for_are_all_there_is(
    index: RowIndex, vectors: np.ndarray
) -> None:
    allowed = np.zeros(ROWS, dtype=bool)
    allowed[[7, 9]] = True
    assert index.search(vectors[:1], 10, allowed).tolist() == [7, 9]


def test_a_mask_may_know_of_rows_that_came_later(index: RowIndex, vectors: np.ndarray) -> None:
    assert len(index.search(vectors[:1], 10, np.ones(ROWS + 100, dtype=bool))) == 10


def test_one_row_is_enough() -> None:
    one = np.eye(1, 8, dtype=np.float32)
    assert RowIndex(one).search(one, 5).tolist() == [0]
