"""What a page is told of the items: cards, the catalogue page by page, categories, shoppers."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from core.errors import SettingsError
from services.recommender.sample_shoppers import read_sample_shoppers
from services.recommender.settings import Settings


def test_cards_come_in_the_order_asked_for_without_what_is_hidden(client: TestClient) -> None:
    given = [
        {
            "item_id": "x/1",
            "title": "Mug",
            "price": 5,
            "currency": "EUR",
            "tags": ["tea"],
            "image": "https://shop.example/mug.png",
            "attributes": {"link": "https://shop.example/mug"},
        },
        {"item_id": "x2", "title": "Cup", "attributes": {"link": "javascript:alert(1)"}},
        {"item_id": "x3", "title": "Secret", "hidden": True},
    ]
    client.put("/v1/items", json=given).raise_for_status()
    asked = "item_id=x2&item_id=nowhere&item_id=x3&item_id=x/1&item_id=x2"
    cards = client.get(f"/v1/cards?{asked}").json()["items"]
    assert [card["item_id"] for card in cards] == ["x2", "x/1"]
    assert cards[1] | {"availability": ""} == {
        "item_id": "x/1",
        "title": "Mug",
        "category": "",
        "brand": "",
        "tags": ["tea"],
        "price": 5.0,
        "currency": "EUR",
        "availability": "",
        "image": "https://shop.example/mug.png",
        "link": "https://shop.example/mug",
    }
    assert cards[0]["link"] == ""


def test_cards_want_one_id_to_a_hundred(client: TestClient) -> None:
    assert client.get("/v1/cards").status_code == 422
    many = "&".join(f"item_id={n}" for n in range(101))
    assert client.get(f"/v1/cards?{many}").status_code == 422


@pytest.mark.parametrize("category", ["", "&category=baking"])
def test_the_catalogue_is_read_to_its_end_page_by_page(client: TestClient, category: str) -> None:
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"/v1/catalogue?limit=7&cursor={cursor}{category}").json()
        found += [item["item_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == sorted(set(found))
    assert len(found) == (20 if category else 40)


def test_categories_are_counted_without_hidden_items(client: TestClient) -> None:
    client.patch("/v1/items/baking-rain-oven", json={"hidden": True}).raise_for_status()
    found = client.get("/v1/categories").json()
    assert found == {
        "categories": [{"category": "hiking", "items": 20}, {"category": "baking", "items": 19}],
        "items": 39,
    }


def test_there_are_no_sample_shoppers_unless_a_file_names_them(
    client: TestClient, tmp_path: Path
) -> None:
    assert client.get("/v1/sample-shoppers").json() == {"shoppers": []}
    file = tmp_path / "shoppers.yaml"
    file.write_text("shoppers: [{user_id: 7, name: Mara, about: Hikes.}]", encoding="utf-8")
    [shopper] = read_sample_shoppers(str(file))
    assert (shopper.user_id, shopper.name, shopper.label) == ("7", "Mara", "")


@pytest.mark.parametrize("content", ["- 1", "shoppers: 3", "shoppers: [{name: x}]", "{", None])
def test_a_file_of_shoppers_that_is_none_is_refused_with_the_mend(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "shoppers.yaml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match="shoppers"):
        read_sample_shoppers(str(file))


def test_a_missing_setting_names_no_file() -> None:
    assert Settings().sample_shoppers == ""
