"""Does the page of sources show how each feed does, and let people add, pause and remove one?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, insert

from services.finance_sentiment.tables import sources
from tests.browser.conftest import Watched, overflow, serious_findings, weight
from tests.browser.news import SCRIPT, News, monitor, tab_to
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.made_news import feed, keep, listen_to, story

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[News]:
    with monitor(tmp_path_factory.mktemp("sources"), learned=False) as started:
        yield started


@pytest.fixture
def news(running: News) -> News:
    """With one feed that answers and one that does not."""
    with running.sessions.begin() as session:
        session.execute(delete(sources))
    soon = datetime.now(UTC) + timedelta(minutes=30, seconds=30)
    broken = {"error_count": 4, "last_error": "the server answered 503", "next_check_at": soon}
    listen_to(running.sessions, feed(NOW, "Good Wire", id=1), feed(NOW, "Bad Wire", **broken))
    return running


def test_trouble_comes_first_with_its_error_and_the_next_look(open_page: Open, news: News) -> None:
    keep(news.sessions, [story(NOW - timedelta(days=1), source_id=1)])
    page = open_page(news.url + "/sources")
    first = page.locator("#sources > li").first
    expect(first).to_contain_text("Bad Wire")
    expect(first).to_contain_text("4 times in a row: the server answered 503")
    expect(first).to_contain_text("next look in 30 min")
    expect(page.get_by_role("img", name="1 stories in 14 days")).to_be_visible()
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_a_feed_is_added_paused_and_removed_by_keyboard(open_page: Open, news: News) -> None:
    page = open_page(news.url + "/sources")
    expect(page.locator("#sources > li")).to_have_count(2)
    tab_to(page, "#add-name")
    page.keyboard.type("New Wire")
    page.keyboard.press("Tab")
    page.keyboard.type("https://new.example/feed.xml")
    page.keyboard.press("Enter")
    expect(page.locator("#sources > li")).to_have_count(3)
    expect(page.get_by_text("New Wire", exact=True)).to_be_visible()
    expect(page.locator("#add-name")).to_be_focused()
    page.get_by_role("button", name="Pause: New Wire").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Go on: New Wire")).to_be_focused()
    page.get_by_role("button", name="Remove: New Wire").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Watch it no longer?")
    expect(dialog).to_contain_text("New Wire")
    dialog.get_by_role("button", name="Remove").press("Enter")
    expect(page.locator("#sources > li")).to_have_count(2)


def test_what_is_refused_says_why(open_page: Open, news: News, watched: Watched) -> None:
    watched.forgive("409")
    page = open_page(news.url + "/sources")
    page.get_by_label("Name", exact=True).fill("Good Wire")
    page.get_by_label("Address of the feed").fill("https://other.example/feed.xml")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#add-error")).not_to_be_empty()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Good Wire")


def test_in_chinese_dark_on_a_phone_and_with_hostile_names_it_reads_as_well(
    open_page: Open, news: News
) -> None:
    odd = {"url": "javascript:alert(1)", "last_error": SCRIPT, "error_count": 1}
    listen_to(news.sessions, feed(NOW, SCRIPT, **odd), feed(NOW, "W" * 200, url="http://w.example"))
    page = open_page(news.url + "/sources", phone=True, dark=True, language="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("来源")
    expect(page.locator("#sources > li")).to_have_count(4)
    assert page.locator("main img, main script, #sources a[href^=java]").count() == 0
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_the_list_stays_while_the_server_is_away(
    open_page: Open, news: News, watched: Watched
) -> None:
    watched.forgive("CONNECTION_REFUSED")
    page = open_page(news.url + "/sources")
    expect(page.locator("#sources > li")).to_have_count(2)
    news.stop()
    page.get_by_role("button", name="Pause: Good Wire").click()
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#sources > li")).to_have_count(2)
    news.start()
    expect(page.locator("#offline")).to_be_hidden()
    page.get_by_role("button", name="Pause: Good Wire").click()
    expect(page.get_by_role("button", name="Go on: Good Wire")).to_be_visible()


def test_no_feed_and_thousands_of_them(open_page: Open, news: News) -> None:
    with news.sessions.begin() as session:
        session.execute(delete(sources))
    page = open_page(news.url + "/sources")
    expect(page.get_by_text("No feed yet")).to_be_visible()
    with news.sessions.begin() as session:
        rows = [feed(NOW, f"Wire {n}") for n in range(2000)]
        session.execute(insert(sources), rows)
    page.reload()
    expect(page.locator("#sources > li")).to_have_count(100)
    page.get_by_label("Find a feed").fill("wire 1999")
    expect(page.locator("#sources > li")).to_have_count(1)
