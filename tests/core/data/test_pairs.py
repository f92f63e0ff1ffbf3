"""Are queries and their texts read as they were meant, and never on both sides of a split?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.pairs import (
    TextPair,
    all_texts,
    fingerprint,
    read_pairs,
    relevant_texts,
    split_by_query,
)
from core.errors import DataError


def write(folder: Path, text: str) -> Path:
    path = folder / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_plain_pairs_belong_together(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, "query,text\nhi,hello there\n"))
    assert pairs == [TextPair("hi", "hello there", None, "", 2)]
    assert pairs[0].belongs


def test_relevance_above_zero_belongs(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, "query,text,relevance\nq,a,2\nq,b,0\n"))
    assert [pair.belongs for pair in pairs] == [True, False]
    assert relevant_texts(pairs) == {"q": {"a"}}


def test_negatives_are_texts_too(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, "query,text,negative\nq,a,b\nr,b,\n"))
    assert all_texts(pairs) == ["a", "b"]
    assert pairs[1].negative == ""


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("query,text,relevance\nq,a,1\nq,b,-1\n", "from 0 up", 3),
        ("query,text,relevance\nq,a,1\nq,b,\n", "in other rows it is not", 3),
        ("query,text,relevance,negative\nq,a,1,b\n", "found both", None),
        ("query,text,relevance\nq,a,0\n", "every relevance is 0", None),
        ("query,text\nq,\n", "expected a text", 2),
        ("query,answer\nq,a\n", "column `text` missing", 1),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, text: str, said: str, line: int | None) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_pairs(write(tmp_path, text))
    assert caught.value.line == line


def test_the_fingerprint_changes_with_any_part() -> None:
    pairs = [TextPair("q", "a", 1.0), TextPair("q", "b", 0.0)]
    others = [
        [TextPair("q", "a", 1.0)],
        [TextPair("q", "a", 2.0), pairs[1]],
        [TextPair("r", "a", 1.0), pairs[1]],
        [TextPair("q", "a", 1.0, "n"), pairs[1]],
    ]
    prints = {fingerprint(of) for of in [pairs, *others]}
    assert len(prints) == 5


def test_one_query_cannot_be_split() -> None:
    with pytest.raises(DataError, match="1 queries are too few"):
        split_by_query([TextPair("q", "a"), TextPair("q", "b")], 0.5, np.random.default_rng(0))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=4), st.integers(0, 99))
def test_a_query_is_on_one_side_and_held_out_ones_have_an_answer(
    rows: list[tuple[int, int]], seed: int
) -> None:
    pairs = [TextPair(f"q{q}", f"t{i}", float(g)) for i, (q, g) in enumerate(rows)]
    if len(relevant_texts(pairs)) < 2:
        return
    train, held_out = split_by_query(pairs, 0.3, np.random.default_rng(seed))
    assert {p.query for p in train}.isdisjoint(p.query for p in held_out)
    assert sorted(p.text for p in train + held_out) == sorted(p.text for p in pairs)
    assert set(relevant_texts(held_out)) == {p.query for p in held_out}
    assert held_out
