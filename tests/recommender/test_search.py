"""What a text asks for, and which items answer it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommender import filters
from services.recommender.catalogue import Shelf
from services.recommender.learning.shop import Shop
from services.recommender.model import Embedding, Model
from services.recommender.recommend import Recommendation, Request
from services.recommender.rules import NO_RULES
from services.recommender.search import MOST_CHARS, Query, search, understand
from tests.recommender.test_filters import SHOP
from tests.recommender.test_recommend import HIKER, NOW, model, shelf

__all__ = ["model", "shelf"]


@pytest.mark.parametrize(
    ("text", "rest", "price"),
    [
        ("warm waterproof jacket under 100", "warm waterproof jacket", {"lt": 100}),
        ("mug below 50 EUR", "mug", {"lt": 50}),
        ("lamp no more than €30", "lamp", {"lte": 30}),
        ("jacket 50 or less", "jacket", {"lte": 50}),
        ("laptop max 1,200.50 dollars", "laptop", {"lte": 1200.5}),
        ("boots between 20 and 40", "boots", {"gte": 20, "lte": 40}),
        ("from 20 to 40 euros hat", "hat", {"gte": 20, "lte": 40}),
        ("tent over 100 and under 200", "tent and", {"gt": 100, "lt": 200}),
        ("books at least 5", "books", {"gte": 5}),
        ("Jacke unter 100 Euro", "Jacke", {"lt": 100}),
        ("100 元以下 杯子", "杯子", {"lte": 100}),
        ("外套200到300元", "外套", {"gte": 200, "lte": 300}),
        ("不超过200元的外套", "的外套", {"lte": 200}),
        ("under 20", "", {"lt": 20}),
        ("socks under 10 in red", "socks in red", {"lt": 10}),
    ],
)
def test_a_phrase_of_price_becomes_a_filter(text: str, rest: str, price: dict[str, float]) -> None:
    query = understand(text, SHOP)
    assert query.text == rest and query.filter["price"] == price
    assert query.phrases and query.condition() is not None


@pytest.mark.parametrize(
    "text",
    [
        "tent under 2 kg", "backpack under 40 l", "rope up to 60 m", "iPhone 15 case", "under 100%",
        "tent for under 5 people", "charger over 3000 mAh", "under armour shirt", "top 10 from us",
        "帐篷 5 人以下", "1,111,",
    ],
)  # fmt: skip
def test_other_numbers_are_words(text: str) -> None:
    query = understand(text, SHOP)
    assert query.text == text and query.filter == {} and query.condition() is None


def test_a_currency_counts_where_the_shop_has_it() -> None:
    assert understand("mug below 50 EUR", SHOP).filter["currency"] == "EUR"
    assert understand("mug below $50", SHOP).filter == {"price": {"lt": 50}}


@given(st.text(max_size=80) | st.sampled_from(["1 " * 250, "9" * 500, "from 1 to " * 50]))
def test_any_text_is_understood(text: str) -> None:
    """A phrase whose pattern went back over the text again and again would never end here."""
    query = understand(text, SHOP)
    assert len(query.text) <= MOST_CHARS
    filters.parse(query.filter)


# --- which items -------------------------------------------------------------------------------


def find(
    model: Model, shelf: Shelf, query: Query, embedding: Embedding | None, **more: Any
) -> list[Recommendation]:
    history = more.pop("history", [])
    request = Request(**{"n": 6, "filter": query.condition(), **more})
    rng = np.random.default_rng(0)
    return search(model, shelf, history, query, embedding, request, NOW, NO_RULES, rng)


def of(shop: Shop, item_id: str) -> Embedding:
    row = shop.item_ids.index(item_id)
    return Embedding(shop.embeddings[row].astype(np.float16), 0.0)


def test_text_and_words_find_the_item_and_add_up(model: Model, shelf: Shelf, shop: Shop) -> None:
    query = understand("tent for hiking in the rain", shelf)
    found = find(model, shelf, query, of(shop, "hiking-rain-tent"))
    assert found[0].item_id == "hiking-rain-tent"
    assert all(one.item_id.startswith("hiking") for one in found)
    for one in found:
        assert one.explanation is not None and one.source == "search"
        assert list(one.explanation.signals) == ["text", "words", "interest"]
        assert sum(one.explanation.signals.values()) == pytest.approx(one.score, abs=1e-5)
    assert found[0].explanation is not None
    assert "its title says: tent, for, hiking, in, the, rain" in {
        reason.text for reason in found[0].explanation.reasons
    }


def test_words_of_the_category_count(model: Model, shelf: Shelf) -> None:
    found = find(model, shelf, Query("baking oven", {}, []), None)
    assert {one.item_id for one in found[:1]} <= {"baking-rain-oven", "baking-sun-oven"}
    assert all(one.item_id.startswith("baking") for one in found)


def test_what_nobody_can_read_finds_nothing(model: Model, shelf: Shelf, shop: Shop) -> None:
    unread = Embedding(of(shop, "hiking-rain-tent").values, 1.0)
    assert find(model, shelf, Query("qwertz", {}, []), unread) == []


def test_a_price_alone_leaves_the_choice_to_the_user(model: Model, shelf: Shelf) -> None:
    found = find(model, shelf, understand("under 13", shelf), None, history=HIKER)
    assert found and all(one.item_id.startswith("hiking") for one in found[:4])
    assert all(shelf.price[shelf.row_of[one.item_id]] < 13 for one in found)


def test_an_empty_shop_answers_nothing(model: Model, shop: Shop) -> None:
    from services.recommender.catalogue import Catalogue

    empty = Catalogue(model.tower, {}).shelf()
    assert find(model, empty, Query("tent", {}, []), of(shop, "hiking-rain-tent")) == []
