"""Do the endpoints of alerts and silences do what they are asked, and refuse the rest?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from services.finance_sentiment.alert_store import save_alerts
from services.finance_sentiment.alerts import Alert
from services.finance_sentiment.app import create_app
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import MIGRATIONS, api_keys
from tests.finance_sentiment.conftest import NOW


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    alert = Alert("banking", "rule:half", NOW - timedelta(hours=2), NOW, None, {"stories": 6})
    with session_factory(engine).begin() as session:
        save_alerts(session, [alert], known_since=NOW, now=NOW)
    engine.dispose()
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        yield client


def silence(**other: Any) -> dict[str, Any]:
    return {
        "matchers": [{"name": "topic", "value": "banking"}],
        "starts_at": NOW.isoformat(),
        "ends_at": (NOW + timedelta(hours=1)).isoformat(),
        "created_by": "Ada",
    } | other


def test_an_alert_is_shown_acknowledged_and_marked(client: TestClient) -> None:
    assert client.get("/v1/alerts/1").json()["state"] == "firing"
    assert client.post("/v1/alerts/1/acknowledge", json={"by": "Ada"}).status_code == 200
    assert client.post("/v1/alerts/1/mark", json={"false_alarm": True}).status_code == 200
    shown = client.get("/v1/alerts/1").json()
    assert (shown["acknowledged_by"], shown["false_alarm"]) == ("Ada", True)


def test_a_silence_is_shown_with_the_alert_until_it_ends(client: TestClient) -> None:
    made = client.post("/v1/silences", json=silence())
    assert made.status_code == 201
    [kept] = client.get("/v1/silences").json()["silences"]
    assert kept["id"] == made.json()["id"]
    assert client.get("/v1/alerts/1").json()["silenced_by"] == [kept["id"]]
    assert client.delete(f"/v1/silences/{kept['id']}").status_code == 200
    assert client.get("/v1/alerts/1").json()["silenced_by"] == []
    assert client.delete(f"/v1/silences/{kept['id']}").status_code == 404


def test_the_watch_says_nothing_before_it_has_learned(client: TestClient) -> None:
    shown = client.get("/v1/watch").json()
    assert (shown["topics"], shown["promise"]) == ([], None)
    assert shown["realised"]["alerts"] is None


@pytest.mark.parametrize(
    "body",
    [
        silence(matchers=[]),
        silence(matchers=[{"name": "topic", "operator": "=~", "value": "(a+)+"}]),
        silence(matchers=[{"name": "topic", "operator": "^=", "value": ""}]),
        silence(ends_at=NOW.isoformat()),
        silence(ends_at="2190-01-01T00:00:00Z"),
        silence(starts_at="2026-01-01T00:00:00"),
        silence(created_by=""),
        silence(comment="x" * 1001),
        silence(colour="red"),
    ],
)
def test_a_silence_that_cannot_be_meant_is_refused(
    client: TestClient, body: dict[str, Any]
) -> None:
    assert client.post("/v1/silences", json=body).status_code in (400, 422)


@pytest.mark.parametrize("path", ["/v1/alerts/99", "/v1/alerts/0", f"/v1/alerts/{2**70}"])
def test_an_alert_that_is_not_there_is_said_to_be_so(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 422)


def test_saying_something_of_alerts_needs_its_own_scope(settings: Settings) -> None:
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    with session_factory(engine).begin() as session:
        reader = create_key(session, api_keys, "reader", ["read"])
    engine.dispose()
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        headers = {"X-API-Key": reader}
        assert client.get("/v1/silences", headers=headers).status_code == 200
        assert client.post("/v1/silences", headers=headers, json=silence()).status_code == 403
