"""What events and items mean."""

from __future__ import annotations

import pytest

from core.data.records import EVENT_KINDS, Item
from services.recommender.domain import (
    MAX_TEXT_CHARS,
    STRENGTH,
    is_positive,
    item_text,
    strength,
    text_digest,
)


def test_every_kind_of_event_has_a_strength() -> None:
    assert set(STRENGTH) == set(EVENT_KINDS)


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        ("impression", "view"),
        ("view", "click"),
        ("click", "share"),
        ("wishlist", "add_to_cart"),
        ("add_to_cart", "purchase"),
    ],
)
def test_a_stronger_event_says_more(weaker: str, stronger: str) -> None:
    assert strength(weaker, None) < strength(stronger, None)  # type: ignore[arg-type]


def test_a_refund_takes_back_the_purchase_and_the_cart() -> None:
    assert strength("add_to_cart", None) + strength("purchase", None) + strength("refund", 9.0) == 0


def test_removing_from_the_cart_takes_the_cart_back() -> None:
    assert strength("add_to_cart", None) + strength("remove_from_cart", None) == 0


@pytest.mark.parametrize(
    ("kind", "value", "positive"),
    [
        ("impression", None, False),
        ("view", None, False),
        ("click", None, True),
        ("purchase", 12.5, True),
        ("refund", 12.5, False),
        ("remove_from_cart", None, False),
        ("rating", None, True),
        ("rating", 3.0, True),
        ("rating", 2.5, False),
    ],
)
def test_positive_is_a_click_or_stronger(kind: str, value: float | None, positive: bool) -> None:
    assert is_positive(kind, value) is positive  # type: ignore[arg-type]


def test_a_bad_rating_speaks_against_and_five_stars_most_for() -> None:
    assert strength("rating", 1.0) < 0 < strength("rating", 3.0) < strength("rating", 5.0)


def test_an_items_text_holds_title_category_brand_tags_and_description() -> None:
    item = Item("a", "Warm\njacket", "For  rain.", ("hiking", "rain"), "Clothes", "Kite")
    assert item_text(item) == "Warm jacket. Clothes, Kite. hiking, rain. For rain."


def test_an_items_text_is_bounded() -> None:
    assert len(item_text(Item("a", "t", "x" * 100_000))) == MAX_TEXT_CHARS


def test_equal_texts_have_one_digest_and_others_another() -> None:
    assert text_digest("a") == text_digest("a") != text_digest("b")
    assert len(text_digest("\ud800")) == 32
