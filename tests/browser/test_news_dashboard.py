"""Does the dashboard show how the news stand, tell of an alert at once, and never look calm where
nothing is watched?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, update

from core.db.keys import create_key
from services.finance_sentiment.tables import api_keys, sources, story_companies
from tests.browser.conftest import Watched, overflow, serious_findings, weight
from tests.browser.news import COMPANY, SCRIPT, News, monitor, tab_to
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.made_news import beat, calm, feed, keep, listen_to, story

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Iterator[News]:
    with monitor(tmp_path_factory.mktemp("news")) as running:
        yield running


def titles(page: Page) -> list[str]:
    return page.locator("#stories .story-title").all_inner_texts()


def test_a_calm_day_is_shown_as_charts(open_page: Open, news: News) -> None:
    page = open_page(news.url)
    expect(page.locator("#standing-title")).to_have_text("All calm")
    expect(page.locator("#tiles .tile")).to_have_count(2)
    expect(page.locator("#topic-chart .main-svg").first).to_be_visible()
    expect(page.locator("#heat .main-svg").first).to_be_visible()
    page.locator("#tiles").get_by_role("button", name="Energy").click()
    expect(page.locator("#topic-title")).to_have_text("Energy")
    expect(page.get_by_text("No alert so far")).to_be_visible()
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_an_alert_appears_on_the_open_page(open_page: Open, news: News) -> None:
    page = open_page(news.url)
    expect(page.locator("#stream")).to_have_text("live")
    expect(page.get_by_text("No alert so far")).to_be_visible()
    page.evaluate("window.stillTheSame = true")
    news.raise_alert()
    expect(page.locator("#alerts").get_by_role("link", name="Banking")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("Alert: Banking turns negative.")).to_be_visible()
    expect(page.locator("#standing-title")).to_have_text("1 alert is open")
    expect(page.locator("#tiles .tile").first).to_contain_text("alert")
    assert page.evaluate("window.stillTheSame")
    page.locator("#alerts").get_by_role("link", name="Banking").click()
    expect(page.get_by_role("heading", name="Why it fired")).to_be_visible()


def test_a_story_arrives_by_itself_and_as_text(open_page: Open, news: News) -> None:
    page = open_page(news.url)
    expect(page.locator("#stream")).to_have_text("live")
    row = story(NOW, "<b>odd</b>", title=SCRIPT, source=SCRIPT[:190], url="javascript:alert(1)")
    keep(news.sessions, [row], tell=True)
    expect(page.locator("#stories .story-title").first).to_have_text(SCRIPT)
    assert page.locator("#stories img, #stories script, #stories a[href^=java]").count() == 0
    assert "Trefoil" in page.title()
    assert overflow(page) <= 0


def test_a_company_leads_to_its_stories(open_page: Open, news: News) -> None:
    [one] = keep(news.sessions, [story(NOW - timedelta(hours=3), title="Acme fined")])
    with news.sessions.begin() as session:
        values = {"story_id": one, "company": COMPANY, "basis": "story", "sentiment": "negative"}
        session.execute(insert(story_companies).values(values))
    page = open_page(news.url)
    expect(page.locator("#companies > li")).to_contain_text(COMPANY)
    page.get_by_role("button", name=f"Stories about {COMPANY}").click()
    expect(page.locator("#stories > li")).to_have_count(1)
    expect(page.locator("#stories > li")).to_contain_text(COMPANY)
    assert page.locator("main b").count() == 0
    page.get_by_role("button", name=f"Stop showing only {COMPANY}").click()
    expect(page.locator("#stories > li")).to_have_count(20)


def test_new_stories_wait_while_somebody_reads(open_page: Open, news: News) -> None:
    page = open_page(news.url)
    expect(page.locator("#stream")).to_have_text("live")
    page.locator("#stories button").first.focus()
    [one] = keep(news.sessions, [story(NOW, title="It waits behind a button")], tell=True)
    page.get_by_role("button", name="Show 1 new ones").click()
    expect(page.locator(f'#stories > [data-key="{one}"]')).to_be_visible()


def test_a_wrong_label_is_corrected_and_the_correction_accepted(
    open_page: Open, news: News
) -> None:
    [one] = keep(news.sessions, [story(NOW, "energy", title="Oil field opens early")])
    page = open_page(news.url)
    page.get_by_role("button", name="Correct: Oil field opens early").click()
    dialog = page.get_by_role("dialog", name="Correct this story")
    dialog.get_by_role("button", name="Send").click()
    dialog.get_by_label("Your name").fill("Ada")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.get_by_text("Nothing is different yet")).to_be_visible()
    dialog.get_by_label("positive").check()
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_be_hidden()
    waiting = page.locator("#waiting")
    expect(waiting.get_by_text("negative → positive")).to_be_visible()
    assert serious_findings(page) == []
    waiting.get_by_role("button", name="Accept").click()
    shown = page.locator(f'#stories > [data-key="{one}"]')
    expect(shown).to_contain_text("corrected")
    expect(shown).to_contain_text("positive")
    expect(waiting).to_be_hidden()


def test_the_keyboard_is_enough(open_page: Open, news: News) -> None:
    page = open_page(news.url)
    expect(page.locator("#tiles .tile").first).to_be_visible()
    expect(page.locator("#stories button").first).to_be_visible()
    tab_to(page, "#periods [data-days='28']")
    page.keyboard.press("Enter")
    expect(page.locator("#periods [data-days='28']")).to_have_attribute("aria-pressed", "true")
    tab_to(page, "#tiles .tile:nth-child(2)")
    name = page.locator("#tiles .tile:nth-child(2) .tile-name").inner_text()
    page.keyboard.press("Space")
    expect(page.locator("#topic-title")).to_have_text(name)
    expect(page.locator("#tiles .tile:nth-child(2)")).to_be_focused()
    tab_to(page, "#stories button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#stories button").first).to_be_focused()


def test_in_chinese_dark_and_on_a_phone_it_reads_as_well(open_page: Open, news: News) -> None:
    long = "Donaudampfschifffahrtsgesellschaft"
    keep(news.sessions, [story(NOW, long * 2, title=long * 8, source=long * 4)])
    page = open_page(news.url, phone=True, dark=True, language="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("新闻走向")
    expect(page.locator("#tiles .tile").first).to_contain_text("为负面")
    expect(page.locator("#heat .main-svg").first).to_be_visible()
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_when_the_server_is_back_no_story_is_lost_or_doubled(
    open_page: Open, news: News, watched: Watched
) -> None:
    watched.forgive("ERR_CONNECTION_REFUSED")
    watched.forgive("ERR_INCOMPLETE_CHUNKED_ENCODING")
    watched.forgive("ERR_CONNECTION_RESET")
    page = open_page(news.url)
    expect(page.locator("#stream")).to_have_text("live")
    [before] = keep(news.sessions, [story(NOW, title="Before the break")], tell=True)
    expect(page.locator(f'#stories > [data-key="{before}"]')).to_be_visible()
    news.stop()
    expect(page.locator("#stream")).to_have_text("connecting …")
    expect(page.locator(f'#stories > [data-key="{before}"]')).to_be_visible()
    page.get_by_role("button", name="24 hours").click()
    expect(page.locator("#offline")).to_be_visible()
    [during] = keep(news.sessions, [story(NOW, title="During the break")], tell=True)
    news.start()
    expect(page.locator(f'#stories > [data-key="{during}"]')).to_be_visible()
    expect(page.locator("#stream")).to_have_text("live")
    expect(page.locator("#offline")).to_be_hidden()
    assert titles(page).count("Before the break") == titles(page).count("During the break") == 1


def test_where_nothing_is_watched_it_says_so_and_what_to_do(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with monitor(tmp_path_factory.mktemp("empty"), learned=False) as empty:
        page = open_page(empty.url)
        standing = page.locator("#standing")
        expect(standing).to_contain_text("Nothing to watch yet")
        for text in ("No story yet", "No alert so far", "No company was named this week"):
            expect(page.get_by_text(text)).to_be_visible()
        assert serious_findings(page) == []
        listen_to(empty.sessions, feed(NOW, error_count=5, last_error="503"))
        page.reload()
        expect(standing).to_contain_text("Nobody reads the news")
        beat(empty.sessions, NOW)
        page.reload()
        expect(standing).to_contain_text("none of 1 feeds answers")
        assert serious_findings(page) == []
        listen_to(empty.sessions, feed(NOW, "Other"))
        page.reload()
        expect(standing).to_contain_text("Not all of the news come in")
        with empty.sessions.begin() as session:
            session.execute(update(sources).values(error_count=0))
        keep(empty.sessions, calm(NOW, 5))
        page.reload()
        expect(standing).to_contain_text("Learning what is normal")
        page.close()


def test_ten_thousand_stories_are_no_more_work_for_the_page(open_page: Open, news: News) -> None:
    keep(news.sessions, calm(NOW, 240, per_hour=21))
    page = open_page(news.url)
    expect(page.locator("#stories > li")).to_have_count(20)
    page.get_by_role("button", name="Show older ones").last.click()
    expect(page.locator("#stories > li")).to_have_count(40)
    page.locator("#by-topic").select_option("energy")
    expect(page.locator("#stories > li").first).to_contain_text("Energy")
    expect(page.locator("#stories > li")).to_have_count(20)
    assert weight(page) < 300_000


def test_dates_are_those_of_the_readers_clock(open_page: Open, news: News) -> None:
    page = open_page(news.url, timezone_id="Asia/Shanghai")
    expect(page.locator("#stories time").first).to_have_attribute("title", "2 Mar 2026, 20:30")
    page.locator("#heat-details summary").click()
    # The clock stands at half past eight in the evening there; the second of March has begun.
    expect(page.locator("#heat-table thead th").last).to_have_text("2 Mar")


def test_a_server_that_wants_a_key_asks_for_it(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, watched: Watched
) -> None:
    watched.forgive("401")
    with monitor(tmp_path_factory.mktemp("keys"), learned=False) as closed:
        with closed.sessions.begin() as session:
            key = create_key(session, api_keys, "Ada", ["read"])
        page = open_page(closed.url)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#standing-title")).to_have_text("Nothing to watch yet")
        expect(page.locator("#stream")).to_have_text("live")
        page.close()
