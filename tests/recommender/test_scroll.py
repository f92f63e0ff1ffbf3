"""A cursor carries what stood there, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from services.recommender.scroll import MOST_CHARS, MOST_PASSED, decode, encode


def test_a_cursor_carries_every_page_so_far() -> None:
    first = encode(decode(""), [5, 2**32 - 1])
    assert first is not None
    second = encode(decode(first), [7])
    assert second is not None and decode(second).tolist() == [5, 2**32 - 1, 7]


def test_a_list_ends_where_nothing_is_left_or_it_is_long_enough() -> None:
    assert encode(decode(""), []) is None
    passed = np.arange(MOST_PASSED - 1, dtype=np.uint32)
    assert encode(passed, [1]) is None
    longest = encode(passed[:-1], [1])
    assert longest is not None and len(longest) <= MOST_CHARS


@given(st.text(max_size=40))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    try:
        marks = decode(text)
    except InvalidInput as error:
        assert "Begin again" in str(error)
    else:
        assert marks.dtype == np.uint32


@pytest.mark.parametrize("cursor", ["AQ===", "Ag", "AQAA", "é", "A" * (MOST_CHARS + 1), "A\n"])
def test_these_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        decode(cursor)
