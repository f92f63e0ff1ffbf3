"""Does the support dashboard show what happened, what is promised, and what to do about it?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from services.customer_service.app import create_app
from services.customer_service.candidates import CandidateStore
from services.customer_service.tables import api_keys
from tests.browser.conftest import Watched, overflow, serious_findings, served, weight
from tests.browser.support_parts import HOSTILE, Shop, log_in, support

Open = Callable[..., Page]
ASKED = ("can I hire a beamer for a wedding", "hire a beamer for our wedding please")


@pytest.fixture(scope="module")
def shop(trained_services: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A service that was asked a few things, some of which it cannot know."""
    with support(trained_services, tmp_path_factory.mktemp("dashboard")) as running:
        for number, text in enumerate((*ASKED, f"{HOSTILE} zqx", "W" * 300)):
            running.say(f"asked-{number}", text)
        for number in range(3):
            answer = running.say(f"sure-{number}", "/return_policy")
            opinion = {"rating": "down" if number == 0 else "up"}
            of = {name: answer[name] for name in ("conversation_id", "message_id")}
            httpx.post(f"{running.url}/v1/feedback", json={**of, **opinion}).raise_for_status()
        running.waiting("hello")
        yield running


def dashboard(open_page: Open, shop: Shop, **options: object) -> Page:
    page = open_page(f"{shop.url}/dashboard", **options)
    expect(page.locator("#messages")).not_to_have_text("–")
    return page


def loaded(page: Page) -> None:
    """All of it is there."""
    expect(page.locator("#gaps li").first).to_be_visible()
    expect(page.locator("#risk-value")).not_to_be_empty()
    expect(page.locator("#models li").first).to_be_visible()


def test_it_shows_what_came_what_became_of_it_and_who_waits(open_page: Open, shop: Shop) -> None:
    page = dashboard(open_page, shop)
    loaded(page)
    before = int(page.locator("#messages").inner_text())
    expect(page.locator("#waiting")).to_have_text("1")
    expect(page.locator("#wrong-note")).to_contain_text("1 of 3 judged")
    expect(page.locator("#intents li").first).to_contain_text("return_policy")
    expect(page.locator("#intents li").first).to_contain_text("1 of 3 thumbs down")
    expect(page.locator("#reasons")).to_contain_text("asked for a person")
    expect(page.locator("#latency-note")).to_contain_text("answers over HTTP of this server")
    expect(page.get_by_role("img", name="Messages over time.")).to_be_visible()
    shop.say("one-more", "hello")
    page.get_by_role("button", name="24 hours").click()
    expect(page.locator("#lead")).to_have_text("The last 24 hours.")
    expect(page.locator("#messages")).to_have_text(str(before + 1))


def test_the_slider_tells_what_another_promise_costs_and_it_can_be_kept_and_taken_back(
    open_page: Open, shop: Shop
) -> None:
    page = dashboard(open_page, shop)
    loaded(page)
    slider = page.get_by_role("slider")
    expect(page.locator("#cost")).to_contain_text("This is the promise of now.")
    expect(page.get_by_role("button", name="Make this the promise")).to_be_disabled()
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#risk-value")).to_have_text("30 %")
    expect(page.locator("#cost")).to_contain_text("It would answer")
    expect(page.get_by_role("img", name="Risk-coverage curve. Chosen: 30 %")).to_be_visible()
    page.get_by_role("button", name="Make this the promise").click()
    dialog = page.get_by_role("dialog", name="At most 30 % may be wrong?")
    dialog.get_by_role("button", name="Make this the promise").click()
    expect(page.locator(".toast")).to_contain_text("The promise of 30 % is live.")
    expect(page.locator("#models li").first).to_contain_text("Version 2")
    expect(page.locator("#models li").first).to_contain_text("live")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("#models li").nth(1)).to_contain_text("live")
    expect(page.locator("#risk-value")).to_have_text("5 %")


def test_a_gap_becomes_an_intent_that_the_next_customer_gets(open_page: Open, shop: Shop) -> None:
    page = dashboard(open_page, shop)
    row = page.locator(".gap").filter(has_text="beamer")
    row.get_by_role("button", name="Make an intent of it").click()
    dialog = page.get_by_role("dialog", name="Make this an answer")
    texts = dialog.get_by_label("What customers write, one a line").input_value()
    assert set(ASKED) <= set(texts.split("\n"))
    dialog.get_by_label("What is it about?").fill("Hire a beamer")
    dialog.get_by_label("What the bot says then").fill("We hire out none.")
    dialog.get_by_role("button", name="Teach the bot").click()
    expect(row).to_contain_text("taught: hire_a_beamer")
    answer = shop.say("next", ASKED[0])
    assert (answer["intent"], answer["text"]) == ("hire_a_beamer", "We hire out none.")


def test_it_tells_what_a_retrained_model_would_change(open_page: Open, shop: Shop) -> None:
    engine = make_engine(shop.settings.database_url)
    sessions = session_factory(engine)
    pair = {"from": "refund_status", "to": None, "count": 3}
    CandidateStore(sessions, sessions).add(
        folder="x",
        version="abc",
        state="kept",
        examples=4,
        metrics={},
        verdict={"passed": False, "reasons": ["fewer answers: 3 messages lose theirs"]},
        replay={
            "turns": 50,
            "changed": 3,
            "by_intent": [pair],
            "sample": [{"text": HOSTILE, "from": "refund_status", "to": None}],
        },
        created_at=datetime.now(UTC),
    )
    engine.dispose()
    page = dashboard(open_page, shop)
    expect(page.locator("#candidates")).to_contain_text("fewer answers: 3 messages lose theirs")
    page.get_by_role("button", name="What would change (3)").click()
    dialog = page.get_by_role("dialog", name="What would change")
    expect(dialog).to_contain_text("The newest 50 messages were read by both models")
    expect(dialog).to_contain_text("refund_status → no answer of its own")
    expect(dialog).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="What would change (3)")).to_be_focused()
    assert page.evaluate("window.hacked") is None


def test_what_strangers_wrote_is_shown_as_text(open_page: Open, shop: Shop) -> None:
    page = dashboard(open_page, shop)
    expect(page.locator("#gaps")).to_contain_text("<img src=x onerror=")
    assert page.evaluate("window.hacked") is None


def test_the_keyboard_chooses_the_time_and_moves_the_slider(open_page: Open, shop: Shop) -> None:
    page = dashboard(open_page, shop)
    loaded(page)
    page.get_by_role("button", name="30 days").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="30 days")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#lead")).to_contain_text("30 days")
    expect(page.get_by_role("button", name="30 days")).to_be_focused()
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(page.locator("#risk-value")).to_have_text("0.5 %")
    expect(page.get_by_role("slider")).to_be_focused()


def test_on_a_phone_dark_and_in_chinese_it_reads_as_well(open_page: Open, shop: Shop) -> None:
    page = dashboard(open_page, shop, phone=True, dark=True, language="zh-CN")
    loaded(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("机器人表现如何？")
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_it_is_light_and_accessible(open_page: Open, shop: Shop) -> None:
    page = dashboard(open_page, shop)
    loaded(page)
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_with_the_server_away_the_figures_stay_and_come_back_by_themselves(
    open_page: Open, watched: Watched, trained_services: Path, tmp_path: Path
) -> None:
    watched.forgive("ERR_")
    with support(trained_services, tmp_path) as shop:
        shop.say("one", "hello")
        page = dashboard(open_page, shop)
        expect(page.locator("#risk-value")).not_to_be_empty()
        expect(page.locator("#gaps-note")).to_contain_text("got an answer")
    page.get_by_role("button", name="30 days").click()
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#messages")).to_have_text("1")
    with served(create_app(shop.settings), int(shop.url.rsplit(":", 1)[1])):
        expect(page.locator("#offline")).to_be_hidden()
        expect(page.locator("#lead")).to_contain_text("30 days")
        page.close()  # it would go on asking


def test_before_the_first_message_it_says_how_to_begin_and_behind_keys_an_admin_logs_in(
    open_page: Open, trained_services: Path, tmp_path: Path, watched: Watched
) -> None:
    with support(trained_services, tmp_path) as shop:
        page = dashboard(open_page, shop)
        expect(page.locator("#messages")).to_have_text("0")
        expect(page.get_by_text("No messages in this time")).to_be_visible()
        expect(page.locator("#gaps-note")).to_contain_text("No messages in the last 7 days")
        assert serious_findings(page) == []
        page.close()  # it would go on asking
        engine = make_engine(shop.settings.database_url)
        with session_factory(engine).begin() as session:
            create_key(session, api_keys, "owner", ["*"])
        engine.dispose()
        shop.app.state.authenticator._in_use = (float("-inf"), False)  # asked anew
        page = log_in(open_page(f"{shop.url}/dashboard"), "anna")
        expect(page.get_by_role("heading", name="For admins")).to_be_visible()
        page = log_in(open_page(f"{shop.url}/dashboard"), "chief")
        expect(page.get_by_role("heading", level=1)).to_have_text("How well does the bot do?")
        expect(page.locator("#messages")).to_have_text("0")
