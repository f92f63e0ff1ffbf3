"""Is a repeated text remembered for the model that read it, and only as long as there is room?"""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.inference.cache import TextCache


def test_a_stored_result_is_found_again() -> None:
    cache: TextCache[int] = TextCache()
    cache.put("v1", "where is my order", 7)
    assert cache.get("v1", "where is my order") == 7
    assert cache.get("v1", "something else") is None


def test_another_model_version_does_not_find_it() -> None:
    cache: TextCache[int] = TextCache()
    cache.put("v1", "text", 1)
    assert cache.get("v2", "text") is None
    cache.put("v2", "text", 2)
    assert (cache.get("v1", "text"), cache.get("v2", "text")) == (1, 2)


def test_the_text_not_used_for_longest_goes_first() -> None:
    cache: TextCache[int] = TextCache(capacity=2)
    cache.put("v", "a", 1)
    cache.put("v", "b", 2)
    assert cache.get("v", "a") == 1, "now b was not used for longest"
    cache.put("v", "c", 3)
    assert [cache.get("v", text) for text in "abc"] == [1, None, 3]


def test_storing_again_counts_as_use() -> None:
    cache: TextCache[int] = TextCache(capacity=2)
    for text, value in (("a", 1), ("b", 2), ("a", 10), ("c", 3)):
        cache.put("v", text, value)
    assert [cache.get("v", text) for text in "abc"] == [10, None, 3]


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_cache_without_room_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, was: {capacity}"):
        TextCache(capacity)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["put", "get"]), st.sampled_from("abcdef"))),
)
def test_it_behaves_like_a_plain_list_of_last_uses(
    capacity: int, steps: list[tuple[str, str]]
) -> None:
    cache: TextCache[int] = TextCache(capacity)
    model: OrderedDict[str, int] = OrderedDict()
    for number, (verb, text) in enumerate(steps):
        if verb == "put":
            cache.put("v", text, number)
            model[text] = number
            model.move_to_end(text)
            while len(model) > capacity:
                model.popitem(last=False)
        else:
            assert cache.get("v", text) == model.get(text)
            if text in model:
                model.move_to_end(text)
        assert len(cache) == len(model)
