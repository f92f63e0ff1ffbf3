"""Do external ids and row numbers always agree?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.retrieval.ids import IdMap, check_ids

steps = st.lists(st.tuples(st.sampled_from(["assign", "release"]), st.sampled_from("abcd")))


def test_numbers_count_up_and_a_replaced_row_is_dead() -> None:
    ids = IdMap()
    assert [ids.assign(name) for name in ("a", "b", "a")] == [0, 1, 2]
    assert ids.external(0) is None
    assert (ids.number("a"), ids.external(2)) == (2, "a")
    assert (len(ids), ids.rows, ids.dead) == (2, 3, 1)
    assert ids.live_mask().tolist() == [False, True, True]


def test_releasing_an_unknown_id_changes_nothing() -> None:
    ids = IdMap(["a"])
    assert not ids.release("b")
    assert ids.release("a")
    assert not ids.release("a")
    assert "a" not in ids


@given(steps)
def test_the_map_agrees_with_a_plain_dict_and_survives_saving(taken) -> None:
    ids, rows, expected = IdMap(), 0, {}
    for step, name in taken:
        if step == "assign":
            expected[name] = rows
            assert ids.assign(name) == rows
            rows += 1
        else:
            assert ids.release(name) == (expected.pop(name, None) is not None)
    for copy in (ids, IdMap(ids.externals())):
        assert len(copy) == len(expected)
        assert copy.rows == rows
        assert {name: copy.number(name) for name in copy.live_ids()} == expected
        assert all(copy.external(row) == name for name, row in expected.items())


def test_an_id_for_two_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two live rows"):
        IdMap(["a", "a"])


def test_ids_are_texts_that_are_not_empty_one_a_row() -> None:
    with pytest.raises(InvalidInput, match="found 1 ids for 2 rows"):
        check_ids(["a"], 2)
    with pytest.raises(InvalidInput, match="one was: ''"):
        check_ids(["a", ""], 2)
    with pytest.raises(InvalidInput, match="one was: 7"):
        check_ids(["a", 7], 2)  # type: ignore[list-item]
