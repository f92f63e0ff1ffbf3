"""Patterns that may never end are seen, and lists of words become patterns that find just them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_service.patterns import any_of, nests_endless_repeats


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a*)*b",
        r"(?:\w+\s?)+",
        "(?P<n>a{2,})*",
        "((ab)+c)*",
        "(a+?)+",
        "([ab]+){3,}",
        "(?i:x*)+",
        "(a|b+)*",
    ],
)
def test_an_endless_repetition_inside_another_is_seen(pattern: str) -> None:
    re.compile(pattern)
    assert nests_endless_repeats(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"LY-\d{6}",
        "a+b+",
        "(ab)+",
        "(a+)?",
        "(a+){2}",
        "(?:x{1,9})+",
        r"\(a+\)+",
        "[(a+)]+",
        "[]+)]+(a)+",
        "(?<!a)b+(?=c)+",
        "a{,3}(b{2})*",
        "",
    ],
)
def test_other_repetitions_are_let_through(pattern: str) -> None:
    assert not nests_endless_repeats(pattern)


@given(st.text(alphabet="ab()[]{}*+?|\\,1^-", max_size=30))
def test_any_text_gets_an_answer(pattern: str) -> None:
    assert nests_endless_repeats(pattern) in (True, False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a LARGE one", "LARGE"),
        ("an extra   large one", "extra   large"),
        ("enlarged", None),
        ("larger", None),
        ("我要大杯", "大杯"),
        ("我要large的", "large"),
        ("c++!", "c++"),
    ],
)
def test_a_list_of_words_is_found_as_whole_words_in_any_case(text: str, found: str | None) -> None:
    match = re.search(any_of(["large", "extra large", "大杯", "C++"]), text)
    assert (match and match.group()) == found


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=1, max_size=5))
def test_each_word_of_a_list_is_found_by_itself(words: list[str]) -> None:
    pattern = any_of(words)
    assert all(re.search(pattern, word) for word in words)
