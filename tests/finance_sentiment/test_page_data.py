"""Do the endpoints that the pages live on answer what they say, and no more than they may?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from core.db.keys import create_key
from services.finance_sentiment import promise
from services.finance_sentiment.app import create_app
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import api_keys, story_companies
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.made_news import (
    Sessions,
    beat,
    calm,
    feed,
    keep,
    listen_to,
    made_database,
    story,
    surge,
    watch,
)


@pytest.fixture(autouse=True)
def quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 16)


@pytest.fixture
def sessions(settings: Settings) -> Sessions:
    return made_database(settings)


@pytest.fixture
def client(settings: Settings, sessions: Sessions) -> Iterator[TestClient]:
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        yield client


def learned(sessions: Sessions) -> None:
    keep(sessions, calm(NOW - timedelta(hours=4), 200))
    watch(sessions, NOW - timedelta(hours=4))


def test_the_overview_is_answered_from_an_empty_database_too(
    client: TestClient, sessions: Sessions
) -> None:
    assert client.get("/v1/overview").json()["state"] == "empty"
    learned(sessions)
    beat(sessions, NOW)
    seen = client.get("/v1/overview").json()
    assert (seen["state"], seen["promised_per_week"]) == ("watching", 1.0)
    assert {one["topic"] for one in seen["series"]} == {"banking", "energy"}


def test_shares_stand_beside_what_is_normal(client: TestClient, sessions: Sessions) -> None:
    learned(sessions)
    found = client.get("/v1/trends/normal", params={"days": 2, "bucket_hours": "6"}).json()
    assert found["bucket_hours"] == 6 and found["learned_until"] is not None
    for one in found["series"]:
        assert {len(one[name]) for name in ("stories", "negative", "expected", "low")} == {8}
        for low, expected, high in zip(one["low"], one["expected"], one["high"], strict=True):
            assert expected is None or low <= expected <= high
    # It is half past twelve: the bucket from 12 to 18 has begun.
    assert found["until"].startswith("2026-03-02T18:00")


def test_days_begin_at_the_readers_midnight(client: TestClient, sessions: Sessions) -> None:
    keep(sessions, [story(NOW.replace(hour=1)), story(NOW.replace(hour=9))])
    asked: dict[str, str | int] = {"days": 2, "bucket_hours": "24"}
    in_utc = client.get("/v1/trends/normal", params=asked).json()
    west = client.get("/v1/trends/normal", params=asked | {"offset_hours": -5}).json()
    assert in_utc["series"][0]["stories"] == [0, 2]
    assert west["series"][0]["stories"] == [1, 1]
    assert west["until"].startswith("2026-03-03T05:00")


def test_a_company_has_its_course_too(client: TestClient, sessions: Sessions) -> None:
    [one] = keep(sessions, [story(NOW - timedelta(hours=1))])
    with sessions.begin() as session:
        values = {"story_id": one, "company": "Acme", "basis": "story", "sentiment": "negative"}
        session.execute(insert(story_companies).values(values))
    [found] = client.get("/v1/trends/normal", params={"company": "Acme"}).json()["series"]
    assert (found["company"], found["topic"], sum(found["negative"])) == ("Acme", None, 1)


@pytest.mark.parametrize(
    "query", ["days=0", "days=40", "bucket_hours=5", "offset_hours=20", "colour=red"]
)
def test_what_cannot_be_meant_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/trends/normal?{query}").status_code == 422


def test_the_stories_of_an_alert_come_as_they_stand_now(
    client: TestClient, sessions: Sessions
) -> None:
    learned(sessions)
    keep(sessions, surge(NOW))
    watch(sessions, NOW)
    [alert] = client.get("/v1/alerts?state=firing").json()["alerts"]
    found = client.get(f"/v1/alerts/{alert['id']}/stories").json()["stories"]
    explained = client.get(f"/v1/alerts/{alert['id']}").json()["explanation"]["stories"]
    assert [one["id"] for one in found][: len(explained)] == [one["id"] for one in explained]
    assert all(one["url"] and one["sources"] for one in found)
    assert client.get("/v1/alerts/99/stories").status_code == 404


def test_what_each_feed_brought_is_counted_by_day(client: TestClient, sessions: Sessions) -> None:
    listen_to(sessions, feed(NOW, "A"), feed(NOW, "B"))
    rows = [story(NOW - timedelta(days=back), source_id=1) for back in (0, 0, 1, 13, 14)]
    keep(sessions, rows)
    found = client.get("/v1/sources/news").json()
    assert found["sources"] == [{"source_id": 1, "stories": [1, *[0] * 11, 1, 2]}]


def test_a_drill_is_played_and_told_as_a_test(client: TestClient, sessions: Sessions) -> None:
    assert client.post("/v1/drill", json={}).status_code == 503
    learned(sessions)
    done = client.post("/v1/drill", json={"topic": "energy", "negative_share": 1.0})
    assert done.status_code == 201
    shown = client.get(f"/v1/alerts/{done.json()['alert_id']}").json()
    assert (shown["is_test"], shown["topic"]) == (True, "energy")
    assert client.get(f"/v1/alerts/{shown['id']}/stories").json() == {"stories": []}
    assert client.post("/v1/drill", json={"topic": "nothing"}).status_code in (400, 422)
    assert client.post("/v1/drill", json={"hours": 49}).status_code == 422


def test_a_drill_needs_its_scope(settings: Settings, sessions: Sessions) -> None:
    with sessions.begin() as session:
        reader = create_key(session, api_keys, "reader", ["read"])
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        headers = {"X-API-Key": reader}
        assert client.get("/v1/overview", headers=headers).status_code == 200
        assert client.post("/v1/drill", headers=headers, json={}).status_code == 403
        assert client.get("/v1/backtest").status_code == 401


def test_a_backtest_is_to_be_asked_for_again_until_it_is_there(
    client: TestClient, sessions: Sessions
) -> None:
    keep(sessions, [*calm(NOW - timedelta(hours=4), 200), *surge(NOW)])
    answer = client.get("/v1/backtest")
    for _ in range(60):
        if answer.status_code == 200:
            break
        assert answer.status_code == 202 and answer.json()["state"] == "computing"
        answer = client.get("/v1/backtest")
    found = answer.json()
    assert found["state"] == "done" and found["result"]["topics"] == ["banking", "energy"]
    budgets = found["result"]["budgets"]
    assert [one["in_force"] for one in budgets] == [False, False, True, False, False]
    assert any(alert["topic"] == "banking" for alert in budgets[2]["alerts"])


def test_the_busiest_companies_are_those_with_news(settings: Settings, tmp_path: object) -> None:
    assert hasattr(tmp_path, "joinpath")
    listed = tmp_path.joinpath("companies.yaml")
    listed.write_text("- name: Quiet\n- name: Acme\n- name: Brick\n", encoding="utf-8")
    sessions = made_database(settings)
    ids = keep(sessions, [story(NOW - timedelta(hours=back)) for back in (1, 2, 3)])
    with sessions.begin() as session:
        for one, company in zip(ids, ("Brick", "Acme", "Brick"), strict=True):
            values = {"story_id": one, "company": company, "basis": "story"}
            session.execute(insert(story_companies).values(**values, sentiment="negative"))
    chosen = settings.model_copy(update={"companies": listed})
    with TestClient(create_app(chosen, now=lambda: NOW)) as client:
        found = client.get("/v1/companies?busiest=5").json()["companies"]
        assert [(one["name"], one["negative_week"]) for one in found] == [("Brick", 2), ("Acme", 1)]
        assert len(client.get("/v1/companies").json()["companies"]) == 3


@pytest.mark.parametrize("path", ["/", "/alerts/7", "/backtest", "/sources"])
def test_every_page_is_there_without_a_key(client: TestClient, path: str) -> None:
    page = client.get(path, headers={"Accept-Language": "zh"})
    assert page.status_code == 200 and 'lang="zh"' in page.text
    assert client.get("/alerts/none").status_code == 422
