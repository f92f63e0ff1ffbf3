"""Which variant is said, and what is said while a slot is unknown."""

from __future__ import annotations

import pytest

from services.customer_service.answers import Intent, Slot
from services.customer_service.templates import Said, pick, render

SLOTS = {"n": Slot("n", r"\d+", {"en": "Which?", "zh": "哪个？"}), "m": Slot("m", "x")}


def said(intent: Intent, language: str = "en", **values: str) -> Said | None:
    return render(intent, language, "en", values, SLOTS, seed="c")


def test_the_fullest_variant_whose_values_are_known_is_said() -> None:
    intent = Intent("i", answers={"en": ("Plain.", "Order {n}.", "Order {n} by {m}.")})
    assert said(intent) == Said("Plain.", ("n", "m"))
    assert said(intent, n="7") == Said("Order 7.", ("n", "m"))
    assert said(intent, n="7", m="me") == Said("Order 7 by me.", ("n", "m"))


def test_without_the_value_the_answer_without_slots_is_said() -> None:
    intent = Intent("i", answers={"en": ("Order {n}.",)}, without_slots={"en": ("No number.",)})
    assert said(intent) == Said("No number.", ("n",))


def test_else_the_slot_is_asked_for_in_the_customers_language() -> None:
    intent = Intent("i", answers={"en": ("Order {n}.",), "zh": ("订单 {n}。",)})
    assert said(intent) == Said("Which?", ("n",), asks="n")
    assert said(intent, "zh") == Said("哪个？", ("n",), asks="n")


def test_a_slot_that_cannot_be_asked_for_leaves_nothing_to_say() -> None:
    assert said(Intent("i", answers={"en": ("By {m}.",)})) is None
    assert said(Intent("i")) is None


@pytest.mark.parametrize(("language", "text"), [("zh", "你好"), ("en", "Hi"), ("fr", "Hi")])
def test_the_language_falls_back(language: str, text: str) -> None:
    found = said(Intent("i", answers={"zh": ("你好",), "en": ("Hi",)}), language)
    assert found is not None
    assert found.text == text


def test_a_value_is_put_in_as_it_is_whatever_it_looks_like() -> None:
    intent = Intent("i", answers={"en": ("<{n}> {not a slot} {{n}}",)})
    found = said(intent, n="{m} & {0}")
    assert found is not None
    assert found.text == "<{m} & {0}> {not a slot} {{m} & {0}}"


def test_the_variant_depends_on_the_conversation_alone_and_all_are_used() -> None:
    variants = ["a", "b", "c"]
    assert {pick(variants, f"conversation {n}") for n in range(40)} == set(variants)
    assert pick(variants, "one") == pick(variants, "one")
