"""Which questions does one message hold, and which of them are answered?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import normalize
from services.customer_service.domain import Candidate, Reading
from services.customer_service.several import MOST_ANSWERS, chosen_parts, split_questions


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (
            "Where is my order LY-204518, and how do I return it? Also do you deliver to Austria?",
            ["Where is my order LY-204518", "how do I return it?", "do you deliver to Austria?"],
        ),
        ("Is it in stock and can I pick it up?", ["Is it in stock", "can I pick it up?"]),
        (
            "I want a refund. Another question: what does shipping cost?",
            ["I want a refund.", "what does shipping cost?"],
        ),
        ("我的订单到哪了？另外，可以寄到德国吗？", ["我的订单到哪了?", "可以寄到德国吗?"]),
        ("怎么退货，还有运费多少", ["怎么退货", "运费多少"]),
        ("订单没到；顺便问一下保修多久", ["订单没到", "保修多久"]),
        # greetings and thanks are no questions
        (
            "Hello! Where is my parcel? Can I still cancel? Thanks a lot!",
            ["Where is my parcel?", "Can I still cancel?"],
        ),
    ],
)
def test_a_message_is_cut_into_its_questions(text: str, asked: list[str]) -> None:
    assert [part.asked for part in split_questions(normalize(text))] == asked


@pytest.mark.parametrize(
    "text",
    [
        "Where is my order?",
        "Hi! Where is my order? Thanks!",
        "how and when do I get it",
        "Do you ship phones and tablets to Austria and Germany?",
        "I paid 12.50 at www.lampyris.example/a.b?c=d e.g. by card",
        "Can I speak to Mr. Smith of Lampyris Inc. please",
        "还有现货吗",
        "还有多久能到",
        "",
        "!!! ??? ...",
    ],
)
def test_a_single_question_is_left_whole(text: str) -> None:
    assert split_questions(normalize(text)) == ()


def test_a_long_story_is_left_whole() -> None:
    assert split_questions("I bought a phone. " * 7) == ()


@given(st.text(max_size=400))
def test_parts_hold_nothing_that_the_message_does_not(text: str) -> None:
    parts = split_questions(normalize(text))
    assert len(parts) != 1
    kept = "".join("".join(part.text.split()) for part in parts)
    whole = iter("".join(normalize(text).split()))
    assert all(character in whole for character in kept)  # in their order


def sure(intent: str) -> Reading:
    return Reading((Candidate(intent, 0.99),), 0.99, 0.99, sure=True)


UNSURE = Reading((Candidate("a", 0.5),), 0.5, 0.6, sure=False)
ANSWERED = frozenset("abcde")


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([sure("a"), sure("b")], (0, 1)),
        ([sure("b"), UNSURE, sure("a")], (0, 2)),
        ([sure("a"), UNSURE], ()),
        ([sure("a"), sure("a")], ()),
        ([sure("a"), sure("a"), sure("b")], (0, 2)),
        ([sure("a"), sure("unknown")], ()),
        ([sure("a"), Reading((), 0.0, 0.0, sure=True)], ()),
        ([sure(name) for name in "abcd"], tuple(range(MOST_ANSWERS))),
        ([], ()),
    ],
)
def test_at_least_two_sure_intents_are_answered_each(
    readings: list[Reading], expected: tuple[int, ...]
) -> None:
    assert chosen_parts(readings, ANSWERED) == expected
