"""Are feeds and stories taken over HTTP, by whoever may, and refused with a reason otherwise?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from services.finance_sentiment.app import create_app
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import MIGRATIONS, api_keys
from tests.finance_sentiment.conftest import NOW

A = {"name": "A", "url": "https://a.example/f?key=secret"}


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    upgrade(settings.database_url, MIGRATIONS)
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        yield client


@pytest.fixture
def source(client: TestClient) -> dict[str, Any]:
    answer = client.post("/v1/sources", json=A)
    assert answer.status_code == 201
    return dict(answer.json())


def listed(client: TestClient) -> list[dict[str, Any]]:
    return list(client.get("/v1/sources").json()["sources"])


def test_a_feed_is_added_shown_masked_and_due_at_once(
    client: TestClient, source: dict[str, Any]
) -> None:
    assert listed(client) == [source]
    assert source["url"] == "https://a.example/f?key=***"
    assert source["next_check_at"] == "2026-03-02T12:30:00Z"


@pytest.mark.parametrize(
    "body",
    [
        A,
        A | {"name": "B"},
        A | {"url": "https://b.example"},
    ],
)
def test_a_name_or_address_that_is_taken_is_a_conflict(
    client: TestClient, source: dict[str, Any], body: dict[str, Any]
) -> None:
    answer = client.post("/v1/sources", json=body)
    assert answer.status_code == 409
    assert f"/v1/sources/{source['id']}" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "A"},
        {"name": " ", "url": "https://a.example"},
        {"name": "A", "url": "file:///etc/passwd"},
        {"name": "A", "url": "https://a.example", "interval_minutes": 0},
        {"name": "A", "url": "https://a.example", "enabled": "maybe"},
        {"name": "A", "url": "https://a.example", "etag": "x"},
    ],
)
def test_a_feed_that_cannot_be_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/v1/sources", json=body).status_code == 422
    assert listed(client) == []


def test_a_feed_is_changed_in_part(client: TestClient, source: dict[str, Any]) -> None:
    place = f"/v1/sources/{source['id']}"
    changed = client.patch(place, json={"interval_minutes": 10, "enabled": False}).json()
    assert (changed["interval_seconds"], changed["enabled"], changed["name"]) == (600, False, "A")
    changed = client.patch(place, json={"interval_minutes": None, "name": "B"}).json()
    assert (changed["interval_seconds"], changed["enabled"], changed["name"]) == (None, False, "B")
    assert client.patch(place, json={"url": "ftp://x"}).status_code == 422
    assert client.patch(place, json={"name": None}).status_code == 422
    client.post("/v1/sources", json={"name": "C", "url": "https://c.example/f"})
    assert client.patch(place, json={"name": "C"}).status_code == 409


def test_a_feed_is_removed_and_others_are_unknown(
    client: TestClient, source: dict[str, Any]
) -> None:
    place = f"/v1/sources/{source['id']}"
    assert client.delete(place).status_code == 204
    assert listed(client) == []
    assert client.delete(place).status_code == 404
    assert client.patch(place, json={}).status_code == 404
    assert client.patch("/v1/sources/99999999999999999999", json={}).status_code == 422


def test_opml_goes_out_and_comes_in(client: TestClient, source: dict[str, Any]) -> None:
    document = client.get("/v1/sources/opml")
    assert document.headers["content-type"].startswith("text/x-opml")
    assert "key=secret" in document.text
    more = document.text.replace("</body>", '<outline xmlUrl="https://b.example/f"/></body>')
    answer = client.post("/v1/sources/opml", content=more)
    assert answer.json() == {"added": 1, "known": 1}
    assert len(listed(client)) == 2
    assert client.post("/v1/sources/opml", content=b"words").status_code == 422


def test_stories_are_pushed_once(client: TestClient) -> None:
    story = {"title": "<b>Bank fails</b>", "source": "desk", "story_id": "1"}
    assert client.post("/v1/stories", json=story).json() == {"received": 1, "added": 1}
    more = [story, {"title": "Oil falls", "url": "javascript:alert(1)", "summary": "By a tenth."}]
    assert client.post("/v1/stories", json=more).json() == {"received": 2, "added": 1}
    kept = client.get("/v1/stories").json()["stories"]
    assert {(s["title"], s["source"], s["url"], s["state"]) for s in kept} == {
        ("Bank fails", "desk", "", "pending"),
        ("Oil falls", "push", "", "pending"),
    }


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"title": ""},
        {"title": "<p></p>"},
        {"title": "x", "published_at": "yesterday"},
        {"title": "x", "published_at": "2026-03-02T10:00:00"},
        {"title": "x", "sentiment": "negative"},
        [{"title": "x"}] * 201,
    ],
)
def test_stories_that_cannot_be_are_refused_whole(client: TestClient, body: object) -> None:
    assert client.post("/v1/stories", json=body).status_code == 422
    assert client.get("/v1/stories").json()["stories"] == []


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/sources", "read"),
        ("POST", "/v1/sources", "sources"),
        ("PATCH", "/v1/sources/1", "sources"),
        ("DELETE", "/v1/sources/1", "sources"),
        ("GET", "/v1/sources/opml", "sources"),
        ("POST", "/v1/sources/opml", "sources"),
        ("POST", "/v1/stories", "stories"),
    ],
)
def test_each_thing_takes_its_scope(
    client: TestClient, settings: Settings, method: str, path: str, scope: str
) -> None:
    engine = make_engine(settings.database_url)
    with session_factory(engine).begin() as session:
        keys = {s: create_key(session, api_keys, s, [s]) for s in ("read", "sources", "stories")}
    engine.dispose()
    for held, key in keys.items():
        answer = client.request(method, path, headers={"Authorization": f"Bearer {key}"}, json={})
        assert (answer.status_code == 403) == (held != scope)
