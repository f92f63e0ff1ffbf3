"""Does the demo storefront follow each click, say why, and bring what was bought to the server?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from core.data.records import Item
from core.db.migrations import upgrade
from services.recommender.settings import Settings
from services.recommender.tables import MIGRATIONS
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
    settings = made_shop(tmp_path_factory.mktemp("storefront"))
    put_items(settings, [Item("aa/hostile", HOSTILE, category=HOSTILE, price=5.0, currency="EUR")])
    with shop_in(settings) as running:
        yield running


def mine(page: Page) -> Locator:
    """The shopper's own shelf, filled."""
    shelf = page.locator("#for-you")
    expect(shelf.locator("li:not(.waiting)").first).to_be_visible()
    return shelf


def titles(shelf: Locator) -> list[str]:
    return shelf.locator(".title").all_inner_texts()


def visitor(page: Page) -> str:
    found: str = page.evaluate("JSON.parse(localStorage['trefoil-shopper']).id")
    return found


def test_a_click_changes_the_shelf_which_names_it_as_the_reason(
    open_page: Open, shop: Shop
) -> None:
    page = open_page(shop.url)
    before = titles(mine(page))
    clicked = mine(page).locator("li").nth(2)
    title = clicked.locator(".title").inner_text()
    clicked.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(mine(page).get_by_role("status")).to_contain_text(f"Since you looked at {title}")
    expect(mine(page)).to_contain_text(f"because you looked at {title}")
    assert "?" not in page.url
    [click] = shop.events(session_id=visitor(page), kind="click")
    assert (click["scenario"], click["position"]) == ("home", 3)
    assert click["recommendation_id"]
    page.get_by_role("link", name="Storefront").click()
    expect(mine(page)).to_contain_text(f"because you looked at {title}")
    assert title not in titles(mine(page))
    assert titles(mine(page)) != before


def test_loading_a_product_again_is_no_second_click(open_page: Open, shop: Shop) -> None:
    page = open_page(f"{shop.url}/products/hiking-rain-tent")
    mine(page)
    page.reload()
    mine(page)
    assert len(shop.events(session_id=visitor(page))) == 1


def test_another_shopper_sees_another_shelf(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    stranger = titles(mine(page))
    mara = page.get_by_role("button", name="Mara")
    mara.click()
    expect(mara).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Counts the grams in her pack")).to_be_visible()
    expect(mine(page)).to_contain_text("Chosen for Mara")
    assert titles(mine(page)) != stranger
    page.reload()
    expect(page.get_by_role("button", name="Mara")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="A new visitor").click()
    expect(mine(page)).to_contain_text("Chosen for a new visitor")


def test_search_understands_a_price_and_shows_more_when_asked(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    page.get_by_role("searchbox").fill("boots for rain under 40")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("“boots for rain under 40”")
    expect(page.get_by_text("only: under 40")).to_be_visible()
    found = page.locator("#found li")
    expect(found).to_have_count(24)
    page.get_by_role("button", name="Show more").click()
    expect(found).to_have_count(39)
    expect(found.nth(24).get_by_role("link")).to_be_focused()


def test_what_is_bought_arrives_with_the_shelf_it_was_found_on(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    card = mine(page).locator("li").first
    item, title = card.get_attribute("data-item"), card.locator(".title").inner_text()
    card.get_by_role("button").click()
    expect(mine(page).get_by_role("status")).to_contain_text(f"you put {title} into your cart")
    page.get_by_role("link", name="Cart 1").click()
    page.get_by_role("button", name=f"One more of {title}").click()
    expect(page.locator(".quantity")).to_contain_text("2")
    page.get_by_role("button", name="Place the order").click()
    expect(page.get_by_text("Thank you!")).to_be_visible()
    expect(page.get_by_text("line by line (1)")).to_be_visible()
    [bought] = shop.events(session_id=visitor(page), kind="purchase")
    assert (bought["item_id"], bought["quantity"], bought["position"]) == (item, 2.0, 1)
    assert (bought["scenario"], bought["currency"]) == ("home", "EUR")
    assert bought["order_id"].startswith("demo-")
    groups = httpx.get(f"{shop.url}/v1/attribution").json()["groups"]
    assert sum(group["answers_converted"] for group in groups) >= 1
    expect(page.locator("#cart-count")).to_be_hidden()


def test_by_keyboard_alone_one_chooses_a_shopper_and_fills_the_cart(
    open_page: Open, shop: Shop
) -> None:
    page = open_page(shop.url)
    mine(page)
    page.get_by_role("button", name="Jonas").focus()
    page.keyboard.press("Enter")
    expect(mine(page)).to_contain_text("Chosen for Jonas")
    expect(page.get_by_role("button", name="Jonas")).to_be_focused()
    while page.evaluate("document.activeElement.closest('#for-you') === null"):
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(mine(page).get_by_role("status")).to_contain_text("into your cart")
    assert page.evaluate("document.activeElement.closest('#for-you') !== null")


@pytest.mark.parametrize("path", ["/", "/search?q=tent", "/products/hiking-rain-tent", "/cart"])
def test_in_chinese_dark_and_on_a_phone_every_page_reads_well(
    open_page: Open, shop: Shop, path: str
) -> None:
    page = open_page(shop.url + path, phone=True, dark=True, language="zh-CN")
    expect(page.locator("li.product:not(.waiting), li.line").first).to_be_visible()
    expect(page.get_by_role("button", name="搜索")).to_be_visible()
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_it_is_light_and_accessible(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    mine(page)
    expect(page.locator("#all li")).to_have_count(24)
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_markup_in_a_title_is_shown_as_text(open_page: Open, shop: Shop) -> None:
    page = open_page(shop.url)
    expect(page.locator("#all li").first.locator(".title")).to_have_text(HOSTILE)
    page.locator("#all li").first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(mine(page).get_by_role("status")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Put into the cart").click()
    page.goto(f"{shop.url}/cart")
    expect(page.locator("#lines")).to_contain_text(HOSTILE)
    assert page.evaluate("window.hacked") is None


def test_what_is_done_while_the_server_is_away_arrives_when_it_is_back(
    open_page: Open, made_shop: Made, tmp_path: Path, watched: Watched
) -> None:
    watched.forgive("ERR_CONNECTION_REFUSED")
    settings = made_shop(tmp_path)
    with shop_in(settings) as away:
        page = open_page(away.url)
        before = titles(mine(page))
    page.locator("#for-you li").first.get_by_role("button").click()
    expect(page.get_by_text("The server cannot be reached")).to_be_visible()
    assert titles(mine(page)) == before
    with served(app_of(settings), away.port):
        page.locator("#for-you li").nth(1).get_by_role("button").click()
        expect(page.get_by_text("The server cannot be reached")).to_be_hidden()
        expect(mine(page).get_by_role("status")).to_contain_text("Since you put")
        assert len(away.events(session_id=visitor(page), kind="add_to_cart")) == 2


def test_ten_thousand_items_come_page_by_page(
    open_page: Open, tmp_path: Path, watched: Watched
) -> None:
    watched.forgive("503")
    settings = settings_in(tmp_path)
    tmp_path.joinpath("recommender").mkdir()
    upgrade(settings.database_url, MIGRATIONS)
    long = "Donaudampfschifffahrtsgesellschaftskapitänsmützenhalter" * 3
    put_items(settings, [Item(f"i{n:05}", f"{long} {n}", category="c") for n in range(10_000)])
    with shop_in(settings) as large:
        page = open_page(large.url, phone=True)
        expect(page.get_by_text("10,000 items")).to_be_visible()
        expect(page.locator("#all li")).to_have_count(24)
        expect(page.get_by_text("No model is live yet.")).to_be_visible()
        page.get_by_role("button", name="Show more").click()
        expect(page.locator("#all li")).to_have_count(48)
        assert overflow(page) <= 0
        assert weight(page) < 300_000


def test_an_empty_shop_says_how_to_fill_it(
    open_page: Open, tmp_path: Path, watched: Watched
) -> None:
    watched.forgive("503")
    watched.forgive("404")
    with shop_in(settings_in(tmp_path)) as bare:
        page = open_page(bare.url)
        expect(page.get_by_text("There is nothing in the shop yet.")).to_be_visible()
        page.goto(f"{bare.url}/cart")
        expect(page.get_by_text("Your cart is empty.")).to_be_visible()
        page.goto(f"{bare.url}/products/nothing")
        expect(page.get_by_text("There is no such product.")).to_be_visible()
