"""Does the script fill a shelf in another site's page, and tell what was seen there, once and only
where it may?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Response, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from core.data.records import Item
from core.db.engine import make_engine, session_factory
from core.db.keys import create_publishable_key
from services.recommender.settings import Settings
from services.recommender.tables import api_keys
from tests.browser.conftest import Watched, overflow, serious_findings, served
from tests.browser.shop_site import HOSTILE, app_of, made_shop, put_items, stored_events

__all__ = ["made_shop"]

Open = Callable[..., Page]

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<script async src="{service}/shelf.js" data-key="{key}"{more}></script></head>
<body><main><h1>A shop</h1><p>Welcome.</p>
<div data-trefoil-shelf="home" data-n="6" data-title="For you" data-link="#p-{{id}}" data-why></div>
<div class="space"></div>
<p id="end">The end</p></main><style>.space {{ height: 2500px }}</style></body></html>"""


@dataclass(frozen=True)
class Site:
    """A shop's own website, and the service that its page asks."""

    url: str
    service: str
    settings: Settings

    @property
    def port(self) -> int:
        """Where the service listens."""
        return int(self.service.rsplit(":", 1)[1])

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What came with a session, of this kind."""
        found = stored_events(self.settings, kind=kind)
        return [event for event in found if event["session_id"]]


@pytest.fixture(scope="module")
def site(
    made_shop: Callable[[Path], Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    settings = made_shop(tmp_path_factory.mktemp("snippet"))
    put_items(settings, [Item("aa-hostile", HOSTILE, category="baking", price=5.0)])
    told: dict[str, str] = {}

    async def page(request: Request) -> HTMLResponse:
        more = ' data-consent="required"' if "ask" in request.query_params else ""
        return HTMLResponse(PAGE.format(service=told["service"], key=told["key"], more=more))

    def count(request: Request) -> JSONResponse:
        found = stored_events(settings, kind=request.query_params["kind"])
        return JSONResponse(sum(event["session_id"] is not None for event in found))

    website = Starlette(routes=[Route("/", page), Route("/other", page), Route("/count", count)])
    with served(website) as address:  # type: ignore[arg-type]
        url = address.replace("127.0.0.1", "localhost")
        engine = make_engine(settings.database_url)
        with session_factory(engine).begin() as session:
            told["key"] = create_publishable_key(session, api_keys, "page", [url])
        engine.dispose()
        with served(app_of(settings)) as service:
            told["service"] = service
            yield Site(url, service, settings)


def shelf(page: Page) -> Locator:
    items = page.locator("[data-trefoil-shelf] li")
    expect(items).to_have_count(6)
    return items


def is_events(response: Response) -> bool:
    return response.url.endswith("/v1/events") and response.request.method == "POST"


def told(response: Response) -> list[tuple[str, int]]:
    assert response.status == 200
    return [(one["event"], one["position"]) for one in response.request.post_data_json or []]


def test_each_item_is_told_as_seen_once_and_a_click_with_its_place(
    open_page: Open, site: Site
) -> None:
    page = open_page("about:blank")
    with page.expect_response(is_events) as seen:
        page.goto(site.url)
        shelf(page)
    assert sorted(told(seen.value)) == [("impression", n) for n in range(1, 7)]
    page.locator("#end").scroll_into_view_if_needed()
    page.get_by_role("heading", level=1).scroll_into_view_if_needed()
    with page.expect_response(is_events) as clicked:
        shelf(page).nth(1).get_by_role("link").click()
    assert told(clicked.value) == [("click", 2)]
    assert "#p-" in page.url
    [click] = site.events("click")
    impressions = site.events("impression")
    assert len({event["item_id"] for event in impressions}) == len(impressions) == 6
    [same] = [event for event in impressions if event["position"] == 2]
    for name in ("item_id", "recommendation_id", "session_id", "scenario"):
        assert same[name] == click[name]
    # The same visitor goes on, and what they clicked on is the reason for what they see.
    page.goto(f"{site.url}/other")
    expect(shelf(page).first).to_be_visible()
    expect(page.locator("[data-trefoil-shelf]")).to_contain_text("because you looked at")


def test_what_is_not_seen_for_a_second_is_not_told(open_page: Open, site: Site) -> None:
    page = open_page("about:blank")
    page.clock.install()
    sent = events_sent(page)
    page.goto(site.url)
    shelf(page)
    page.clock.run_for(800)
    # A second in all, but not in one go.
    page.locator("#end").scroll_into_view_if_needed()
    expect(page.locator("#end")).to_be_in_viewport()
    page.get_by_role("heading", level=1).scroll_into_view_if_needed()
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    page.evaluate("new Promise(requestAnimationFrame)")
    page.clock.run_for(800)
    assert sent == []
    with page.expect_response(is_events):
        page.clock.run_for(5_000)


def test_a_click_that_leaves_the_page_arrives_and_counts_once(open_page: Open, site: Site) -> None:
    before = len(site.events("click"))
    page = open_page(site.url)
    leave_by_link(page, 3)
    page.wait_for_function(COUNTED, arg=["click", before])
    page.wait_for_function("!localStorage['trefoil-queue']")
    assert len(site.events("click")) == before + 1


def test_where_there_is_no_time_for_an_answer_a_beacon_takes_it(
    open_page: Open, site: Site, watched: Watched
) -> None:
    watched.forgive("ERR_FAILED")
    before = len(site.events("click"))
    page = open_page("about:blank")
    page.route("**/v1/events", lambda route: route.abort())
    page.goto(site.url)
    leave_by_link(page, 4)
    page.wait_for_function(COUNTED, arg=["click", before])
    assert len(site.events("click")) == before + 1


COUNTED = "async ([kind, n]) => await (await fetch(`/count?kind=${kind}`)).json() > n"


def leave_by_link(page: Page, place: int) -> None:
    link = shelf(page).nth(place).get_by_role("link")
    link.evaluate("(node) => { node.href = '/other'; }")
    link.click()
    page.wait_for_url("**/other")


def events_sent(page: Page) -> list[str]:
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if "/v1/events" in one.url else None)
    return sent


@pytest.mark.parametrize(
    "wish",
    [
        "Object.defineProperty(navigator, 'doNotTrack', {get: () => '1'})",
        "Object.defineProperty(navigator, 'globalPrivacyControl', {get: () => true})",
    ],
    ids=["do not track", "global privacy control"],
)
def test_who_wants_no_tracking_gets_a_shelf_and_nothing_is_told_or_kept(
    open_page: Open, site: Site, wish: str
) -> None:
    page = open_page("about:blank")
    page.clock.install()
    page.add_init_script(wish)
    sent = events_sent(page)
    with page.expect_response("**/v1/trending*"):
        page.goto(site.url)
    shelf(page).first.get_by_role("link").click()
    page.clock.run_for(60_000)
    page.goto(f"{site.url}/other")
    shelf(page)
    assert sent == []
    assert page.evaluate("localStorage.length") == 0


def test_where_consent_is_required_nothing_is_told_before_it(open_page: Open, site: Site) -> None:
    page = open_page("about:blank")
    page.clock.install()
    sent = events_sent(page)
    page.goto(f"{site.url}/?ask")
    shelf(page).first.get_by_role("link").click()
    page.clock.run_for(60_000)
    assert sent == []
    assert page.evaluate("localStorage.length") == 0
    with page.expect_response(is_events) as seen:
        page.evaluate("trefoilConsent = true; dispatchEvent(new Event('trefoilconsent'))")
        page.clock.resume()
    assert seen.value.status == 200
    page.evaluate("trefoilConsent = false; dispatchEvent(new Event('trefoilconsent'))")
    assert page.evaluate("localStorage.length") == 0


def test_what_was_seen_while_the_server_was_away_is_told_when_it_is_back(
    open_page: Open, site: Site, watched: Watched
) -> None:
    watched.forgive("503")
    page = open_page("about:blank")
    answers = [503, 503]

    def away(route: Any) -> None:
        if answers:
            answers.pop()
            # As a server that is overloaded answers, with the words that let a page read it.
            route.fulfill(status=503, headers={"Access-Control-Allow-Origin": site.url})
        else:
            route.continue_()

    page.route("**/v1/events", away)
    with page.expect_response(lambda r: is_events(r) and r.status == 200) as seen:
        page.goto(site.url)
        shelf(page)
    assert len(told(seen.value)) >= 6


def test_markup_in_a_title_is_shown_as_text(open_page: Open, site: Site) -> None:
    page = open_page("about:blank")
    page.route(
        "**/v1/recommendations",
        lambda route: (
            route.fulfill(
                headers={"Access-Control-Allow-Origin": site.url},
                json={
                    "recommendation_id": "r1",
                    "model_version": "m",
                    "items": [{"item_id": "aa-hostile", "rank": 1, "reasons": [{"text": HOSTILE}]}],
                },
            )
            if route.request.method == "POST"
            else route.continue_()
        ),
    )
    page.goto(site.url)
    card = page.locator("[data-trefoil-shelf] li")
    expect(card.locator(".n")).to_have_text(HOSTILE)
    expect(card.locator(".w")).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None


def test_by_keyboard_and_on_a_phone(open_page: Open, site: Site) -> None:
    page = open_page("about:blank", dark=True)
    page.set_viewport_size({"width": 375, "height": 740})
    page.goto(site.url)
    first = shelf(page).first.get_by_role("link")
    page.keyboard.press("Tab")
    expect(first).to_be_focused()
    with page.expect_response(is_events) as clicked:
        page.keyboard.press("Enter")
    assert ("click", 1) in told(clicked.value)
    assert overflow(page) <= 0
    assert serious_findings(page) == []


def test_it_is_small_and_any_site_may_load_it(open_page: Open, site: Site) -> None:
    page = open_page(site.url)
    shelf(page)
    size: int = page.evaluate(
        "performance.getEntriesByName(document.querySelector('script').src)[0].decodedBodySize"
    )
    # Zero where the script's size is kept from the page.
    answer = page.request.get(f"{site.service}/shelf.js")
    assert max(size, len(answer.body())) <= 10_000
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "max-age" in answer.headers["cache-control"]
