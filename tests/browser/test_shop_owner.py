"""Do the owner's pages tell what the shelves bring, and why an item stands in one?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from playwright.sync_api import Page, expect

from core.data.records import Item
from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from services.recommender.settings import Settings
from services.recommender.tables import api_keys
from tests.browser.conftest import Watched, overflow, serious_findings, served, weight
from tests.browser.shop_site import (
    HOSTILE,
    Shop,
    app_of,
    made_shop,
    put_items,
    settings_in,
    shop_in,
)

__all__ = ["made_shop"]

Open = Callable[..., Page]
Made = Callable[[Path], Settings]


@pytest.fixture(scope="module")
def shop(made_shop: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop in which 60 answers were given, some clicked on, some bought from."""
    settings = made_shop(tmp_path_factory.mktemp("owner"))
    put_items(settings, [Item("aa-hostile", HOSTILE, category=HOSTILE, price=5.0)])
    with shop_in(settings) as running:
        trade(running.url)
        yield running


def trade(url: str) -> None:
    rng = Random(1)
    with httpx.Client(base_url=url, timeout=30) as client:
        for number in range(60):
            user, scenario = f"u{number % 20}", rng.choice(["home", "cart", HOSTILE])
            wanted = {"user_id": user, "scenario": scenario, "n": 5}
            answer = client.post("/v1/recommendations", json=wanted).json()
            batch = []
            for item in answer["items"]:
                event = {
                    "user_id": user,
                    "item_id": item["item_id"],
                    "recommendation_id": answer["recommendation_id"],
                    "position": item["rank"],
                }
                batch.append(event | {"event": "impression"})
                if rng.random() < 0.1:
                    batch.append(event | {"event": "click"})
                    batch.append(event | {"event": "purchase", "value": 20, "currency": "EUR"})
            client.post("/v1/events", json=batch).raise_for_status()


def test_the_dashboard_tells_what_the_shelves_bring(open_page: Open, shop: Shop) -> None:
    page = open_page(f"{shop.url}/dashboard")
    click_through = page.locator(".figure", has_text="Click-through")
    expect(click_through).to_contain_text("of 60 answers")
    expect(page.locator(".figure", has_text="Net revenue")).to_contain_text("€")
    expect(page.locator("#by-shelf .plot")).to_have_attribute("aria-label", has("Home"))
    page.get_by_role("button", name="Revenue").click()
    expect(page.locator("#by-shelf-said")).to_contain_text("In EUR.")
    expect(page.locator("#daily .plot")).to_have_attribute("aria-label", has("60/"))
    expect(page.locator("#rivals .plot")).to_have_attribute("aria-label", has("this model"))
    expect(page.locator("#ladder [aria-current=step]")).to_have_count(1)
    expect(page.get_by_role("list", name="What is shown").locator("li")).to_have_count(12)
    page.get_by_role("button", name="Never shown").click()
    expect(page.locator("#items-said")).to_contain_text("stood on no shelf")
    expect(page.locator("#items")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Never clicked").click()
    expect(page.locator("#items li").first).to_contain_text("shown")
    assert page.evaluate("window.hacked") is None
    assert weight(page) < 300_000


def has(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


def test_a_training_is_asked_for_and_told(open_page: Open, shop: Shop) -> None:
    page = open_page(f"{shop.url}/dashboard")
    page.get_by_role("button", name="Train now").click()
    expect(page.get_by_text("Asked: the worker trains next.")).to_be_visible()
    expect(page.locator("#trainings")).to_contain_text("waiting for the worker")
    expect(page.locator("#trainings")).to_contain_text("asked for")


def test_without_a_model_or_an_event_the_dashboard_says_what_to_do(
    open_page: Open, tmp_path: Path
) -> None:
    with shop_in(settings_in(tmp_path)) as bare:
        page = open_page(f"{bare.url}/dashboard")
        expect(page.get_by_text("No answer was given in this period.")).to_be_visible()
        expect(page.get_by_text("No model is live yet.")).to_be_visible()
        expect(page.get_by_text("Nothing was trained yet.")).to_be_visible()
        expect(page.get_by_text("Nobody took anything in this period.")).to_be_visible()
        expect(page.locator(".figure", has_text="Live model")).to_contain_text("none")
        assert serious_findings(page) == []


def test_the_inspectors_parts_add_up_to_the_score(open_page: Open, shop: Shop) -> None:
    page = open_page(f"{shop.url}/inspector")
    expect(page.get_by_text("No shopper is chosen yet.")).to_be_visible()
    page.get_by_role("button", name="Mara").click()
    expect(page.get_by_text("place 1", exact=True)).to_be_visible()
    parts, score = page.evaluate(
        """[[...document.querySelectorAll('[data-part]')].map(n => Number(n.dataset.value)),
        Number(document.querySelector('[data-score]').dataset.score)]"""
    )
    assert sum(parts) == pytest.approx(score, abs=1e-4)
    expect(page.locator("#pulls li").first).to_contain_text("both say")
    expect(page.locator("#ways")).to_contain_text("No rule of the shop acts on it.")
    third = page.locator("#list button").nth(2)
    title = third.locator("span").nth(1).inner_text()
    third.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2).first).to_have_text(title)
    expect(page.get_by_text("place 3", exact=True)).to_be_visible()
    expect(third).to_be_focused()


def test_the_inspector_says_what_keeps_an_item_out(
    open_page: Open, shop: Shop, watched: Watched
) -> None:
    watched.forgive("404")
    page = open_page(f"{shop.url}/inspector?user=u0&item=aa-hostile")
    expect(page.get_by_role("heading", level=2).first).to_have_text(HOSTILE)
    page.get_by_label("Item").fill("no such item")
    page.get_by_label("Item").press("Enter")
    with_mend = page.get_by_role("alert").filter(has_text="there is no item")
    expect(with_mend).to_be_visible()
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("path", ["/dashboard", "/inspector?user=u0"])
def test_in_chinese_dark_and_on_a_phone_they_read_well(
    open_page: Open, shop: Shop, path: str
) -> None:
    page = open_page(shop.url + path, phone=True, dark=True, language="zh-CN")
    expect(page.locator("#by-shelf .plot, #parts li.sum")).to_be_visible()
    expect(page.get_by_role("link", name="演示商店")).to_be_visible()
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_what_is_shown_stays_while_the_server_is_away(
    open_page: Open, made_shop: Made, tmp_path: Path, watched: Watched
) -> None:
    watched.forgive("ERR_CONNECTION_REFUSED")
    settings = made_shop(tmp_path)
    with shop_in(settings) as away:
        page = open_page(f"{away.url}/dashboard")
        rivals = page.locator("#rivals .plot")
        expect(rivals).to_have_attribute("aria-label", has("this model"))
    page.get_by_role("button", name="7 days").click()
    expect(page.get_by_text("The server cannot be reached")).to_be_visible()
    expect(rivals).to_have_attribute("aria-label", has("this model"))
    with served(app_of(settings), away.port):
        page.get_by_role("button", name="90 days").click()
        expect(page.get_by_text("The server cannot be reached")).to_be_hidden()


def test_with_keys_in_use_a_page_asks_for_one_and_then_shows_all(
    open_page: Open, made_shop: Made, tmp_path: Path, watched: Watched
) -> None:
    watched.forgive("401")
    settings = made_shop(tmp_path)
    engine = make_engine(settings.database_url)
    with session_factory(engine).begin() as session:
        key = create_key(session, api_keys, "owner")
    engine.dispose()
    with shop_in(settings) as closed:
        page = open_page(f"{closed.url}/dashboard")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#rivals .plot")).to_have_attribute("aria-label", has("this model"))
