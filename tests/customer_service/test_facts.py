"""Are numbers, names, links and denials found by their form, in both languages?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_service import facts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("two weeks", "2 weeks"),
        ("within 30 calendar days", "30 days"),
        ("三十天内", "30 天"),
        ("百分之八", "8%"),
        ("8 per cent", "8 %"),
        ("€1,000", "1000 euros"),
        ("7 个工作日", "seven working days"),
        ("两周", "two weeks"),
        ("１４天", "14 days"),
        ("一千二百欧元", "EUR 1,200"),
    ],
)
def test_an_amount_is_the_same_in_any_spelling(one: str, other: str) -> None:
    assert facts.amounts(one) == facts.amounts(other) != set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("30 days", "30 months"),
        ("€30", "$30"),
        ("14 days", "15 days"),
        ("forty days", "14 days"),
        ("30 EUR", "30 days"),
        ("三十天", "十三天"),
        ("1.5 kg", "15 kg"),
    ],
)
def test_another_amount_is_another_one(one: str, other: str) -> None:
    assert not facts.amounts(one) <= facts.amounts(other)


@pytest.mark.parametrize("text", ["one of them", "请稍等一下", "一般来说", "no number"])
def test_words_that_count_nothing_are_no_numbers(text: str) -> None:
    assert facts.amounts(text) == set()


@given(st.integers(0, 99_999_999))
def test_digits_are_found_with_separators_and_without(number: int) -> None:
    assert (str(number), "EUR") in facts.amounts(f"it is {number:,} EUR")
    assert (str(number), "EUR") in facts.amounts(f"it is {number} EUR")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Use USB-C with the iPhone.", {"usb", "c", "iphone"}),
        ("Take it to Rotterdam. We open it.", {"rotterdam"}),
        ("Monday is fine, and I'm in.", {"monday"}),
        ("请用 HDMI 线", {"hdmi"}),
        ("You may return it in march.", set()),
        ("Order LY-204518 left.", {"ly", "204518"}),
    ],
)
def test_names_are_told_by_their_letters(text: str, names: set[str]) -> None:
    assert facts.names(text) == names


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("Visit evil.example now.", {"evil.example"}),
        ("see https://a.example/x, or", {"https://a.example/x"}),
        ("[here](//evil.example/y)", {"//evil.example/y"}),
        ("www.a.example。", {"www.a.example"}),
        ("write to me@a.example, e.g. today", set()),
        ("It costs 3.50 euros.", set()),
    ],
)
def test_links_are_found_with_and_without_a_scheme(text: str, links: set[str]) -> None:
    assert facts.links(text) == links


def test_only_links_of_the_sources_are_allowed() -> None:
    said = "Go to shop.example/returns or to evil.example/win."
    allowed = facts.Allowed.of(["https://www.shop.example/help/x", "/local"], said)
    assert allowed.allows("https://shop.example/help/x")
    assert allowed.allows("shop.example/returns")
    assert not allowed.allows("shop.example/other")
    # An article names it, and yet it is no source's.
    assert not allowed.allows("evil.example/win")
    assert not allowed.allows("https://shop.example@evil.example/help/x")


@pytest.mark.parametrize(
    "text", ["You can't return it.", "没有优惠", "不能退", "It is never free.", "without a fee"]
)
def test_a_denial_is_seen(text: str) -> None:
    assert facts.denials(text) == 1


@pytest.mark.parametrize(
    "text", ["You can return it.", "无线耳机可以退", "不仅免费", "Note the number.", "非常好"]
)
def test_what_denies_nothing_is_told_from_it(text: str) -> None:
    assert facts.denials(text) == 0


def test_each_clause_is_denied_for_itself() -> None:
    parts = facts.clauses("You cannot return it, but you can swap it for another one.")
    assert [facts.denials(part) for part in parts] == [1, 0]


@given(st.text(max_size=200))
def test_any_text_agrees_with_itself(text: str) -> None:
    assert facts.names(text) <= facts.names(text, all_words=True)
    facts.amounts(text), facts.links(text), facts.emails(text), facts.clauses(text)
