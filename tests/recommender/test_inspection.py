"""One item for one shopper taken apart: parts that add up, what is behind, what keeps it out."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.recommender import retrieval


def inspected(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/inspections", json={"user_id": "u0", **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_parts_add_up_to_the_score_that_was_recommended_by(client: TestClient) -> None:
    listed = client.post("/v1/recommendations", json={"user_id": "u0", "n": 5}).json()["items"]
    for one in listed:
        item = inspected(client, item_id=one["item_id"])["item"]
        assert sum(item["signals"].values()) == pytest.approx(item["score"], abs=1e-4)
        assert item["score"] == pytest.approx(one["score"], abs=1e-3)
        assert item["place"] == one["rank"]
        assert item["obstacle"] is None


def test_without_an_item_it_is_the_first_of_the_list(client: TestClient) -> None:
    found = inspected(client)
    assert found["item"]["item_id"] == found["shown"][0]["item_id"]
    assert found["events"] > 0
    assert found["item"]["found_by"] == ["all"]
    assert found["item"]["place_by_score"] == 1


def test_the_history_has_shares_and_the_words_that_both_have(client: TestClient) -> None:
    client.post(
        "/v1/events", json={"session_id": "s", "item_id": "baking-rain-bowl", "event": "click"}
    )
    answer = client.post(
        "/v1/inspections", json={"session_id": "s", "item_id": "baking-sun-bowl"}
    ).json()
    [pull] = answer["item"]["pulls"]
    assert (pull["item_id"], pull["event"]) == ("baking-rain-bowl", "click")
    assert pull["text"] == pytest.approx(1.0)
    assert pull["words"][:2] == ["baking", "bowl"]


@pytest.mark.parametrize(
    ("rules", "change", "obstacle"),
    [
        ([{"kind": "block", "filter": {"item_id": "baking-rain-peel"}}], {}, "blocked"),
        ([], {"availability": "out_of_stock"}, "out_of_stock"),
    ],
)
def test_what_keeps_an_item_out_is_named(
    client: TestClient, rules: list[Any], change: dict[str, Any], obstacle: str
) -> None:
    client.put("/v1/rules", json={"rules": rules}).raise_for_status()
    if change:
        client.patch("/v1/items/baking-rain-peel", json=change).raise_for_status()
    answer = client.post(
        "/v1/inspections", json={"session_id": "new", "item_id": "baking-rain-peel"}
    ).json()
    assert answer["item"]["place"] is None
    assert answer["item"]["obstacle"] == obstacle


def test_what_was_taken_already_is_named(client: TestClient) -> None:
    event = {"session_id": "s", "item_id": "baking-rain-bowl", "event": "purchase"}
    client.post("/v1/events", json=event).raise_for_status()
    body = {"session_id": "s", "item_id": "baking-rain-bowl"}
    item = client.post("/v1/inspections", json=body).json()["item"]
    assert item["obstacle"] == "taken"


def test_rules_that_act_are_named_and_a_boost_is_a_part(client: TestClient) -> None:
    rules = [
        {"kind": "pin", "item_id": "hiking-sun-rope", "position": 1, "scenarios": ["home"]},
        {"kind": "boost", "filter": {"item_id": "hiking-sun-rope"}, "add": 0.7},
        {"kind": "cap", "field": "category", "most": 3},
    ]
    client.put("/v1/rules", json={"rules": rules}).raise_for_status()
    item = inspected(client, item_id="hiking-sun-rope", scenario="home", user_id="fresh")["item"]
    assert item["place"] == 1
    assert item["source"] == "pinned"
    assert item["signals"]["boost"] == pytest.approx(0.7)
    assert sum(item["signals"].values()) == pytest.approx(item["score"], abs=1e-4)
    assert [touch["kind"] for touch in item["touches"]] == ["boost", "pin", "cap"]


def test_in_a_large_shop_the_way_to_the_item_is_named(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "EXACT", 10)
    item = inspected(client)["item"]
    assert item["found_by"]
    assert set(item["found_by"]) <= {"text", "behaviour", "liked", "new"}


def test_an_inspection_is_no_answer_that_counts(client: TestClient) -> None:
    inspected(client)
    # It writes what waits, as it does when the server stops.
    client.app.state.parts.answers.stop()  # type: ignore[attr-defined]
    assert client.get("/v1/attribution").json()["groups"] == []


def test_nobody_and_an_unknown_item_are_refused(client: TestClient) -> None:
    assert client.post("/v1/inspections", json={}).status_code == 422
    body = {"user_id": "u0", "item_id": "nowhere"}
    assert client.post("/v1/inspections", json=body).status_code == 404


def test_the_version_before_is_live_again(client: TestClient) -> None:
    [only] = client.get("/v1/models").json()["models"]
    assert only["live"] is True
    assert client.post("/v1/models/rollback").status_code == 404
    desk = client.app.state.trainings  # type: ignore[attr-defined]
    desk.registry.promote(desk.registry.active().path)
    models = client.get("/v1/models").json()["models"]
    assert [(model["number"], model["live"]) for model in models] == [(2, True), (1, False)]
    back = client.post("/v1/models/rollback")
    assert back.json() == {"model_version": only["model_version"]}
    assert [m["live"] for m in client.get("/v1/models").json()["models"]] == [False, True]
