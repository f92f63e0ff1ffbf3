"""Can an agent answer customers at the desk, whatever goes wrong meanwhile?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete

from services.customer_service.app import create_app
from services.customer_service.tables import agent_sessions
from tests.browser.conftest import Watched, overflow, serious_findings, served, weight
from tests.browser.support_parts import HOSTILE, Shop, log_in, support

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def running(trained_services: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with support(trained_services, tmp_path_factory.mktemp("desk")) as shop:
        yield shop


@pytest.fixture
def shop(running: Shop) -> Iterator[Shop]:
    yield running
    running.resolve_all()


def desk(open_page: Open, shop: Shop, name: str = "anna", **options: object) -> Page:
    return log_in(open_page(f"{shop.url}/desk", **options), name)


def choose(page: Page, number: int = 0) -> None:
    page.locator(".queue-row").nth(number).click()
    expect(page.locator("#talk")).to_be_visible()


def test_an_agent_takes_who_waits_sees_the_guesses_replies_and_resolves(
    open_page: Open, shop: Shop
) -> None:
    name = shop.waiting("where is my order LY-204518?")
    page = desk(open_page, shop)
    expect(page.locator("#queue-said")).to_have_text("one waits")
    expect(page.locator(".queue-row")).to_contain_text("asked for a person")
    choose(page)
    expect(page.get_by_role("log")).to_contain_text("where is my order LY-204518?")
    expect(page.locator(".guesses li")).to_have_count(3)
    expect(page.locator("#reply-text")).to_be_disabled()
    page.get_by_role("button", name="Take it").click()
    expect(page.locator("#talk-state")).to_have_text("You have it")
    page.get_by_label("Your reply").fill("It left Rotterdam this morning.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".say.agent .said")).to_have_text("It left Rotterdam this morning.")
    expect(page.get_by_label("Your reply")).to_have_value("")
    shop.say(name, "and when will it be here?")
    expect(page.get_by_role("log")).to_contain_text("and when will it be here?")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator("#talk-state")).to_have_text("Resolved: the bot answers again.")
    expect(page.locator("#queue-empty")).to_be_visible()


def test_who_comes_appears_by_itself_with_the_waiting_time(open_page: Open, shop: Shop) -> None:
    page = desk(open_page, shop)
    expect(page.get_by_text("Nobody waits", exact=True)).to_be_visible()
    shop.waiting("hello")
    expect(page.locator(".queue-row")).to_have_count(1)
    expect(page.locator(".queue-wait")).to_contain_text("s")
    expect(page).to_have_title("(1) Desk · Trefoil")


def test_of_two_agents_one_answers_and_the_other_sees_who_it_is(
    open_page: Open, shop: Shop, watched: Watched
) -> None:
    watched.forgive("409")
    name = shop.waiting("my parcel is broken")
    bert = desk(open_page, shop, "bert")
    choose(bert)
    expect(bert.get_by_role("button", name="Take it")).to_be_visible()
    shop.app.state.people.handoffs.take(name, "anna")
    # Whether bert's page knows it yet or not: both of them press the button.
    bert.evaluate("document.getElementById('take').click()")
    expect(bert.locator(".toast")).to_contain_text("anna has taken this conversation")
    expect(bert.locator("#talk-state")).to_have_text("anna has it")
    expect(bert.locator(".queue-row")).to_contain_text("anna has it")
    expect(bert.locator("#reply-text")).to_be_disabled()
    assert shop.app.state.people.handoffs.latest(name).agent == "anna"


def test_a_reply_made_an_answer_is_given_to_the_next_customer(open_page: Open, shop: Shop) -> None:
    asked = "do you engrave names on a kettle"
    shop.waiting(asked)
    page = desk(open_page, shop)
    choose(page)
    page.get_by_role("button", name="Take it").click()
    page.get_by_label("Your reply").fill("Yes, up to twelve letters, free of charge.")
    page.keyboard.press("Control+Enter")
    page.locator(".say.agent").get_by_role("button", name="Make this an answer").click()
    dialog = page.get_by_role("dialog", name="Make this an answer")
    expect(dialog.get_by_label("What customers write, one a line")).to_have_value(asked)
    dialog.get_by_label("What is it about?").fill("Engraving")
    expect(dialog.locator("#teach-hint")).to_have_text("New: the bot learns it with this answer.")
    dialog.get_by_role("button", name="Teach the bot").click()
    expect(page.locator(".toast")).to_contain_text("engraving, 1 examples")
    answer = shop.say("another-customer", asked.upper() + "?")
    assert (answer["action"], answer["intent"]) == ("answer", "engraving")
    assert answer["text"] == "Yes, up to twelve letters, free of charge."


def test_a_canned_answer_is_kept_and_put_into_the_next_reply(open_page: Open, shop: Shop) -> None:
    shop.waiting("hello")
    page = desk(open_page, shop)
    choose(page)
    page.get_by_role("button", name="Take it").click()
    page.get_by_label("Your reply").fill("We look into it.")
    page.locator("#canned summary").click()
    page.get_by_label("Keep this reply under the name").fill("look")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_label("Your reply").fill("Hello.")
    page.locator("#canned").get_by_role("button", name="look We look").click()
    expect(page.get_by_label("Your reply")).to_have_value("Hello. We look into it.")
    expect(page.get_by_label("Your reply")).to_be_focused()


def test_a_session_that_ends_asks_again_and_loses_no_word(
    open_page: Open, shop: Shop, watched: Watched
) -> None:
    watched.forgive("401")
    name = shop.waiting("hello")
    page = desk(open_page, shop)
    choose(page)
    page.get_by_role("button", name="Take it").click()
    page.get_by_label("Your reply").fill("Half a thought")
    with shop.app.state.people.accounts._sessions.begin() as session:
        session.execute(delete(agent_sessions))
    expect(page.get_by_role("dialog")).to_contain_text("Your session is over")
    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value("anna")
    log_in(page)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_label("Your reply")).to_have_value("Half a thought")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".say.agent .said")).to_have_text("Half a thought")
    assert len(shop.app.state.people.handoffs.said({name: 0}, 10)) == 1


def test_a_draft_survives_a_reload(open_page: Open, shop: Shop) -> None:
    shop.waiting("hello")
    page = desk(open_page, shop)
    choose(page)
    page.get_by_role("button", name="Take it").click()
    page.get_by_label("Your reply").fill("Half a thought")
    page.reload()
    choose(page)
    expect(page.get_by_label("Your reply")).to_have_value("Half a thought")


def test_with_the_server_away_the_reply_waits_and_is_sent_once_when_it_is_back(
    open_page: Open, watched: Watched, trained_services: Path, tmp_path: Path
) -> None:
    watched.forgive("ERR_")
    with support(trained_services, tmp_path) as shop:
        name = shop.waiting("hello")
        page = desk(open_page, shop)
        choose(page)
        page.get_by_role("button", name="Take it").click()
        expect(page.locator("#reply-text")).to_be_enabled()
    page.get_by_label("Your reply").fill("Still here.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#reply-error")).to_contain_text("Not sent yet")
    expect(page.locator("#offline")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("hello")
    app = create_app(shop.settings)
    with served(app, int(shop.url.rsplit(":", 1)[1])):
        expect(page.locator(".say.agent .said")).to_have_text("Still here.")
        expect(page.locator("#offline")).to_be_hidden()
        expect(page.get_by_label("Your reply")).to_have_value("")
        assert [s.text for s in app.state.people.handoffs.said({name: 0}, 9)] == ["Still here."]


def test_what_strangers_write_is_shown_as_text(open_page: Open, shop: Shop) -> None:
    name = shop.waiting(HOSTILE)
    shop.say(name, HOSTILE)
    page = desk(open_page, shop)
    expect(page.locator(".queue-text")).to_have_text(HOSTILE)
    choose(page)
    expect(page.locator(".say.customer .said").first).to_have_text(HOSTILE)
    page.get_by_role("button", name="Take it").click()
    page.get_by_label("Your reply").fill(HOSTILE)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".say.agent .said")).to_have_text(HOSTILE)
    page.locator(".say.agent").get_by_role("button", name="Make this an answer").click()
    expect(page.get_by_label("What the bot says then")).to_have_value(HOSTILE)
    assert page.evaluate("window.hacked") is None


def test_with_the_keyboard_alone_one_logs_in_takes_replies_and_resolves(
    open_page: Open, shop: Shop
) -> None:
    shop.waiting("hello")
    page = desk(open_page, shop)
    row = page.locator(".queue-row")
    expect(row).to_be_visible()
    row.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#talk-title")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Take it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your reply")).to_be_focused()
    page.keyboard.type("From the keyboard.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".say.agent .said")).to_have_text("From the keyboard.")
    expect(page.get_by_label("Your reply")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.id") == "resolve":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#queue-empty")).to_be_visible()


def test_on_a_phone_dark_and_in_chinese_it_reads_as_well(open_page: Open, shop: Shop) -> None:
    shop.waiting("我的订单什么时候到", "W" * 300)
    page = desk(open_page, shop, phone=True, dark=True, language="zh-CN")
    expect(page.locator("#queue-said")).to_have_text("1 人等待")
    assert overflow(page) <= 0
    choose(page)
    page.get_by_role("button", name="接入").click()
    expect(page.locator("#talk-state")).to_have_text("由您处理")
    expect(page.locator(".guesses li").first).to_be_visible()
    assert overflow(page) <= 0
    assert serious_findings(page) == []
    page.get_by_role("button", name="← 排队").click()
    expect(page.locator(".queue-row")).to_be_focused()


def test_it_is_light_and_accessible_in_every_state(open_page: Open, shop: Shop) -> None:
    shop.waiting("do I need a licence for a 900 g drone?")
    page = open_page(f"{shop.url}/desk")
    assert serious_findings(page) == []
    log_in(page)
    choose(page)
    expect(page.locator(".guesses li").first).to_be_visible()
    assert serious_findings(page) == []
    page.locator(".view").get_by_role("button", name="Make this an answer").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_a_wrong_password_is_told_and_forgotten(
    open_page: Open, shop: Shop, watched: Watched
) -> None:
    watched.forgive("401")
    page = open_page(f"{shop.url}/desk")
    page.get_by_label("Name", exact=True).fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("Name or password are wrong")
    log_in(page)
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()


def test_before_the_first_account_the_page_says_how_to_make_one(
    open_page: Open, trained_services: Path, tmp_path: Path
) -> None:
    with support(trained_services, tmp_path, accounts=False) as shop:
        page = open_page(f"{shop.url}/desk")
        expect(page.get_by_role("heading", level=1)).to_have_text("Nobody can log in yet")
        expect(page.locator("pre")).to_contain_text("trefoil customer-service agents add")
        assert serious_findings(page) == []


def test_a_conversation_is_shown_once_though_two_looks_cross(open_page: Open, shop: Shop) -> None:
    shop.waiting("hello")
    page = desk(open_page, shop)
    page.locator(".queue-row").evaluate("row => { for (let i = 0; i < 5; i++) row.click(); }")
    expect(page.locator(".guesses li").first).to_be_visible()
    shop.say(
        shop.app.state.people.handoffs.queue(limit=1, cursor=0)[0][0].handoff.conversation_id, "x"
    )
    expect(page.get_by_role("log").get_by_text("x", exact=True)).to_have_count(1)
    expect(page.get_by_role("log").get_by_text("hello", exact=True)).to_have_count(1)
