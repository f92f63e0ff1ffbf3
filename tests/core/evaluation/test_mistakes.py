"""Are the surest wrong rows found, each beside what it resembles?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.evaluation.mistakes import Examples, surest_mistakes

TRAINING = Examples(
    ["north", "north-east", "east", "south"],
    ["n", "n", "e", "s"],
    np.array([[0, 1], [1, 1], [1, 0], [0, -1]], dtype=np.float32),
)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=30), st.integers(0, 10))
def test_only_wrong_rows_are_told_surest_first(rows, limit: int) -> None:
    predicted = ["a" if right else "b" for right, _ in rows]
    sure = [confidence for _, confidence in rows]
    found = surest_mistakes(["t"] * len(rows), ["a"] * len(rows), predicted, sure, limit=limit)
    assert len(found) == min(limit, predicted.count("b"))
    assert all(predicted[mistake.row] == "b" for mistake in found)
    told = [mistake.confidence for mistake in found]
    assert told == sorted((s for (right, s) in rows if not right), reverse=True)[:limit]


def test_the_nearest_training_rows_stand_beside_a_mistake_nearest_first() -> None:
    [found] = surest_mistakes(
        ["up", "right"],
        ["e", "e"],
        ["n", "e"],
        [0.9, 0.8],
        embeddings=[[0.1, 5.0], [1.0, 0.0]],
        training=TRAINING,
        neighbours=2,
    )
    assert (found.text, found.truth, found.predicted) == ("up", "e", "n")
    assert [near.text for near in found.nearest] == ["north", "north-east"]
    assert found.nearest[0].label == "n"
    assert found.nearest[0].cosine == pytest.approx(5 / np.hypot(0.1, 5))


def test_texts_that_the_encoder_cannot_read_have_no_neighbours_and_are_none() -> None:
    readable = np.array([False, True, True, True])
    training = Examples(TRAINING.texts, TRAINING.labels, TRAINING.embeddings, readable)
    found = surest_mistakes(
        ["up", "上"],
        ["e", "e"],
        ["n", "n"],
        [0.9, 0.8],
        embeddings=[[0.0, 1.0], [0.0, 1.0]],
        training=training,
        readable=[True, False],
        neighbours=4,
    )
    assert [near.text for near in found[0].nearest] == ["north-east", "east", "south"]
    assert found[1].nearest == ()


def test_without_training_rows_or_embeddings_mistakes_stand_alone() -> None:
    [alone] = surest_mistakes(["up"], ["e"], ["n"], [0.9], training=TRAINING)
    assert alone.nearest == ()


def test_rows_of_different_lengths_and_widths_are_refused() -> None:
    with pytest.raises(InvalidInput, match="each of 2 texts, found 1"):
        surest_mistakes(["a", "b"], ["a"], ["a", "b"], [1, 1])
    with pytest.raises(InvalidInput, match="3 wide, those of training 2"):
        surest_mistakes(["a"], ["a"], ["b"], [1], embeddings=[[1, 2, 3]], training=TRAINING)
    with pytest.raises(InvalidInput, match="each of 1 texts"):
        Examples(["a"], ["a", "b"], np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(InvalidInput, match="must not be negative"):
        surest_mistakes(["a"], ["a"], ["b"], [1], limit=-1)
