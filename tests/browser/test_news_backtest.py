"""Does the backtest page show what each promise would have meant, and does a drill arrive?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched, overflow, serious_findings, weight
from tests.browser.news import News, monitor, tab_to

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Iterator[News]:
    with monitor(tmp_path_factory.mktemp("backtest")) as running:
        running.raise_alert()
        yield running


def listed(page: Page) -> int:
    return page.locator("#list strong").count()


def test_the_slider_chooses_which_alerts_there_would_have_been(open_page: Open, news: News) -> None:
    page = open_page(news.url + "/backtest")
    expect(page.get_by_text("This is what is in force.")).to_be_visible()
    expect(page.locator("#list")).to_contain_text("Banking")
    expect(page.locator("#when .main-svg").first).to_be_visible()
    expect(page.locator("#beside .main-svg").first).to_be_visible()
    tab_to(page, "#budget")
    page.keyboard.press("Home")
    expect(page.locator("#answer")).to_contain_text("0.25 a week accepted")
    expect(page.locator("#adopt")).to_contain_text("FALSE_ALARMS_PER_WEEK=0.25")
    fewest = listed(page)
    page.keyboard.press("End")
    expect(page.locator("#answer")).to_contain_text("4 a week accepted")
    assert listed(page) >= fewest
    assert "4 a week" in (page.locator("#budget").get_attribute("aria-valuetext") or "")
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_a_drill_is_played_and_leads_to_its_alert(open_page: Open, news: News) -> None:
    page = open_page(news.url + "/backtest")
    expect(page.get_by_label("Topic").get_by_role("option", name="Energy")).to_be_attached()
    page.get_by_label("Topic").select_option("energy")
    page.locator("#drill-share").fill("100")
    page.get_by_role("button", name="Play a drill").click()
    page.get_by_role("link", name="See the TEST alert").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Energy")
    expect(page.get_by_text("A drill: the stories are made up.")).to_be_visible()
    expect(page.locator("#behind > li").first).to_contain_text("made-up story")


def test_a_drill_that_is_too_small_says_so(open_page: Open, news: News) -> None:
    page = open_page(news.url + "/backtest")
    page.locator("#drill-share").fill("10")
    page.get_by_label("Hours").fill("1")
    page.get_by_role("button", name="Play a drill").click()
    expect(page.get_by_text("That is too little for an alert")).to_be_visible()
    expect(page.get_by_role("button", name="Play a drill")).to_be_focused()


def test_in_chinese_dark_and_on_a_phone_it_reads_as_well(open_page: Open, news: News) -> None:
    page = open_page(news.url + "/backtest", phone=True, dark=True, language="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("选择可接受的误报数")
    expect(page.get_by_text("这是当前生效的设置。")).to_be_visible()
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_it_goes_on_where_the_server_comes_back(
    open_page: Open, news: News, watched: Watched
) -> None:
    watched.forgive("CONNECTION_REFUSED")
    page = open_page(news.url + "/backtest")
    expect(page.locator("#list")).to_contain_text("Banking")
    news.stop()
    page.get_by_role("button", name="Play a drill").click()
    expect(page.get_by_text("The server cannot be reached; try again.")).to_be_visible()
    expect(page.locator("#list")).to_contain_text("Banking")
    news.start()
    page.get_by_role("button", name="Play a drill").click()
    expect(page.get_by_text("made-up stories negative.")).to_be_visible()
    expect(page.locator("#offline")).to_be_hidden()


def test_too_little_history_says_how_much_is_needed(
    open_page: Open, tmp_path_factory: pytest.TempPathFactory, watched: Watched
) -> None:
    watched.forgive("503")
    with monitor(tmp_path_factory.mktemp("short"), learned=False) as short:
        page = open_page(short.url + "/backtest")
        expect(page.get_by_text("It takes three days and a hundred")).to_be_visible()
        page.get_by_role("button", name="Play a drill").click()
        expect(page.get_by_text("nothing was learned yet")).to_be_visible()
        assert serious_findings(page) == []
        page.close()
