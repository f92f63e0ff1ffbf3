"""Does the start page show what runs, and lead there?"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from playwright.sync_api import Page, expect

from core.settings import ServiceSettings
from core.web import Check, create_app
from services.demo.start_page import StartPageSettings
from services.demo.start_page import create_app as start_page
from tests.browser.conftest import overflow, serious_findings, weight

Open = Callable[..., Page]
Serve = Callable[..., str]


def other(serve: Serve, *checks: Check) -> str:
    """A service with these readiness checks."""
    return serve(
        create_app("x", settings=ServiceSettings(), router=APIRouter(), ready=lambda: list(checks))
    )


def start(serve: Serve) -> str:
    """The start page beside one service that runs, one that starts, and one that does not."""
    ready, starting = other(serve), other(serve, Check("model", False, "no model is live"))
    urls = {
        "customer-service": ready,
        "finance-sentiment": starting,
        "recommender": "http://127.0.0.1:9",
    }
    return serve(start_page(StartPageSettings(), urls))


def test_it_tells_which_services_run_and_why_one_does_not(open_page: Open, serve: Serve) -> None:
    page = open_page(start(serve))
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    expect(page.get_by_text("starting", exact=True)).to_be_visible()
    expect(page.get_by_text("not running", exact=True)).to_be_visible()
    expect(page.get_by_text("model: no model is live")).to_be_visible()


def test_in_chinese_dark_and_on_a_phone_it_reads_as_well(open_page: Open, serve: Serve) -> None:
    page = open_page(start(serve), phone=True, dark=True, language="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("欢迎使用 Trefoil")
    expect(page.get_by_text("运行中", exact=True)).to_be_visible()
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_it_is_light_and_accessible(open_page: Open, serve: Serve) -> None:
    page = open_page(start(serve))
    expect(page.get_by_text("not running", exact=True)).to_be_visible()
    assert serious_findings(page) == []
    assert weight(page) < 300_000


def test_the_language_chosen_once_stays(open_page: Open, serve: Serve) -> None:
    page = open_page(start(serve))
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("欢迎使用 Trefoil")
    page.goto(page.url.split("?")[0])
    expect(page.get_by_role("heading", level=1)).to_have_text("欢迎使用 Trefoil")
