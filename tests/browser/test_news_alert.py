"""Does an alert's page tell why it fired, and take what people say of it?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from services.finance_sentiment.alert_store import acknowledge
from services.finance_sentiment.tables import alerts, stories
from tests.browser.conftest import Watched, overflow, serious_findings, weight
from tests.browser.news import SCRIPT, News, monitor, tab_to
from tests.finance_sentiment.conftest import NOW

Open = Callable[..., Page]
PATH = "/alerts/1"


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Iterator[News]:
    with monitor(tmp_path_factory.mktemp("alert")) as running:
        running.raise_alert()
        yield running


@pytest.fixture(autouse=True)
def nothing_said(news: News) -> None:
    """Each test begins with an alert of which nobody has said anything."""
    with news.sessions.begin() as session:
        empty = dict.fromkeys(("acknowledged_at", "acknowledged_by", "false_alarm", "marked_at"))
        session.execute(update(alerts).values(empty))


def test_it_tells_its_reasons(open_page: Open, news: News) -> None:
    page = open_page(news.url + PATH)
    expect(page.get_by_role("heading", level=1)).to_have_text("Banking")
    expect(page.locator("#band")).to_contain_text("100 % were negative. Normal is")
    expect(page.locator("#statistic")).to_contain_text("an alert needs")
    expect(page.locator("#behind > li").first).to_contain_text("loses deposits")
    expect(page.locator("#needed")).to_contain_text("it would have fired all the same")
    expect(page.locator("#by-source")).to_contain_text("Paper 0")
    life = page.locator("#life > li")
    expect(life).to_contain_text(["It began to gather", "Alert", "Still open"])
    page.get_by_text("How it was computed").click()
    expect(page.locator("#computed")).to_contain_text("v1")
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_it_is_acknowledged_marked_and_silenced_by_keyboard(open_page: Open, news: News) -> None:
    page = open_page(news.url + PATH)
    expect(page.locator("#body")).to_be_visible()
    tab_to(page, "#acknowledge")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Say first who you are.")).to_be_visible()
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Ada")
    tab_to(page, "#acknowledge")
    page.keyboard.press("Enter")
    expect(page.locator("#badges")).to_contain_text("seen by Ada")
    expect(page.locator("#life")).to_contain_text("Seen by Ada")
    expect(page.get_by_role("button", name="True alarm")).to_be_focused()
    tab_to(page, "[data-mark='true']")
    page.keyboard.press("Enter")
    expect(page.locator("#badges")).to_contain_text("false alarm")
    expect(page.locator("[data-mark='true']")).to_be_focused()
    tab_to(page, "#silence [type=submit]")
    page.keyboard.press("Enter")
    expect(page.locator("#badges")).to_contain_text("silenced")
    page.get_by_role("button", name="End it").click()
    expect(page.locator("#badges")).not_to_contain_text("silenced")


def test_what_another_person_says_appears_by_itself(open_page: Open, news: News) -> None:
    page = open_page(news.url + PATH)
    expect(page.locator("#seen")).to_have_text("Nobody has said so yet.")
    with news.sessions.begin() as session:
        assert acknowledge(session, 1, SCRIPT, NOW)
    expect(page.locator("#seen")).to_contain_text(SCRIPT)
    expect(page.locator("#acknowledge")).to_be_disabled()
    assert page.locator("main img, main script").count() == 0
    assert overflow(page) <= 0


def test_in_chinese_dark_and_on_a_phone_it_reads_as_well(open_page: Open, news: News) -> None:
    with news.sessions.begin() as session:
        one = session.execute(update(stories).returning(stories.c.id).values(title=SCRIPT)).first()
        assert one is not None
    page = open_page(news.url + PATH, phone=True, dark=True, language="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("银行")
    expect(page.get_by_role("heading", name="为什么触发")).to_be_visible()
    expect(page.locator("#behind > li").first).to_be_visible()
    assert overflow(page) <= 0
    assert serious_findings(page) == []
    assert page.locator("main img, main script").count() == 0


def test_what_is_shown_stays_while_the_server_is_away(
    open_page: Open, news: News, watched: Watched
) -> None:
    for part in ("CONNECTION_REFUSED", "INCOMPLETE_CHUNKED", "CONNECTION_RESET"):
        watched.forgive(part)
    page = open_page(news.url + PATH)
    page.get_by_label("Your name").fill("Ada")
    expect(page.locator("#behind > li").first).to_be_visible()
    news.stop()
    page.get_by_role("button", name="I have seen it").click()
    expect(page.get_by_text("The server cannot be reached; try again.")).to_be_visible()
    expect(page.locator("#behind > li").first).to_be_visible()
    news.start()
    page.get_by_role("button", name="I have seen it").click()
    expect(page.locator("#badges")).to_contain_text("seen by Ada")
    expect(page.locator("#offline")).to_be_hidden()


def test_an_alert_that_is_not_there_is_said_to_be_so(
    open_page: Open, news: News, watched: Watched
) -> None:
    watched.forgive("404")
    page = open_page(news.url + "/alerts/99")
    expect(page.get_by_text("There is no alert 99")).to_be_visible()
    assert serious_findings(page) == []
