"""What is told of trainings and of the live model, and how a server moves to the next one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from sqlalchemy import select

from core.artifacts import Registry, read_manifest, write_artifact
from core.db.engine import make_engine, session_factory
from core.inference.encoder import EncoderConfig
from services.recommender import training_store
from services.recommender.app import create_app
from services.recommender.cli import group
from services.recommender.metrics import EVERY_SECONDS
from services.recommender.model import KIND, load_encoder
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.tables import items
from services.recommender.training_store import Result
from tests.recommender.conftest import AFTER, Clock


@pytest.fixture(scope="module")
def other_encoder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with an encoder of another identity, and no embeddings brought along."""
    folder = tmp_path_factory.mktemp("other") / "model"
    manifest = read_manifest(model_folder)
    with write_artifact(folder) as draft:
        shutil.copytree(model_folder, draft.path, dirs_exist_ok=True)
        (draft.path / "manifest.json").unlink()
        config = EncoderConfig.load(draft.path / "encoder")
        EncoderConfig("another", config.base_model, config.max_length).save(draft.path / "encoder")
        items_json = draft.path / "items.json"
        items_json.write_text(items_json.read_text().replace('"digests": ["', '"digests": ["x'))
        draft.manifest = manifest
    return folder


def store_of(settings: Settings) -> Iterator[Any]:
    engine = make_engine(settings.database_url)
    yield session_factory(engine)
    engine.dispose()


@pytest.fixture
def sessions(stocked: Settings) -> Iterator[Any]:
    yield from store_of(stocked)


def test_a_training_is_asked_for_once_and_can_be_looked_at(client: TestClient) -> None:
    answer = client.post("/v1/trainings")
    assert answer.status_code == 202 and answer.json()["state"] == "asked"
    number = answer.json()["id"]
    assert client.post("/v1/trainings").json() == {"id": number, "state": "asked"}
    told = client.get(f"/v1/trainings/{number}").json()
    assert (told["cause"], told["state"], told["figures"]) == ("asked", "asked", {})
    listed = client.get("/v1/trainings").json()
    assert [one["id"] for one in listed["trainings"]] == [number]
    assert listed["next"]["cause"] == "asked" and listed["next"]["at"]
    missing = client.get("/v1/trainings/99999")
    assert missing.status_code == 404 and "GET /v1/trainings" in missing.json()["detail"]


def test_a_list_of_trainings_goes_on_where_it_ended(
    client: TestClient, sessions: Any, clock: Clock
) -> None:
    with sessions.begin() as session:
        for _ in range(3):
            number = training_store.ask(session, clock())
            training_store.finish(session, number, "failed", clock(), ["the disk is full"])
    seen, cursor = [], None
    while True:
        page = client.get("/v1/trainings", params={"limit": 2, "cursor": cursor}).json()
        seen += [one["id"] for one in page["trainings"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True) and len(seen) == 3
    assert page["trainings"][0]["reasons"] == ["the disk is full"]
    for wrong in ("-1", "abc", "0", "٣"):
        assert client.get("/v1/trainings", params={"cursor": wrong}).status_code == 422


def test_the_live_model_says_on_which_rung_it_stands_and_why(
    client: TestClient, sessions: Any, clock: Clock, model_folder: Path
) -> None:
    manifest = read_manifest(model_folder)
    told = client.get("/v1/model").json()
    assert told["model_version"] == manifest.identity
    assert told["rung"] in ("frozen", "adapter") and told["why"] and told["preset"] == "fast"
    assert told["data"]["items"] == 40 and told["items_without_vector"] == 0
    assert told["metrics"]["ndcg@10_ci"] and "ease" in told["metrics"]["baselines"]
    assert told["decision"] is None
    assert told["next"]["needed_positive_events"] == 1_000
    with sessions.begin() as session:
        number = training_store.ask(session, clock())
        result = Result(manifest.identity, AFTER, figures={"users": 30})
        training_store.keep(session, number, result)
        training_store.finish(session, number, "promoted", clock())
    told = client.get("/v1/model").json()
    assert told["decision"] == {"users": 30} and told["trained_until"].startswith("20")


def test_before_the_first_model_there_is_nothing_to_say_but_what_comes(
    settings: Settings, clock: Clock
) -> None:
    with TestClient(create_app(settings, now=clock)) as client:
        told = client.get("/v1/model").json()
        assert told["model_version"] is None and told["rung"] is None
        assert told["next"]["why"] == "there are no items"
        client.put("/v1/items", json={"item_id": "a", "title": "a tent"})
        assert client.get("/v1/model").json()["next"]["cause"] == "first"


def test_the_figures_are_there_for_prometheus(client: TestClient) -> None:
    assert EVERY_SECONDS > 1
    text = ""
    for _ in range(200):
        text = client.get("/metrics").text
        if "trefoil_recommender_items " in text:
            break
    assert "trefoil_recommender_items 40.0" in text
    assert "trefoil_recommender_items_without_vector 0.0" in text
    assert 'trefoil_recommender_trainings{state="failed"} 0.0' in text
    assert sum(f'rung="{rung}"}} 1.0' in text for rung in ("frozen", "adapter")) == 1


def test_the_command_asks_for_a_training(
    stocked: Settings, sessions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREFOIL_VAR", str(stocked.var_dir))
    done = CliRunner().invoke(group, ["retrain"], catch_exceptions=False)
    assert done.exit_code == 0 and "is asked for" in done.output
    with sessions() as session:
        assert training_store.standing(session, live=True).asked is not None


# --- the swap ------------------------------------------------------------------------------------


def test_a_server_moves_to_another_encoder_without_a_dropped_request_or_an_item_without_vector(
    stocked: Settings, clock: Clock, other_encoder: Path, sessions: Any
) -> None:
    stocked = stocked.replace(encode_at_start=5, refresh_seconds=0.05)
    seen: list[tuple[int, str, bool]] = []
    over = threading.Event()

    with TestClient(create_app(stocked, now=clock)) as client:
        models = client.app.state.parts.models

        def ask() -> None:
            while not over.is_set():
                answer = client.post("/v1/recommendations", json={"user_id": "u1", "n": 5})
                shelf = models.current().shelf()
                whole = bool(shelf.has_text[shelf.shown].all())
                version = answer.json().get("model_version", "")
                seen.append((answer.status_code, version, whole))

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask) for _ in range(2)]
            try:
                Registry(stocked.models_dir, KIND).promote(other_encoder)
                new = read_manifest(other_encoder).identity
                for _ in range(2_000):
                    over.wait(0.01)
                    if seen and seen[-1][1] == new:
                        break
            finally:
                over.set()
            for one in asking:
                one.result()
    assert {status for status, _, _ in seen} == {200}
    assert len({version for _, version, _ in seen}) == 2 and seen[-1][1] == new
    assert all(whole for _, _, whole in seen)
    with sessions() as session:
        assert session.execute(select(items)).first() is not None
    store = ItemStore(sessions, sessions)
    assert store.without_vector(load_encoder(other_encoder, 1).encoder_id, 100) == {}
