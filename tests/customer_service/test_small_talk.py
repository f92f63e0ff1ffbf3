"""Which messages are nothing but small talk, a yes or a no, or a correction?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import normalize
from services.customer_service.corrections import Correction, agrees, correction_of, denies
from services.customer_service.small_talk import Talk, small_talk


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("hello", "greeting"),
        ("Hi there!", "greeting"),
        ("Good morning, dear team", "greeting"),
        ("你好", "greeting"),
        ("在吗？", "greeting"),
        ("thanks", "thanks"),
        ("Thank you so much!!", "thanks"),
        ("ok thanks bye", "thanks"),
        ("No, thank you", "thanks"),
        ("谢谢", "thanks"),
        ("好的，谢谢您", "thanks"),
        ("bye", "goodbye"),
        ("再见", "goodbye"),
        ("ok", "nod"),
        ("好的", "nod"),
        ("you stupid idiot", "abuse"),
        ("This is bullshit!", "abuse"),
        ("你这个白痴", "abuse"),
    ],
)
def test_small_talk_is_known_by_its_words(text: str, kind: Talk) -> None:
    assert small_talk(normalize(text)) == kind


@pytest.mark.parametrize(
    "text",
    [
        "hello where is my order",
        "thanks but it is broken",
        "is this a good phone",
        "good laptop for school",
        "where is my fucking parcel",
        "这个垃圾手机怎么退",
        "你好我要退货",
        "好评返现",
        "",
        "?",
        "🙂",
        "hi " * 40,
    ],
)
def test_what_holds_more_is_no_small_talk(text: str) -> None:
    assert small_talk(normalize(text)) is None


@given(st.text(max_size=100))
def test_any_text_can_be_looked_at(text: str) -> None:
    said = normalize(text)
    assert not (agrees(said) and denies(said))
    correction = correction_of(said)
    assert correction is None or said.endswith(correction.rest)
    small_talk(said)


@pytest.mark.parametrize(
    ("text", "rest", "certain"),
    [
        ("no, I meant a refund", "a refund", True),
        ("No I mean the warranty", "the warranty", True),
        ("I meant returns", "returns", True),
        ("that's wrong, I asked about shipping", "shipping", True),
        ("You misunderstood, I meant an exchange", "an exchange", True),
        ("That's not what I meant. How do I cancel?", "How do I cancel?", True),
        ("不是，我是说退款", "退款", True),
        ("不对，我问的是运费", "运费", True),
        ("我的意思是退货", "退货", True),
        ("no, my parcel is not here", "my parcel is not here", False),
        ("不是，我的包裹没到", "我的包裹没到", False),
    ],
)
def test_a_correction_is_a_new_question(text: str, rest: str, certain: bool) -> None:
    assert correction_of(normalize(text)) == Correction(rest, certain)


@pytest.mark.parametrize(
    "text",
    [
        "no tracking number in my email",
        "Where is my order?",
        "no",
        "not what I asked",
        "I was charged twice",
        "我说明书丢了",
        "不能退款吗",
        "",
    ],
)
def test_what_corrects_nothing_is_left_alone(text: str) -> None:
    assert correction_of(normalize(text)) is None


@pytest.mark.parametrize(
    "text", ["no", "Nope!", "that's wrong", "That’s not what I asked.", "不对"]
)
def test_a_bare_no_is_told(text: str) -> None:
    assert denies(normalize(text))


@pytest.mark.parametrize("text", ["yes", "Yes, please", "对", "是的！", "exactly"])
def test_a_bare_yes_is_told(text: str) -> None:
    assert agrees(normalize(text))


@pytest.mark.parametrize("text", ["no, the other one", "yes but when", "knows", "不想要了", ""])
def test_what_says_more_is_neither(text: str) -> None:
    assert not denies(normalize(text))
    assert not agrees(normalize(text))
