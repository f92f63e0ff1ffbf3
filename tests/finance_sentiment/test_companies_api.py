"""Do the endpoints show which companies a story names, and what it says of each?"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.finance_sentiment.app import create_app
from services.finance_sentiment.schemas import Story
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.stories_csv import as_csv
from services.finance_sentiment.tables import MIGRATIONS, alerts, stories, story_companies
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.test_api import get
from tests.finance_sentiment.test_monitor import hour_now, story_row

LIST = """
- {name: Marrow, ticker: MRW, exchange: DEMO, aliases: [Marrow Bank]}
- {name: Vellmar}
"""
NEWS = "Marrow hit by losses as bad loans rise"


@pytest.fixture
def client(live_settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    path = tmp_path / "companies.yaml"
    path.write_text(LIST, encoding="utf-8")
    chosen = live_settings.model_copy(update={"companies": path})
    engine = make_engine(chosen.database_url)
    upgrade(engine, MIGRATIONS)
    with session_factory(engine).begin() as session:
        hours = (hour_now() - 1, hour_now() - 30)
        rows = [story_row(hour, f"Marrow {hour}", "negative") for hour in hours]
        session.execute(insert(stories), rows)
        of = {"company": "Marrow", "basis": "clause", "sentiment": "neutral", "p_neutral": 0.8}
        session.execute(insert(story_companies), [{"story_id": 1, **of}, {"story_id": 2, **of}])
        session.execute(insert(story_companies).values(
            story_id=1, company="Vellmar", basis="rule", sentiment="negative"))  # fmt: skip
        session.execute(insert(alerts).values(
            topic="company:Vellmar", detector="beta_binomial_cusum", evidence={}, story_ids=[1],
            started_at=NOW - timedelta(hours=1), raised_at=NOW))  # fmt: skip
    engine.dispose()
    with TestClient(create_app(chosen, now=lambda: NOW)) as client:
        yield client


def test_a_story_shows_its_companies_and_is_found_by_them(client: TestClient) -> None:
    [story] = get(client, "/v1/stories", company="Vellmar")["stories"]
    assert story["sentiment"] == "negative"
    told = {one["company"]: (one["sentiment"], one["basis"]) for one in story["companies"]}
    assert told == {"Marrow": ("neutral", "clause"), "Vellmar": ("negative", "rule")}
    assert len(get(client, "/v1/stories", company="Marrow")["stories"]) == 2
    assert get(client, "/v1/stories", company="Nobody")["stories"] == []


def test_stories_as_csv_hold_companies_and_no_formulas(client: TestClient) -> None:
    answer = client.get("/v1/stories", params={"format": "csv", "limit": 1})
    assert answer.headers["content-type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert row["companies"] == "Marrow=neutral|Vellmar=negative"
    assert row["sentiment"] == "negative" and row["p_negative"] == ""
    query = {"format": "csv", "cursor": answer.headers["x-next-cursor"]}
    following = client.get("/v1/stories", params=query)
    assert len(list(csv.DictReader(io.StringIO(following.text)))) == 1
    assert "x-next-cursor" not in following.headers
    story = Story(**get(client, "/v1/stories", company="Vellmar")["stories"][0])
    hostile = story.model_copy(update={"title": "=1+1", "sources": ["@a", "b"]})
    [row] = csv.DictReader(io.StringIO(as_csv([hostile])))
    assert (row["title"], row["sources"]) == ("'=1+1", "'@a|b")


def test_trends_of_a_company_count_the_sentiment_towards_it(client: TestClient) -> None:
    answer = get(client, "/v1/trends", company="Marrow")
    [trend] = answer["companies"]
    assert answer["topics"] == []
    assert (trend["company"], trend["stories"], trend["negative"]) == ("Marrow", 2, 0)
    assert trend["negative_share_corrected"] is None and len(trend["buckets"]) == 2
    assert get(client, "/v1/trends")["companies"] == []
    assert get(client, "/v1/trends", company="Marrow", topic="energy")["companies"] == []


def test_the_list_is_shown_with_the_news_of_late(client: TestClient) -> None:
    first, second = get(client, "/v1/companies")["companies"]
    assert (first["name"], first["ticker"], first["aliases"]) == ("Marrow", "MRW", ["Marrow Bank"])
    assert (first["stories_day"], first["stories_week"], first["negative_week"]) == (1, 2, 0)
    assert (second["stories_day"], second["negative_day"]) == (1, 1)


def test_an_alert_of_a_company_names_it_in_the_place_of_a_topic(client: TestClient) -> None:
    [alert] = get(client, "/v1/alerts", company="Vellmar")["alerts"]
    assert (alert["topic"], alert["company"]) == (None, "Vellmar")
    one = get(client, f"/v1/alerts/{alert['id']}")
    assert (one["topic"], one["company"]) == (None, "Vellmar")
    assert get(client, "/v1/alerts", company="Marrow")["alerts"] == []


def test_a_silence_may_name_a_company(client: TestClient) -> None:
    said = {
        "matchers": [{"name": "company", "value": "Vellmar"}],
        "starts_at": NOW.isoformat(),
        "ends_at": (NOW + timedelta(hours=1)).isoformat(),
        "created_by": "Ada",
    }
    made = client.post("/v1/silences", json=said)
    assert made.status_code == 201, made.text
    [alert] = get(client, "/v1/alerts")["alerts"]
    assert get(client, f"/v1/alerts/{alert['id']}")["silenced_by"] == [made.json()["id"]]


def test_classify_tells_of_companies(client: TestClient) -> None:
    answer = client.post("/v1/classify", json={"texts": [NEWS, "bank lifts profit"]}).json()
    first, second = answer["labels"]
    assert [one["company"] for one in first["companies"]] == ["Marrow"]
    assert first["companies"][0]["sentiment"] == first["sentiment"]
    assert second["companies"] == []
    both = "Marrow hit by losses, bank Vellmar lifts profit as lending margin widens"
    [label] = client.post("/v1/classify", json={"texts": [both]}).json()["labels"]
    assert [one["company"] for one in label["companies"]] == ["Marrow", "Vellmar"]
    assert "clause" in {one["basis"] for one in label["companies"]}


def test_without_a_list_nothing_is_said_of_companies(live_settings: Settings) -> None:
    engine = make_engine(live_settings.database_url)
    upgrade(engine, MIGRATIONS)
    engine.dispose()
    with TestClient(create_app(live_settings, now=lambda: NOW)) as client:
        assert get(client, "/v1/companies") == {"companies": []}
        [label] = client.post("/v1/classify", json={"texts": [NEWS]}).json()["labels"]
    assert label["companies"] is None
