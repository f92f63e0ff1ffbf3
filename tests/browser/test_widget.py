"""Does a visitor get along with the chat, on the page where one tries it and on another site?"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from playwright.sync_api import Locator, Page, Route, expect
from starlette.responses import HTMLResponse

from core.db.engine import make_engine, session_factory
from core.db.keys import create_publishable_key
from services.customer_service.app import create_app
from services.customer_service.settings import Settings
from services.customer_service.tables import api_keys
from tests.browser.conftest import Watched, overflow, serious_findings, served, weight
from tests.customer_service.conftest import artifact, base_model, questions, shop_files, stocked

# Fixtures of the service's own tests: a small shop with a tiny model.
__all__ = ["artifact", "base_model", "questions", "shop_files", "stocked"]

Open = Callable[..., Page]
PASSWORD = "seven grey umbrellas"
HOSTILE = "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script>"


@dataclass
class Bot:
    """A running service; `site` is the origin of another website, `keys` what it holds."""

    url: str
    app: FastAPI
    settings: Settings

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.url}{path}").json()

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        assert httpx.put(f"{self.url}{path}", json=body).status_code == 200

    def agent(self) -> httpx.Client:
        """Somebody who has logged in at the desk."""
        accounts = self.app.state.people.accounts
        if not any(account.name == "anna" for account in accounts.all()):
            accounts.add("anna", PASSWORD, role="agent", shown_as=f"Anna {HOSTILE}"[:30])
        client = httpx.Client(base_url=self.url)
        answer = client.post("/v1/desk/login", json={"name": "anna", "password": PASSWORD})
        client.headers["x-csrf-token"] = answer.json()["csrf_token"]
        return client


def own_settings(stocked: Settings, folder: Path) -> Settings:
    shutil.copytree(stocked.var_dir, folder, dirs_exist_ok=True)
    return Settings(var_dir=folder, threads=1, refresh_seconds=0.05)


@pytest.fixture(scope="module")
def bot(stocked: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A service without keys, open to this machine."""
    settings = own_settings(stocked, tmp_path_factory.mktemp("open"))
    app = create_app(settings)
    with served(app) as url:
        yield Bot(url, app, settings)


def website(page: Callable[[], str], bot: str) -> FastAPI:
    """Another site: its policy lets the chat in and nothing else, styles included."""
    app = FastAPI()

    @app.get("/{path:path}")
    def any_page(path: str, request: Request) -> HTMLResponse:
        policy = f"default-src 'none'; script-src {bot}; connect-src {bot}; img-src data:"
        return HTMLResponse(page(), headers={"Content-Security-Policy": policy})

    return app


@dataclass
class Site:
    """A website of its own, with the chat by its one tag."""

    url: str
    bot: Bot


@pytest.fixture(scope="module")
def site(stocked: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that wants keys, and a site that has one."""
    settings = own_settings(stocked, tmp_path_factory.mktemp("keyed"))
    app = create_app(settings)
    key = ""

    def page() -> str:
        return (
            '<!doctype html><html lang="en"><head><title>Shop</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<link rel="icon" href="data:,"></head><body><main><h1>Shop</h1>'
            '<p><a href="/other">Something to read</a></p></main>'
            f'<script src="{bot}/widget.js" data-key="{key}" data-heading="Shop support"></script>'
            "</body></html>"
        )

    with served(app) as bot, served(website(page, bot)) as url:
        with session_factory(make_engine(settings.database_url)).begin() as session:
            key = create_publishable_key(session, api_keys, "site", [url])
        app.state.authenticator._in_use = (float("-inf"), False)  # asked anew
        yield Site(url, Bot(bot, app, settings))


def say(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Your message")
    field.fill(text)
    field.press("Enter")


def log(page: Page) -> Locator:
    return page.get_by_role("log")


def conversation(page: Page) -> str:
    """Its id, as the browser remembers it."""
    found: str = page.evaluate(
        """JSON.parse(localStorage.getItem(
        Object.keys(localStorage).find(k => k.startsWith('trefoil-chat|'))
        )).conversation"""
    )
    return found


def turns(bot: Bot, page: Page) -> list[str]:
    return [t["message"] for t in bot.get(f"/v1/conversations/{conversation(page)}")["turns"]]


def test_a_first_visitor_gets_an_answer_with_one_click(open_page: Open, bot: Bot) -> None:
    page = open_page(bot.url)
    with page.expect_response("**/v1/chat") as answer:
        page.get_by_role("button", name="Where is my order LY-204518?").click()
    expect(log(page)).to_contain_text("Order LY-204518 is under My account.")
    assert answer.value.headers["content-type"].startswith("text/event-stream")
    assert weight(page) < 300_000


def test_an_answer_from_an_article_unfolds_its_source(open_page: Open, bot: Bot) -> None:
    page = open_page(bot.url)
    say(page, "delete my account")
    source = page.get_by_text("Source: Delete your account")
    expect(page.locator("blockquote")).to_be_hidden()
    source.click()
    expect(page.locator("blockquote")).to_contain_text("erased after 14 days")
    link = page.get_by_role("link", name="https://shop.example/help/delete-account")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


def test_a_button_is_pressed_and_a_form_filled(open_page: Open, bot: Bot) -> None:
    page = open_page(bot.url)
    say(page, "hello bot")
    chip = log(page).get_by_role("button", name="where is my order")
    chip.click()
    expect(log(page)).to_contain_text("Tell me the order number.")
    expect(chip).to_have_count(0)
    say(page, "I want a refund")
    field = page.get_by_role("textbox", name="Which address did you register with?")
    expect(field).to_be_focused()
    field.fill("anna@shop.org")
    field.press("Enter")
    expect(log(page)).to_contain_text("The refund for anna@shop.org is on its way.")
    expect(field).to_have_count(0)


def test_a_reload_keeps_the_conversation_and_starting_over_forgets_it(
    open_page: Open, bot: Bot
) -> None:
    page = open_page(bot.url)
    say(page, "hello bot")
    expect(log(page)).to_contain_text("Hello! How can I help?")
    page.reload()
    expect(log(page)).to_contain_text("hello bot")
    expect(log(page).get_by_role("button", name="where is my order")).to_be_visible()
    before = conversation(page)
    page.get_by_role("button", name="Start over").click()
    expect(log(page)).not_to_contain_text("hello bot")
    say(page, "hello bot")
    expect(log(page)).to_contain_text("Hello! How can I help?")
    assert conversation(page) != before


def test_two_tabs_of_a_site_show_one_conversation(open_page: Open, bot: Bot) -> None:
    page = open_page(bot.url)
    say(page, "hello bot")
    expect(log(page)).to_contain_text("Hello! How can I help?")
    other = page.context.new_page()
    other.goto(bot.url)
    expect(log(other)).to_contain_text("hello bot")
    say(other, "get me a human")
    expect(log(page)).to_contain_text("A colleague takes over.")
    expect(log(page).get_by_text("get me a human")).to_have_count(1)
    other.get_by_role("button", name="Start over").click()
    expect(log(page)).not_to_contain_text("hello bot")


def test_a_message_written_while_the_server_is_away_is_answered_once_it_is_back(
    open_page: Open, watched: Watched, stocked: Settings, tmp_path: Path
) -> None:
    watched.forgive("ERR_CONNECTION_REFUSED")
    settings = own_settings(stocked, tmp_path / "var")
    with served(create_app(settings)) as url:
        page = open_page(url)
        say(page, "hello bot")
        expect(log(page)).to_contain_text("Hello! How can I help?")
    say(page, "get me a human")
    expect(page.get_by_text("No connection.")).to_be_visible()
    expect(page.get_by_text("Not sent yet")).to_be_visible()
    page.evaluate("document.title = 'still this page'")
    with served(create_app(settings), int(url.rpartition(":")[2])):
        expect(log(page)).to_contain_text("A colleague takes over.")
        expect(page.get_by_text("No connection.")).to_be_hidden()
        expect(page.get_by_text("Not sent yet")).to_be_hidden()
        found = httpx.get(f"{url}/v1/conversations/{conversation(page)}").json()
    assert [turn["message"] for turn in found["turns"]] == ["hello bot", "get me a human"]
    expect(page).to_have_title("still this page")


@pytest.mark.parametrize("half", [False, True], ids=["wholly", "in the middle"])
def test_an_answer_that_got_lost_is_asked_for_again_and_not_given_twice(
    open_page: Open, watched: Watched, bot: Bot, half: bool
) -> None:
    watched.forgive("ERR_FAILED")
    page = open_page(bot.url)
    lost: list[str] = []

    def lose(route: Route) -> None:
        if not lost:
            found = route.fetch()
            lost.append(found.text())
            first, _, _ = lost[0].partition("event: done")
            route.fulfill(response=found, body=first) if half else route.abort()
        else:
            route.continue_()

    page.route("**/v1/chat", lose)
    say(page, "hello bot")
    # What was to come with the end of the answer.
    expect(log(page).get_by_role("button", name="where is my order")).to_be_visible()
    expect(log(page).get_by_text("Hello! How can I help?")).to_have_count(1)
    assert "event: done" in lost[0]
    assert turns(bot, page) == ["hello bot"]
    expect(log(page).get_by_text("hello bot")).to_have_count(1)


def test_a_thumb_down_with_its_reason_reaches_the_shop(open_page: Open, bot: Bot) -> None:
    page = open_page(bot.url)
    say(page, "delete my account")
    page.get_by_role("button", name="Not helpful").click()
    field = page.get_by_role("textbox", name="What was wrong with it?")
    expect(field).to_be_focused()
    field.fill("It is about another account")
    log(page).get_by_role("button", name="Send").click()
    expect(field).to_have_count(0)
    expect(page.get_by_text("Thank you.")).to_be_visible()
    stored = [
        f
        for f in bot.get("/v1/admin/feedback")["feedback"]
        if f["conversation_id"] == conversation(page)
    ]
    assert [(f["rating"], f["comment"]) for f in stored] == [
        ("down", "It is about another account")
    ]
    page.reload()
    expect(page.get_by_role("button", name="Not helpful")).to_have_attribute("aria-pressed", "true")


def test_on_another_site_a_person_takes_over_and_is_noticed_when_the_chat_is_closed(
    open_page: Open, site: Site
) -> None:
    page = open_page(site.url)
    page.get_by_role("button", name="Open the chat").click()
    expect(page.get_by_role("dialog", name="Shop support")).to_be_visible()
    say(page, "get me a human")
    expect(page.get_by_text("Waiting for a colleague")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    desk, name = site.bot.agent(), conversation(page)
    assert desk.post(f"/v1/desk/conversations/{name}/take").status_code == 200
    reply = {"text": f"Hello, Anna here. {HOSTILE}", "message_id": "a-1"}
    assert desk.post(f"/v1/desk/conversations/{name}/messages", json=reply).status_code == 200
    launcher = page.get_by_role("button", name="Open the chat, new messages: 1")
    expect(launcher).to_be_visible()
    page.goto(f"{site.url}/other")  # the next page of the site knows as well
    launcher.click()
    expect(log(page)).to_contain_text(f"Hello, Anna here. {HOSTILE}")
    expect(page.get_by_text("A colleague is here")).to_be_visible()
    assert page.locator("trefoil-chat img, trefoil-chat script").count() == 0
    expect(page).to_have_title("Shop")
    say(page, "thanks Anna")
    expect(log(page)).to_contain_text("A colleague is reading along")
    more = {"text": "You are welcome", "message_id": "a-2"}
    assert desk.post(f"/v1/desk/conversations/{name}/messages", json=more).is_success
    expect(log(page)).to_contain_text(re.compile("thanks Anna.*reading along.*You are welcome"))
    assert desk.post(f"/v1/desk/conversations/{name}/resolve").is_success
    expect(page.get_by_text("Your colleague has closed this.")).to_be_visible()


def test_where_keys_are_in_use_the_page_asks_for_one_of_its_own(
    open_page: Open, watched: Watched, site: Site
) -> None:
    watched.forgive("401")
    page = open_page(site.bot.url)
    page.get_by_role("button", name="Are you a robot?").click()
    expect(page.get_by_role("heading", name="This server wants a key")).to_be_visible()
    assert serious_findings(page) == []
    expect(page.locator("#make")).to_contain_text(f"--publishable --origin {site.bot.url}")
    with session_factory(make_engine(site.bot.settings.database_url)).begin() as session:
        key = create_publishable_key(session, api_keys, "try", [site.bot.url])
    page.get_by_label("Publishable key").fill(key)
    page.get_by_role("button", name="Open the chat").click()
    expect(page.get_by_role("region", name="Lampyris support")).to_be_visible()
    say(page, "hello bot")
    expect(log(page)).to_contain_text("Hello! How can I help?")


def with_a_hostile_source(route: Route) -> None:
    """The server takes no such address from anybody; an older database may hold one."""
    found = route.fetch()
    head, _, answer = found.text().partition("event: done\ndata: ")
    told = json.loads(answer)
    told["sources"] = [{"title": HOSTILE, "url": "javascript:alert(1)", "quote": HOSTILE}]
    route.fulfill(response=found, body=f"{head}event: done\ndata: {json.dumps(told)}\n\n")


def test_hostile_words_of_a_visitor_and_of_the_shop_are_words(open_page: Open, bot: Bot) -> None:
    said = f"See https://shop.example/a?b=1. {HOSTILE} javascript:alert(1)"
    bot.put("/v1/admin/intents/hostile", {"answers": {"en": [said]}})
    page = open_page(bot.url)
    title = page.title()
    say(page, HOSTILE)
    say(page, "/hostile")
    expect(log(page)).to_contain_text(said)
    links = log(page).get_by_role("link")
    expect(links).to_have_count(1)
    expect(links).to_have_attribute("href", "https://shop.example/a?b=1")
    page.route("**/v1/chat", with_a_hostile_source)
    say(page, "delete my account")
    page.get_by_text(f"Source: {HOSTILE}").click()
    expect(log(page).get_by_text("javascript:alert(1)", exact=True)).to_be_visible()
    expect(links).to_have_count(1)
    assert page.locator("trefoil-chat img, trefoil-chat script").count() == 0
    expect(page).to_have_title(title)


def test_with_the_keyboard_alone_one_opens_asks_rates_and_closes(
    open_page: Open, site: Site
) -> None:
    page = open_page(site.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    launcher = page.get_by_role("button", name="Open the chat")
    expect(launcher).to_be_focused()
    page.keyboard.press("Enter")
    field = page.get_by_role("textbox", name="Your message")
    expect(field).to_be_focused()
    page.keyboard.type("hello bot")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("dear friends")
    page.keyboard.press("Enter")
    expect(log(page)).to_contain_text("Hello! How can I help?")
    expect(field).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(log(page).get_by_role("button", name="where is my order")).to_be_focused()
    page.keyboard.press("Enter")
    expect(log(page)).to_contain_text("Tell me the order number.")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(launcher).to_be_focused()


def test_on_a_phone_it_fills_the_screen_and_keeps_the_focus(open_page: Open, site: Site) -> None:
    page = open_page(site.url, phone=True)
    page.get_by_role("button", name="Open the chat").click()
    dialog = page.get_by_role("dialog", name="Shop support")
    say(page, "hello bot")
    say(page, "w" * 3000)
    expect(page.get_by_text("w" * 3000)).to_be_visible()
    assert dialog.bounding_box() == {"x": 0, "y": 0, "width": 375, "height": 740}
    assert overflow(page) <= 0
    close = page.get_by_role("button", name="Close")
    for _ in range(30):
        page.keyboard.press("Tab")
        inside = "document.activeElement.localName === 'trefoil-chat'"
        assert page.evaluate(inside), "the focus left the chat that covers the page"
    assert serious_findings(page) == []
    close.click()
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True])
def test_in_chinese_on_a_phone_in_either_light_it_reads_as_well(
    open_page: Open, bot: Bot, dark: bool
) -> None:
    page = open_page(bot.url, phone=True, dark=dark, language="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("Lampyris 帮助中心")
    page.get_by_role("button", name="转人工").first.click()
    expect(page.get_by_text("正在等待人工客服")).to_be_visible()
    expect(log(page)).to_contain_text("马上转接。")
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_every_part_of_a_conversation_is_accessible_in_the_dark(open_page: Open, bot: Bot) -> None:
    page = open_page(bot.url, dark=True)
    say(page, "delete my account")
    page.get_by_text("Source: Delete your account").click()
    page.get_by_role("button", name="Not helpful").click()
    expect(page.get_by_role("textbox", name="What was wrong with it?")).to_be_visible()
    say(page, "I want a refund")
    expect(page.get_by_role("textbox", name="Which address")).to_be_visible()
    assert serious_findings(page) == []
