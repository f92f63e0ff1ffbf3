"""Whatever comes, the answer is a clean refusal or a sensible result: never a 500."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from services.recommender.app import create_app
from services.recommender.settings import Settings
from tests.recommender.conftest import Clock

ENDPOINTS = {
    "items": ("PUT", "/v1/items", {"item_id": "a", "title": "Tent"}),
    "changes": ("PATCH", "/v1/items/hiking-sun-rope", {"title": "Rope"}),
    "events": ("POST", "/v1/events", {"user_id": "u", "item_id": "a", "event": "click"}),
    "recommendations": ("POST", "/v1/recommendations", {"user_id": "u", "n": 3}),
    "ga4": ("POST", "/v1/events/ga4", {"client_id": "c", "events": []}),
    "segment": ("POST", "/v1/events/segment", {"userId": "u", "event": "Product Viewed"}),
    "merge": ("POST", "/v1/users/merge", {"user_id": "u", "session_id": "s"}),
    "sessions": ("POST", "/v1/sessions", {"token": "t"}),
    "search": ("POST", "/v1/search", {"q": "tent", "n": 3}),
    "rules": ("PUT", "/v1/rules", {"rules": []}),
    "preview": ("POST", "/v1/rules/preview", {"user_id": "u", "rules": []}),
    "rollback": ("POST", "/v1/rules/rollback", {"version": 0}),
    "trainings": ("POST", "/v1/trainings", {}),
}
BODIES = {
    "empty": b"",
    "not json": b"{",
    "null": b"null",
    "number": b"7",
    "text": b'"x"',
    "empty object": b"{}",
    "empty list": b"[]",
    "list of numbers": b"[1, 2]",
    "list in a list": b"[[{}]]",
    "nan": b'{"user_id": NaN}',
    "huge number": b'{"item_id": "a", "title": "t", "price": 1e400, "user_id": "u", "n": 1e400}',
    "deep": b"[" * 200 + b"]" * 200,
    "latin-1": '{"user_id": "é", "item_id": "é"}'.encode("latin-1"),
    "nul": b'{"user_id": "a\\u0000", "item_id": "a\\u0000", "title": "a", "event": "view"}',
    "half a pair": b'{"user_id": "\\ud800", "item_id": "\\ud800", "title": "a", "event": "view"}',
    "one megabyte": json.dumps({"title": "x" * 1_000_000, "item_id": "a"}).encode(),
    "above the limit": b" " * 3_000_000,
    "duplicate keys": b'{"user_id": "a", "user_id": "b", "item_id": "a", "item_id": "b"}',
}
TEXTS = {
    "blank": "   ",
    "emoji": "🙂🧗🏽‍♀️",
    "right to left": "\u202eخيمة للمشي",
    "chinese": "帐篷 适合 雨天",
    "mixed": "Zelt 帐篷 خيمة tent",
    "html": "<script>alert(1)</script><b>tent</b>",
    "sql": "'; DROP TABLE items; --",
    "control": "a\x01\x02b",
    "slashes": "../../etc/passwd",
    "long": "x" * 5_000,
    "combining": "a" + "\u0301" * 5_000,
}
NUMBERS = [0, -1, 1e308, -1e308, True, "7", None, [], {}, 2**63, 0.1]


@pytest.fixture(scope="module")
def client(stock: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One server for all of it: what one request leaves behind must not hurt the next."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(stock.var_dir, folder, dirs_exist_ok=True)
    chosen = Settings(var_dir=folder, threads=1, rate_limit="", max_body_bytes=2_000_000)
    with TestClient(create_app(chosen, now=Clock()), raise_server_exceptions=False) as client:
        yield client


def check(answer) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem = answer.json()
        assert {"type", "title", "status", "detail", "request_id"} <= set(problem)
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("body", BODIES)
def test_any_body(client: TestClient, endpoint: str, body: str) -> None:
    method, path, _ = ENDPOINTS[endpoint]
    headers = {"Content-Type": "application/json"}
    check(client.request(method, path, content=BODIES[body], headers=headers))


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_anywhere(client: TestClient, text: str) -> None:
    value = TEXTS[text]
    item = {
        "item_id": value,
        "title": value,
        "description": value,
        "tags": [value],
        "category": value,
        "brand": value,
        "item_group_id": value,
        "image": value,
        "attributes": {value: value, "list": [value]},
    }
    check(client.put("/v1/items", json=item))
    check(
        client.put(
            "/v1/items",
            json={
                **item,
                "item_id": "it",
                "category": "",
                "brand": "",
                "tags": [],
                "item_group_id": "",
                "image": "",
                "attributes": {"text": value[:900]},
                "title": value[:900],
            },
        )
    )
    event = {"user_id": value, "item_id": value, "event": "click", "event_id": value}
    check(client.post("/v1/events", json=event))
    check(client.post("/v1/events", json={"user_id": "u", "item_id": "it", "event": "click"}))
    check(client.post("/v1/recommendations", json={"user_id": value, "scenario": value}))
    answer = client.post("/v1/recommendations", json={"user_id": "u", "n": 5})
    assert answer.status_code == 200
    name = quote(value, safe="")
    for path in ("items", "similar", "bought-together", "uploads", "trainings"):
        check(client.get(f"/v1/{path}/{name}"))
    check(client.get(f"/v1/users/{name}/export"))
    check(client.delete(f"/v1/users/{name}"))


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_from_elsewhere(client: TestClient, text: str) -> None:
    value = TEXTS[text]
    item = {"item_id": value, "item_list_id": value, "price": 1, "quantity": 1}
    event = {"name": "purchase", "params": {"transaction_id": value, "items": [item]}}
    check(client.post("/v1/events/ga4", json={"client_id": value, "events": [event]}))
    product = {"product_id": value, "review_body": value, "name": value}
    for told in ("Order Completed", "Order Refunded", "Product Reviewed", value):
        properties = {**product, "order_id": value, "list_id": value, "products": [product]}
        call = {"userId": value, "event": told, "messageId": value, "properties": properties}
        check(client.post("/v1/events/segment", json=call))
    check(client.post("/v1/users/merge", json={"user_id": value, "session_id": value}))
    check(client.post("/v1/users/merge", json={"user_id": value, "from_user_id": "x" + value}))
    check(client.post("/v1/sessions", json={"token": value}))


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_in_a_search_a_filter_or_a_rule(client: TestClient, text: str) -> None:
    # The client here refuses to send much longer addresses.
    value = TEXTS[text][:2_000]
    for params in ({"q": value}, {"q": "tent", "filter": value}, {"q": "tent", "cursor": value}):
        check(client.get("/v1/search", params=params))
    check(client.post("/v1/search", json={"q": value, "filter": {value: value}, "user_id": value}))
    check(client.get("/v1/trending", params={"category": value, "scenario": value}))
    asked = {"from": value, "to": value, "window_days": value}
    check(client.get("/v1/attribution", params=asked))
    check(client.get("/v1/trainings", params={"cursor": value}))
    rule = {"kind": "block", "filter": {"brand": value, "tags": [value]}, "scenarios": [value]}
    check(client.put("/v1/rules", json={"rules": [rule], "note": value}))
    check(client.put("/v1/rules", json={"rules": [{"kind": value, "field": value}]}))
    assert client.put("/v1/rules", json={"rules": []}).status_code == 200


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_any_value_where_a_number_belongs(client: TestClient, value: object) -> None:
    check(client.put("/v1/items", json={"item_id": "a", "title": "t", "price": value}))
    check(client.put("/v1/items", json={"item_id": "a", "title": "t", "created_at": value}))
    check(client.put("/v1/items", json={"item_id": "a", "title": "t", "attributes": {"n": value}}))
    check(client.patch("/v1/items/hiking-sun-map", json={"attributes": value, "price": value}))
    event = {"user_id": "u", "item_id": "a", "event": "rating"}
    check(client.post("/v1/events", json={**event, "value": value}))
    check(client.post("/v1/events", json={**event, "timestamp": value}))
    check(client.post("/v1/recommendations", json={"user_id": "u", "n": value}))
    assert client.post("/v1/recommendations", json={"user_id": "u"}).status_code == 200
    assert client.get("/v1/items/hiking-sun-tent").status_code == 200


@pytest.mark.parametrize(
    "moment",
    ["", "yesterday", "9999-12-31T23:59:59-23:00", "0001-01-01", "2026-13-01", 1e18, -1e18],
)
def test_any_moment(client: TestClient, moment: object) -> None:
    event = {"user_id": "u", "item_id": "hiking-sun-tent", "event": "click", "timestamp": moment}
    check(client.post("/v1/events", json=event))
    item = {"item_id": "hiking-sun-tent", "title": "t", "created_at": moment}
    check(client.put("/v1/items", json=item))
    check(client.get("/v1/items/hiking-sun-tent"))
    assert client.post("/v1/recommendations", json={"user_id": "u"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/items/",
        "/v1/similar/",
        "/v1/items",
        "/v1/similar/%00",
        "/v1/similar/a?n=-1",
        "/v1/similar/a?n=x",
        "/v1/nothing",
        "/v1/items?limit=-1",
        "/v1/items?cursor=%F0%9F%99%82&limit=1",
        "/v1/uploads/%2F",
        "/v1/users/%00/export?after=-1",
        "/v1/users/u/export?after=9223372036854775808&limit=x",
        "/v1/trainings/-1",
        "/v1/trainings/99999999999999999999",
        "/v1/trainings?cursor=x&limit=0",
        "/v1/attribution?from=nan&to=inf",
        "/v1/attribution?from=1e308&window_days=1e308",
        "/v1/trending?days=nan&n=1e9",
        "/v1/bought-together/a?support=0",
        "/v1/rules/versions?cursor=-1&limit=x",
        "/v1/search?q=tent&n=0&filter=[",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PATCH"])
def test_any_path(client: TestClient, method: str, path: str) -> None:
    check(client.request(method, path))


def test_nobody_is_asked_about(client: TestClient) -> None:
    answer = client.post("/v1/recommendations", json={"n": 3})
    assert answer.status_code == 422 and "user_id or session_id" in answer.json()["detail"]


@pytest.mark.parametrize("count", [0, -5, 10**30])
def test_an_impossible_count_is_refused(client: TestClient, count: int) -> None:
    assert client.post("/v1/recommendations", json={"user_id": "u", "n": count}).status_code == 422
