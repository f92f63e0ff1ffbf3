"""Events over HTTP: what others send, whose session it is, and what came of the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key, create_publishable_key
from services import recommender
from services.recommender.app import create_app
from services.recommender.cli import group
from services.recommender.settings import Settings
from services.recommender.tables import api_keys
from tests.recommender.conftest import AFTER, Clock
from tests.recommender.test_api import ask, click, ids

SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server for requests that leave nothing behind."""
    chosen = Settings(var_dir=tmp_path_factory.mktemp("refusing"), threads=1, rate_limit="")
    with TestClient(create_app(chosen, now=Clock())) as client:
        yield client


def sent(client: TestClient, path: str, body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(client: TestClient, user: str = "me") -> list[dict[str, Any]]:
    return client.get(f"/v1/users/{user}/export").json()["events"]


# --- what an event may tell ----------------------------------------------------------------------


def test_an_event_keeps_what_it_tells(client: TestClient) -> None:
    told = {
        "recommendation_id": "r", "position": 3, "scenario": "home", "quantity": 2.0,
        "currency": "EUR", "order_id": "o", "value": 9.5, "text": "not a comment",
    }  # fmt: skip
    click(client, "hiking-sun-tent", event="purchase", event_id="e", **told)
    [event] = kept(client)
    assert {name: event[name] for name in told} == {**told, "text": None}
    assert (event["event"], event["timestamp"]) == ("purchase", AFTER - 60)


@pytest.mark.parametrize(
    "wrong",
    [{"position": 0}, {"scenario": "x" * 101}, {"quantity": 0}, {"text": "x" * 4_001},
     {"value": 1e300}, {"recommendation_id": ""}],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(refusing: TestClient, wrong: dict[str, Any]) -> None:
    body = {"user_id": "me", "item_id": "a", "event": "comment", **wrong}
    assert refusing.post("/v1/events", json=body).status_code == 422


def test_events_that_come_late_or_in_the_wrong_order_count_by_their_own_time(
    client: TestClient,
) -> None:
    for user, order in (("a", (1, 2, 3)), ("b", (3, 1, 2))):
        told = {1: ("hiking-sun-tent", "click"), 2: ("baking-sun-oven", "purchase"),
                3: ("baking-sun-oven", "refund")}  # fmt: skip
        for n in order:
            item_id, event = told[n]
            click(client, item_id, user=user, event=event, timestamp=AFTER - 1_000 + n)
    assert ask(client, "a") == ask(client, "b")


# --- Google Analytics 4 and Segment --------------------------------------------------------------


def test_ga4_is_taken_as_it_is_and_counts_once(client: TestClient) -> None:
    body = {
        "client_id": "c1",
        "user_id": "me",
        "timestamp_micros": int((AFTER - 60) * 1e6),
        "non_personalized_ads": False,
        "events": [
            {"name": "select_item", "params": {"items": [{"item_id": "hiking-sun-tent"}]}},
            {"name": "page_view", "params": {"page_location": "https://shop.example/"}},
        ],
    }
    expected = {"accepted": 1, "repeated": 0, "warnings": [], "ignored": {"page_view": 1}}
    assert sent(client, "/v1/events/ga4", body) == expected
    assert sent(client, "/v1/events/ga4", body) == {**expected, "accepted": 0, "repeated": 1}
    assert sum(item.startswith("hiking") for item in ids(ask(client))) > 5


def test_a_batch_of_segment_may_buy_an_order_and_give_it_back(client: TestClient) -> None:
    order = {"order_id": "o1", "currency": "EUR", "products": [
        {"product_id": "hiking-sun-tent", "price": 30, "quantity": 2}, {"sku": "nowhere"},
    ]}  # fmt: skip
    common = {"type": "track", "userId": "me", "timestamp": "2025-10-01T00:00:00Z"}
    body = {
        "batch": [
            {**common, "messageId": "1", "event": "Order Completed", "properties": order},
            {**common, "messageId": "2", "event": "Order Refunded",
             "properties": {"order_id": "o1"}},
            {**common, "messageId": "3", "event": "Order Refunded",
             "properties": {"order_id": "o2"}},
            {**common, "type": "identify"},
        ]
    }  # fmt: skip
    told = sent(client, "/v1/events/segment", body)
    assert (told["accepted"], told["ignored"]) == (4, {"identify": 1})
    assert any("'o2'" in warning for warning in told["warnings"])
    assert sent(client, "/v1/events/segment", body)["repeated"] == 4
    assert [(e["event"], e["value"]) for e in kept(client)] == [
        ("purchase", 60.0), ("purchase", None), ("refund", 60.0), ("refund", None),
    ]  # fmt: skip


def test_one_call_of_segment_needs_no_batch(client: TestClient) -> None:
    call = {"event": "Product Viewed", "anonymousId": "a", "properties": {"product_id": "x"}}
    assert sent(client, "/v1/events/segment", call)["accepted"] == 1


@pytest.mark.parametrize("path", ["/v1/events/ga4", "/v1/events/segment"])
@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"batch": 7}, {"client_id": "c", "events": [None]}, {"batch": [{}]},
     {"client_id": "c", "events": [{"name": "x", "params": {"items": {"a": 1}}}]},
     {"userId": "u", "event": "Product Viewed", "properties": {"price": [], "product_id": "a"}},
     {"userId": "u", "event": "Product Viewed", "timestamp": "soon"}],
)  # fmt: skip
def test_what_is_neither_is_refused_cleanly(refusing: TestClient, path: str, body: Any) -> None:
    assert refusing.post(path, json=body).status_code == 422


def test_more_lines_than_a_request_may_hold_are_refused(refusing: TestClient) -> None:
    items = [{"item_id": "a"}] * 600
    events = [{"name": "view_item", "params": {"items": items}}] * 2
    body = {"client_id": "c", "events": events}
    assert refusing.post("/v1/events/ga4", json=body).status_code == 413


# --- people --------------------------------------------------------------------------------------


def test_a_session_becomes_a_user_in_every_process(stocked: Settings, clock: Clock) -> None:
    with (
        TestClient(create_app(stocked, now=clock)) as one,
        TestClient(create_app(stocked, now=clock)) as two,
    ):
        body = {"session_id": "s1", "item_id": "hiking-sun-tent", "event": "add_to_cart"}
        sent(one, "/v1/events", body)
        before = ask(two)
        merge = {"session_id": "s1", "user_id": "me"}
        told = {"user_id": "me", "events": 1, "already": False}
        assert sent(one, "/v1/users/merge", merge) == told
        assert sent(two, "/v1/users/merge", merge) == {**told, "events": 0, "already": True}
        assert ask(two) != before and ask(two) == ask(one)
        answer = two.post("/v1/recommendations", json={"session_id": "s1", "n": 10}).json()
        assert answer["items"] == ask(one)


def test_the_forgotten_are_strangers(client: TestClient) -> None:
    before = ask(client)
    click(client, "hiking-sun-tent", user="a/b")
    click(client, "hiking-sun-tent", event="impression")
    assert client.delete("/v1/users/a%2Fb").json() == {"user_id": "a/b", "events": 1}
    assert client.delete("/v1/users/me").json()["events"] == 1
    assert ids(ask(client)) == ids(before)
    assert kept(client) == [] and client.delete("/v1/users/me").json()["events"] == 0


@pytest.mark.parametrize(
    "body",
    [{"user_id": "u"}, {"session_id": "s"}, {"user_id": "u", "from_user_id": "u"},
     {"user_id": "u", "session_id": "s", "from_user_id": "v"}],
)  # fmt: skip
def test_a_merge_says_who_is_whom(refusing: TestClient, body: dict[str, str]) -> None:
    assert refusing.post("/v1/users/merge", json=body).status_code == 422


# --- attribution ---------------------------------------------------------------------------------


def test_what_came_of_an_answer_is_told(stocked: Settings, clock: Clock) -> None:
    app = create_app(stocked, now=clock)
    with TestClient(app) as client:
        asked = {"user_id": "me", "n": 3, "scenario": "home"}
        answer = client.post("/v1/recommendations", json=asked).json()
        first = answer["items"][0]["item_id"]
        named = {"recommendation_id": answer["recommendation_id"], "position": 1}
        click(client, first, timestamp=AFTER + 1, **named)
        click(client, first, timestamp=AFTER + 9, event="purchase", value=5.0, currency="EUR")
        app.state.parts.answers.write()
        clock.forward(hours=1)
        told = client.get("/v1/attribution", params={"from": AFTER}).json()
        [group] = told["groups"]
        assert (group["model_version"], group["scenario"]) == (answer["model_version"], "home")
        assert (group["answers"], group["items_shown"]) == (1, 3)
        assert group["click_through_rate"] == group["conversion_rate"] == 1.0
        assert group["click_through_rate_ci"][0] < 1.0
        [money] = group["money"]
        assert (money["net"], money["currency"], money["net_per_answer"]) == (5.0, "EUR", 5.0)


@pytest.mark.parametrize("period", [{"from": AFTER, "to": AFTER}, {"from": 0, "to": AFTER}])
def test_a_period_has_a_length(refusing: TestClient, period: dict[str, float]) -> None:
    assert refusing.get("/v1/attribution", params=period).status_code == 422


# --- keys ----------------------------------------------------------------------------------------


@pytest.fixture
def keys(settings: Settings, clock: Clock) -> Iterator[tuple[TestClient, str, str]]:
    """A server without a model, a publishable key for SHOP, and a secret one for events."""
    app = create_app(settings, now=clock)
    with TestClient(app, client=("203.0.113.5", 50_000)) as client:
        engine = make_engine(settings.database_url)
        with session_factory(engine).begin() as session:
            page = create_publishable_key(session, api_keys, "page", [SHOP])
            server = create_key(session, api_keys, "server", ["events"])
        engine.dispose()
        app.state.authenticator._in_use = (float("-inf"), False)
        yield client, page, server


def of_page(key: str, origin: str = SHOP) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Origin": origin}


def test_a_page_sends_events_for_its_own_session_alone(
    keys: tuple[TestClient, str, str],
) -> None:
    client, page, _ = keys
    opened = client.post("/v1/sessions", headers=of_page(page))
    assert opened.status_code == 201, opened.text
    session, headers = opened.json()["session_id"], of_page(opened.json()["token"])
    view = {"item_id": "a", "event": "view"}
    mine = {**view, "session_id": session}
    assert client.post("/v1/events", json=[mine, mine], headers=headers).json()["accepted"] == 2
    for theirs in (
        {"session_id": "other"},
        {"user_id": "u"},
        {"session_id": session, "user_id": "u"},
    ):
        for path, body in (
            ("/v1/events", [mine, {**view, **theirs}]),
            ("/v1/recommendations", theirs),
        ):
            refused = client.post(path, json=body, headers=headers)
            assert refused.status_code == 403 and "its own session" in refused.json()["detail"]
    # No model is live: it would have been answered.
    asked = client.post("/v1/recommendations", json={"session_id": session}, headers=headers)
    assert asked.status_code == 503
    for path in ("search?q=tent", "similar/a", "trending", "bought-together/a"):
        assert client.get(f"/v1/{path}", headers=headers).status_code == 503
        assert client.get(f"/v1/{path}", headers=of_page(page)).status_code == 403
    theirs = {"q": "tent", "session_id": "other"}
    assert client.post("/v1/search", json=theirs, headers=headers).status_code == 403
    longer = client.post(
        "/v1/sessions", json={"token": opened.json()["token"]}, headers=of_page(page)
    )
    assert longer.json()["session_id"] == session


def test_the_key_of_a_page_opens_sessions_and_nothing_else(
    keys: tuple[TestClient, str, str],
) -> None:
    client, page, server = keys
    token = client.post("/v1/sessions", headers=of_page(page)).json()["token"]
    opens = {"/v1/events", "/v1/recommendations", "/v1/sessions"}
    opens |= {"/v1/events/beacon"}  # its token travels in the body; see test_beacon_api.py
    for method, path in routes(client):
        for held in (page, token):
            asked = client.request(method, path, headers=of_page(held), json={})
            if path.startswith("/v1") and path not in opens and "{" not in path:
                expected = {403} if held == page else {403, 404, 422, 503}
                assert asked.status_code in expected, (method, path, asked.text)
    assert (
        client.post("/v1/sessions", headers=of_page(page, "https://evil.example")).status_code
        == 403
    )
    assert client.post("/v1/sessions", headers=of_page(server)).status_code == 403
    for path in ("/v1/items", "/v1/users/merge", "/v1/events/ga4", "/v1/events/segment"):
        method = "PUT" if path == "/v1/items" else "POST"
        assert client.request(method, path, json={}, headers=of_page(token)).status_code == 403
    for path in ("/v1/attribution", "/v1/users/u/export", "/v1/items/a", "/metrics"):
        assert client.get(path, headers=of_page(token)).status_code == 403


def routes(client: TestClient) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, said in paths.items() for method in said]


def test_keys_are_made_for_scopes_that_there_are() -> None:
    create = group.commands["keys"].commands["create"]  # type: ignore[attr-defined]
    [scope] = [option for option in create.params if option.name == "scopes"]
    sources = Path(recommender.__file__).parent.glob("*.py")
    asked = {
        name
        for path in sources
        for scopes in re.findall(r"requires\(([^)]*)\)", path.read_text(encoding="utf-8"))
        for name in re.findall(r'"([a-z]+)"', scopes)
    }
    assert asked | {"*"} == set(scope.type.choices)
