"""Items over the API: pictures, attributes, hidden ones, changes, pages, large batches."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from services.recommender.app import create_app
from services.recommender.settings import Settings
from services.recommender.store import ItemStore
from services.recommender.worker import Worker
from tests.recommender.conftest import Clock

ITEM = {
    "item_id": "lamp",
    "title": "Lamp for hiking",
    "image": "https://shop.example/lamp.jpg",
    "attributes": {"colour": "red", "lumen": 300, "kg": 0.2, "charged": True, "for": ["a", "b"]},
}


def put(client: TestClient, **values: object) -> dict:
    answer = client.put("/v1/items", json={**ITEM, **values})
    assert answer.status_code == 200, answer.text
    return client.get("/v1/items/lamp").json()


def patch(client: TestClient, item_id: str = "lamp", **values: object) -> dict:
    answer = client.patch(f"/v1/items/{item_id}", json=values)
    assert answer.status_code == 200, answer.text
    return answer.json()


def recommended(client: TestClient, **more: object) -> set[str]:
    body = {"user_id": "me", "n": 100, "allow_repeats": True, **more}
    answer = client.post("/v1/recommendations", json=body)
    assert answer.status_code == 200, answer.text
    return {item["item_id"] for item in answer.json()["items"]}


@pytest.fixture(scope="module")
def shared(stock: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One server for tests that do not mind what the others leave behind."""
    folder = tmp_path_factory.mktemp("items")
    shutil.copytree(stock.var_dir, folder, dirs_exist_ok=True)
    chosen = Settings(var_dir=folder, threads=1, rate_limit="")
    with TestClient(create_app(chosen, now=Clock())) as client:
        yield client


# --- fields ------------------------------------------------------------------------------------


def test_pictures_and_attributes_come_back_as_they_went_in(shared: TestClient) -> None:
    found = put(shared)
    assert {name: found[name] for name in ITEM} == ITEM and found["hidden"] is False
    assert found["attributes"]["charged"] is True


def test_html_becomes_text(shared: TestClient) -> None:
    found = put(
        shared,
        title="Lamp &amp; <b>battery</b>",
        description="<p>Bright.<br>Light.</p><script>alert(1)</script>",
    )
    assert found["title"] == "Lamp & battery" and found["description"] == "Bright. Light."


@pytest.mark.parametrize(
    "values",
    [
        {"title": "<script>alert(1)</script>"},
        {"title": "  "},
        {"image": "javascript:alert(1)"},
        {"image": "/lamp.jpg"},
        {"image": "https://shop.example/" + "x" * 2_000},
        {"attributes": {"a": {"b": 1}}},
        {"attributes": {"a": None}},
        {"attributes": {"": 1}},
        {"attributes": {"x" * 101: 1}},
        {"attributes": {"a": "x" * 1_001}},
        {"attributes": {"a": 2**53 + 1}},
        {"attributes": {"a": [1]}},
        {"attributes": {"a": ["x"] * 101}},
        {"attributes": {f"a{n}": n for n in range(51)}},
        {"hidden": "maybe"},
    ],
    ids=str,
)
def test_what_no_item_can_hold_is_refused(shared: TestClient, values: dict) -> None:
    answer = shared.put("/v1/items", json={**ITEM, **values})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"body.{next(iter(values))}")


@pytest.mark.parametrize("body", ["text", 7, None, [7], [[]], {}, [{}]], ids=repr)
def test_what_is_no_item_is_refused(shared: TestClient, body: object) -> None:
    assert shared.put("/v1/items", json=body).status_code == 422


# --- hidden ------------------------------------------------------------------------------------


def test_a_hidden_item_is_in_no_answer_until_it_is_shown_again(shared: TestClient) -> None:
    chosen = sorted(recommended(shared))[0]
    assert patch(shared, chosen, hidden=True)["hidden"] is True
    assert chosen not in recommended(shared)
    assert shared.get(f"/v1/items/{chosen}").json()["hidden"] is True
    patch(shared, chosen, hidden=False)
    assert chosen in recommended(shared)


def test_an_item_that_comes_hidden_is_shown_when_that_ends(shared: TestClient) -> None:
    put(shared, hidden=True)
    assert "lamp" not in recommended(shared)
    patch(shared, hidden=None)
    assert "lamp" in recommended(shared)


def test_an_upsert_that_says_nothing_of_it_leaves_an_item_hidden(shared: TestClient) -> None:
    put(shared, hidden=True)
    assert put(shared, price=3)["hidden"] is True
    assert put(shared, hidden=False)["hidden"] is False
    shared.patch("/v1/items/lamp", json={"hidden": True})
    shared.delete("/v1/items/lamp")
    assert put(shared)["hidden"] is False  # deleted, so it is a new one


# --- changes -----------------------------------------------------------------------------------


def test_only_the_named_fields_change(shared: TestClient) -> None:
    before = put(shared, price=9, tags=["x"])
    assert patch(shared, price=7.5) == {**before, "price": 7.5}
    assert patch(shared, price=None, tags=None) == {**before, "price": None, "tags": []}


def test_attributes_are_merged_and_null_takes_one_away(shared: TestClient) -> None:
    put(shared, attributes={"a": 1, "b": 2})
    assert patch(shared, attributes={"b": None, "c": 3})["attributes"] == {"a": 1, "c": 3}
    assert patch(shared, attributes=None)["attributes"] == {}
    many = {f"n{n}": n for n in range(50)}
    put(shared, attributes=many)
    answer = shared.patch("/v1/items/lamp", json={"attributes": {"one": 1}})
    assert answer.status_code == 413 and "null" in answer.json()["detail"]


def test_a_changed_text_gets_its_vector_and_an_unchanged_one_runs_no_model(
    shared: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shared)
    live = shared.app.state.parts.models.current()  # type: ignore[attr-defined]
    encoded: list[str] = []
    encode = live.encode

    async def counted(texts: list[str]) -> object:
        encoded.extend(texts)
        return await encode(texts)

    monkeypatch.setattr(live, "encode", counted)
    patch(shared, price=1, hidden=True, attributes={"colour": "blue"})
    assert encoded == []
    patch(shared, title="Torch")
    assert encoded == ["Torch"]


@pytest.mark.parametrize("body", [{}, {"titel": "x"}, {"title": None}, {"title": ""}, [], 7])
def test_a_change_that_says_nothing_or_nonsense_is_refused(
    shared: TestClient, body: object
) -> None:
    put(shared)
    assert shared.patch("/v1/items/lamp", json=body).status_code == 422
    assert shared.patch("/v1/items/nowhere", json={"price": 1}).status_code == 404


def test_changes_at_the_same_time_are_all_kept(shared: TestClient) -> None:
    put(shared, attributes={})
    threads = [
        threading.Thread(target=patch, args=(shared,), kwargs={"attributes": {f"a{n}": n}})
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shared.get("/v1/items/lamp").json()["attributes"]) == 4


# --- pages -------------------------------------------------------------------------------------


def test_all_items_are_on_the_pages_once(client: TestClient) -> None:
    patch(client, "hiking-sun-tent", hidden=True)
    client.delete("/v1/items/hiking-sun-map")
    ids: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/v1/items", params={"limit": 16, "cursor": cursor}).json()
        ids += [item["item_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(ids) == len(set(ids)) == 39
    assert "hiking-sun-tent" in ids and "hiking-sun-map" not in ids
    assert client.get("/v1/items", params={"limit": 0}).status_code == 422


# --- large batches -----------------------------------------------------------------------------


def sessions_of(settings: Settings) -> tuple[sessionmaker[Session], sessionmaker[Session]]:
    engine = make_engine(settings.database_url)
    return session_factory(engine), session_factory(engine, read_only=True)


def work(settings: Settings, clock: Clock) -> int:
    sessions, readers = sessions_of(settings)
    worker = Worker(settings, sessions, readers, owner="me", now=clock, stop=threading.Event())
    return worker.upload()


def test_a_large_batch_is_accepted_worked_off_and_its_bad_rows_are_named(
    client: TestClient, stocked: Settings, clock: Clock
) -> None:
    batch: list[object] = [
        {"item_id": f"n{n}", "title": f"tarp for hiking, number {n}"} for n in range(250)
    ]
    batch[120], batch[7] = {"item_id": "bad", "title": ""}, "nonsense"
    answer = client.put("/v1/items", json=batch)
    assert answer.status_code == 202
    accepted = answer.json()
    assert (accepted["state"], accepted["total"], accepted["done"]) == ("waiting", 250, 0)
    assert answer.headers["location"] == accepted["progress"]
    assert client.get("/v1/items/n0").status_code == 404
    clock.forward(minutes=1)
    assert work(stocked, clock) == 250
    told = client.get(accepted["progress"]).json()
    assert (told["state"], told["done"], told["failed"]) == ("done", 250, 2)
    assert [(e["line"], e["item_id"]) for e in told["errors"]] == [(8, None), (121, "bad")]
    assert "title" in told["errors"][1]["reason"]
    assert client.get("/v1/items", params={"limit": 1_000}).json()["items"][-1]["item_id"] == "n99"
    assert ItemStore(*sessions_of(stocked)).count() == 40 + 248
    live = client.app.state.parts.live()  # type: ignore[attr-defined]
    assert not ItemStore(*sessions_of(stocked)).without_vector(live.encoder_id, 9)
    assert recommended(client, item_ids=["n0", "bad"]) == {"n0"}


def test_more_than_an_upload_takes_is_refused(stocked: Settings, clock: Clock) -> None:
    chosen = stocked.replace(max_items_per_upload=150, max_waiting_uploads=1)
    batch = [{"item_id": f"n{n}", "title": "x"} for n in range(151)]
    with TestClient(create_app(chosen, now=clock)) as client:
        answer = client.put("/v1/items", json=batch)
        assert answer.status_code == 413 and "import" in answer.json()["detail"]
        assert client.put("/v1/items", json=batch[:101]).status_code == 202
        full = client.put("/v1/items", json=batch[:101])
        assert full.status_code == 503 and "worker" in full.json()["detail"]
        assert "retry-after" in full.headers
        assert client.get("/v1/uploads/nothing").status_code == 404
