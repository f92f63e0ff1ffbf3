"""Do the endpoints answer what was asked, and anything hostile with a clean refusal?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from services.finance_sentiment.alert_store import save_alerts
from services.finance_sentiment.alerts import Alert
from services.finance_sentiment.app import create_app
from services.finance_sentiment.domain import GIVEN, KIND, Entry, Label
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.source_lists import Listed
from services.finance_sentiment.sources import save_sources
from services.finance_sentiment.tables import MIGRATIONS, api_keys
from tests.finance_sentiment.conftest import NOW

NEWS = "bank oslo hit by losses as bad loans rise and deposits flee"


def fill(sessions: sessionmaker[Session]) -> None:
    start = NOW - timedelta(hours=2)
    with sessions.begin() as session:
        for number, sentiment in enumerate(("negative", "negative", "neutral", "positive")):
            label = Label(GIVEN, sentiment, "banking", None, None, None, None, True)
            entry = Entry(str(number), f"https://a.example/{number}", f"Story {number}", "", start)
            add_stories(session, [Incoming(entry, label)], source="A", source_id=None, now=NOW)
        waiting = Entry("w", "", "Waiting story", "", start)
        add_stories(session, [Incoming(waiting)], source="B", source_id=None, now=NOW)
        save_sources(session, [Listed("A", "https://u:pw@a.example/f?key=abc")], NOW)
        alert = Alert("banking", "beta_binomial_cusum", start, NOW, None, {"statistic": 6.0})
        save_alerts(session, [alert], known_since=start, now=NOW)


@pytest.fixture
def filled(live_settings: Settings) -> Settings:
    engine = make_engine(live_settings.database_url)
    upgrade(engine, MIGRATIONS)
    fill(session_factory(engine))
    engine.dispose()
    return live_settings


@pytest.fixture
def client(filled: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(filled, now=lambda: NOW)) as client:
        yield client


def get(client: TestClient, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_stories_are_filtered_and_paged(client: TestClient) -> None:
    everything = get(client, "/v1/stories")
    assert len(everything["stories"]) == 5
    assert everything["next_cursor"] is None
    negative = get(client, "/v1/stories", topic="banking", sentiment="negative")["stories"]
    assert {story["model_version"] for story in negative} == {GIVEN}
    assert len(get(client, "/v1/stories", q="WAITING")["stories"]) == 1
    assert get(client, "/v1/stories", since=NOW.isoformat())["stories"] == []
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = get(client, "/v1/stories", **query)
        seen += [story["id"] for story in page["stories"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(set(seen)) == len(seen) == 5


def test_trends_show_share_and_interval_and_what_is_not_counted(client: TestClient) -> None:
    body = get(client, "/v1/trends")
    [banking] = body["topics"]
    assert (banking["stories"], banking["negative"], banking["negative_share"]) == (4, 2, 0.5)
    low, high = banking["negative_share_ci"]
    assert low < 0.5 < high
    [bucket] = banking["buckets"]
    assert datetime.fromisoformat(bucket["start"]) == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert (body["pending"], body["unlabelled"]) == (1, 0)
    assert get(client, "/v1/trends", bucket="day", topic="energy")["topics"] == []


def test_sources_show_their_state_and_no_secret(client: TestClient) -> None:
    [source] = get(client, "/v1/sources")["sources"]
    assert (source["name"], source["error_count"], source["last_error"]) == ("A", 0, None)
    assert "pw" not in source["url"] and "abc" not in source["url"]


def test_alerts_show_their_evidence_and_the_watch(client: TestClient) -> None:
    body = get(client, "/v1/alerts", state="firing")
    [alert] = body["alerts"]
    assert (alert["topic"], alert["state"], len(alert["story_ids"])) == ("banking", "firing", 2)
    assert body["watch"]["state"] == "learning"
    assert get(client, "/v1/alerts", state="resolved")["alerts"] == []


def test_texts_are_classified_in_order(client: TestClient) -> None:
    texts = [NEWS, "净利润同比增长四成", NEWS]
    answer = client.post("/v1/classify", json={"texts": texts})
    assert answer.status_code == 200
    first, second, third = answer.json()["labels"]
    assert first == third
    assert (first["labelled"], first["sentiment"], first["topic"]) == (True, "negative", "banking")
    assert (second["labelled"], second["sentiment"], second["topic"]) == (False, None, None)


def test_without_a_model_the_server_says_so_and_shows_what_it_has(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        assert client.get("/readyz").status_code == 503
        answer = client.post("/v1/classify", json={"texts": ["x"]})
        assert (answer.status_code, "promote" in answer.json()["detail"]) == (503, True)
        assert answer.headers["retry-after"]
        assert get(client, "/v1/stories")["stories"] == []


def test_a_promoted_model_takes_over_without_a_restart(settings: Settings, model: Any) -> None:
    app = create_app(settings.replace(refresh_seconds=0.05))
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 503
        Registry(settings.models_dir, KIND).promote(model)
        give_up = time.monotonic() + 20
        while client.get("/readyz").status_code != 200 and time.monotonic() < give_up:
            pass
        answer = client.post("/v1/classify", json={"texts": [NEWS]})
        assert answer.json()["labels"][0]["sentiment"] == "negative"


def test_keys_and_scopes_are_asked_for(filled: Settings) -> None:
    engine = make_engine(filled.database_url)
    with session_factory(engine).begin() as session:
        reader = create_key(session, api_keys, "reader", ["read"])
        other = create_key(session, api_keys, "other", ["write"])
    engine.dispose()
    with TestClient(create_app(filled)) as client:
        assert client.get("/v1/stories").status_code == 401
        assert client.get("/v1/stories", headers={"X-API-Key": other}).status_code == 403
        assert client.get("/v1/stories", headers={"X-API-Key": reader}).status_code == 200


HOSTILE_TEXTS = [
    "",
    " ",
    "\u0000",
    "a" * 9_999,
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "%_%",
    "🚀" * 100,
    "\u202eright to left\u202c",
    "مرحبا 你好 hello",
    "../../etc/passwd",
    "a\u0301" * 1000,
]
HOSTILE_QUERIES = [
    ("limit", "0"),
    ("limit", "-1"),
    ("limit", "100000000000000000000"),
    ("limit", "x"),
    ("limit", "NaN"),
    ("cursor", "x" * 150),
    ("cursor", "' --"),
    ("since", "yesterday"),
    ("since", "2026-01-01T00:00:00"),
    ("since", "0001-01-01T00:00:00+14:00"),
    ("since", "9999-12-31T23:59:59-14:00"),
    ("until", "0001-01-01T00:00:00Z"),
    ("until", "1e400"),
    ("sentiment", "furious"),
    ("state", "x"),
    ("bucket", "minute"),
    ("topic", "a" * 5_000),
    ("unknown", "x"),
]
PATHS = ["/v1/stories", "/v1/trends", "/v1/alerts", "/v1/sources"]


@pytest.mark.parametrize("path", PATHS)
def test_no_query_brings_a_server_down(client: TestClient, path: str) -> None:
    queries = HOSTILE_QUERIES + [(name, t) for t in HOSTILE_TEXTS for name in ("q", "topic")]
    for name, value in queries:
        answer = client.get(path, params={name: value})
        assert answer.status_code < 500, (name, value[:50], answer.text)
        if answer.status_code >= 400:
            assert set(answer.json()) >= {"type", "title", "status", "detail", "request_id"}


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_text_brings_a_server_down(client: TestClient, text: str) -> None:
    assert client.post("/v1/classify", json={"texts": [text]}).status_code in (200, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b'{"texts": []}',
        b'{"texts": "x"}',
        b'{"texts": [1]}',
        b'{"texts": [null]}',
        b'{"texts": ["x"], "more": 1}',
        b'{"texts": ["\\ud800"]}',
        b'{"texts": ["\\u0000"]}',
        b'{"texts": [NaN]}',
        b"\xff\xfe",
        b"[" * 5_000,
        json.dumps({"texts": ["x"] * 65}).encode(),
        json.dumps({"texts": ["x" * 10_001]}).encode(),
        b'{"texts": ["' + b"x" * 1_200_000 + b'"]}',
    ],
)
def test_no_body_brings_a_server_down(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
