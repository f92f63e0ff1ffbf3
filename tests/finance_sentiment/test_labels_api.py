"""Labels corrected over HTTP and on the command line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from core.artifacts import read_manifest
from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from services.finance_sentiment.app import create_app
from services.finance_sentiment.cli import group
from services.finance_sentiment.domain import Entry, Label
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import MIGRATIONS, api_keys
from tests.finance_sentiment.conftest import NOW

SAID = Label("old", "positive", "banking", 0.1, 0.2, 0.7, 0.9, True)
OPEN = ("Bank warns of losses", "Oil falls")
MakeClient = Callable[..., TestClient]


@pytest.fixture
def filled(live_settings: Settings) -> Settings:
    engine = make_engine(live_settings.database_url)
    upgrade(engine, MIGRATIONS)
    with session_factory(engine).begin() as session:
        incoming = [Incoming(Entry(title, "", title, "", NOW), SAID) for title in OPEN]
        add_stories(session, incoming, source="Wire", source_id=None, now=NOW)
    engine.dispose()
    return live_settings


@pytest.fixture
def make(filled: Settings) -> Iterator[MakeClient]:
    opened: list[TestClient] = []

    def make(**changed: Any) -> TestClient:
        client = TestClient(create_app(filled.replace(**changed), now=lambda: NOW))
        opened.append(client)
        return client.__enter__()

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def correction(**other: Any) -> dict[str, Any]:
    return {"story_id": 1, "sentiment": "negative", "by": "Ada"} | other


def test_a_correction_waits_is_accepted_and_shows_on_the_story(make: MakeClient) -> None:
    client = make()
    made = client.post("/v1/labels", json=correction(note="read it"))
    assert made.status_code == 201
    one = made.json()
    assert (one["state"], one["by"], one["note"], one["text"]) == (
        "quarantine", "Ada", "read it", "Bank warns of losses",
    )  # fmt: skip
    assert one["was"]["sentiment"] == "positive"
    listed = client.get("/v1/labels?state=quarantine").json()
    assert listed == {"labels": [one], "next_cursor": None}
    done = client.post(f"/v1/labels/{one['id']}/accept", json={"by": "Bo"}).json()
    assert (done["state"], done["decided_by"]) == ("accepted", "Bo")
    story = next(s for s in client.get("/v1/stories").json()["stories"] if s["id"] == 1)
    assert (story["sentiment"], story["topic"], story["model_version"]) == (
        "negative", "banking", "person",
    )  # fmt: skip
    back = client.post(f"/v1/labels/{one['id']}/reject")
    assert back.json()["state"] == "rejected"
    assert client.get("/v1/stories?sentiment=negative").json()["stories"] == []


def test_for_a_desk_of_one_corrections_may_be_taken_at_once(make: MakeClient) -> None:
    client = make(accept_labels_at_once=True)
    assert client.post("/v1/labels", json=correction()).json()["state"] == "accepted"
    assert client.post("/v1/labels", json=correction(sentiment="neutral")).status_code == 201
    [story] = client.get("/v1/stories?sentiment=neutral").json()["stories"]
    assert story["id"] == 1


def test_a_text_of_its_own_can_be_labelled(make: MakeClient) -> None:
    client = make()
    body = {"text": "Rain floods the fields", "sentiment": "negative", "by": "Ada"}
    assert client.post("/v1/labels", json=body).json()["story_id"] is None
    flagged = client.post("/v1/labels", json={**body, "topic": "weather", "new_topic": True})
    assert flagged.json()["new_topic"] is True


def test_contradictions_are_shown_on_both_sides(make: MakeClient) -> None:
    client = make()
    first = client.post("/v1/labels", json=correction()).json()["id"]
    other = client.post("/v1/labels", json=correction(sentiment="neutral", by="Cy")).json()
    assert other["conflicts"] == [first]
    shown = client.get("/v1/labels?story_id=1&limit=1").json()
    assert shown["labels"][0]["id"] == other["id"]
    [rest] = client.get(f"/v1/labels?limit=1&cursor={shown['next_cursor']}").json()["labels"]
    assert (rest["id"], rest["conflicts"]) == (first, [other["id"]])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (correction(story_id=99), 404),
        (correction(sentiment=None), 422),
        (correction(sentiment="awful"), 422),
        (correction(topic="weather"), 422),
        (correction(topic=" "), 422),
        (correction(topic="x" * 101, new_topic=True), 422),
        (correction(text="and a text"), 422),
        (correction(story_id=None), 422),
        (correction(by=""), 422),
        (correction(note="x" * 1001), 422),
        (correction(story_id=-1), 422),
        (correction(colour="red"), 422),
        ({"text": "x" * 10_001, "sentiment": "neutral", "by": "Ada"}, 422),
    ],
)
def test_what_cannot_be_a_correction_is_refused(
    make: MakeClient, body: dict[str, Any], status: int
) -> None:
    client = make()
    answer = client.post("/v1/labels", json=body)
    assert answer.status_code == status, answer.text
    assert client.get("/v1/labels").json()["labels"] == []


def test_a_topic_that_nobody_knows_is_answered_with_those_that_are(make: MakeClient) -> None:
    answer = make().post("/v1/labels", json=correction(topic="weather")).json()
    assert "banking, energy" in answer["detail"] and "new_topic" in answer["detail"]


def test_corrections_have_a_scope_of_their_own(make: MakeClient, filled: Settings) -> None:
    engine = make_engine(filled.database_url)
    with session_factory(engine).begin() as session:
        keys = {
            scope: create_key(session, api_keys, scope, [scope], now=NOW)
            for scope in ("read", "labels")
        }
    engine.dispose()
    client = make()

    def ask(method: str, path: str, scope: str, **more: Any) -> int:
        headers = {"Authorization": f"Bearer {keys[scope]}"}
        return client.request(method, path, headers=headers, **more).status_code

    assert ask("POST", "/v1/labels", "read", json=correction()) == 403
    assert ask("POST", "/v1/labels", "labels", json=correction()) == 201
    assert ask("GET", "/v1/labels", "read") == 200
    for verb in ("accept", "reject"):
        assert ask("POST", f"/v1/labels/1/{verb}", "read") == 403
        assert ask("POST", f"/v1/labels/1/{verb}", "labels") == 200
    assert ask("POST", "/v1/labels/77/accept", "labels") == 404


def test_what_waits_for_training_and_for_the_model_can_be_seen(make: MakeClient) -> None:
    client = make(retrain_after=5)
    client.post("/v1/labels", json=correction())
    client.post("/v1/labels/1/accept")
    told = client.get("/v1/labels/retraining").json()
    assert (told["waiting"], told["retrain_after"], told["trainings"]) == (1, 5, [])
    assert told["corrections"] == {"quarantine": 0, "accepted": 1, "rejected": 0}
    left = client.get("/v1/labels/relabelling").json()
    assert (left["left"], left["older"], left["last"]) == (1, 0, None)
    client.app.state.figures.refresh()  # type: ignore[attr-defined]
    metrics = client.get("/metrics").text
    assert 'trefoil_news_corrections{state="waiting_for_training"} 1.0' in metrics


# --- the command line ----------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(one) for one in arguments])


@pytest.fixture
def desk(make: MakeClient, filled: Settings, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("TREFOIL_FINANCE_SENTIMENT_DATABASE_URL", filled.database_url)
    monkeypatch.setenv("TREFOIL_VAR", str(filled.var_dir))
    monkeypatch.setenv("TREFOIL_FINANCE_SENTIMENT_THREADS", "1")
    return make()


def test_corrections_are_listed_decided_and_exported(desk: TestClient, tmp_path: Path) -> None:
    desk.post("/v1/labels", json=correction(topic="energy"))
    desk.post("/v1/labels", json=correction(story_id=2, by="Cy"))
    desk.post("/v1/labels", json={"text": "a@b.example fails", "sentiment": "neutral", "by": "A"})
    listed = run("labels", "list")
    assert listed.exit_code == 0, listed.output
    assert "story 1: negative energy (was positive banking), says Ada: Bank warns" in listed.output
    assert run("labels", "accept", 1, 2, 3, "--by", "Bo").output == "accepted: 1, 2, 3\n"
    path = tmp_path / "corrected.csv"
    told = run("labels", "export", "--output", path)
    assert "2 corrections" in told.output and "1 left out" in told.output
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["text", "sentiment", "topic"],
            ["Bank warns of losses", "negative", "energy"],
            ["Oil falls", "negative", "banking"],
        ]
    assert run("labels", "reject", 2).exit_code == 0
    assert "2 rejected" in run("labels", "list", "--state", "all").output
    assert run("labels", "list").output == "no corrections in the state quarantine\n"


def test_a_decision_about_several_is_made_for_all_or_none(desk: TestClient) -> None:
    desk.post("/v1/labels", json=correction())
    failed = run("labels", "accept", 1, 77)
    assert "there is no correction 77" in str(failed.exception)
    assert desk.get("/v1/labels").json()["labels"][0]["state"] == "quarantine"


def test_train_takes_the_accepted_corrections_in(
    desk: TestClient, news_csv: Path, base_model: Path, tmp_path: Path
) -> None:
    desk.post("/v1/labels", json=correction())
    desk.post("/v1/labels", json=correction(story_id=2))
    desk.post("/v1/labels/1/accept")
    said = run(
        "train", "--data", news_csv, "--output", tmp_path / "model", "--preset", "fast",
        "--base-model", base_model, "--corrections",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    manifest = read_manifest(tmp_path / "model")
    assert manifest.settings["corrections"] == {"learned": 1, "outweighed": 0}
