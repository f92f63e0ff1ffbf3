"""The endpoints, with a small trained model behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from services.recommender.app import create_app
from services.recommender.model import KIND
from services.recommender.rankers import PARTS
from services.recommender.settings import Settings
from services.recommender.tables import api_keys
from tests.recommender.conftest import AFTER, Clock


def ask(client: TestClient, user: str = "me", **body: object) -> list[dict]:
    answer = client.post("/v1/recommendations", json={"user_id": user, "n": 10, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def ids(items: list[dict]) -> list[str]:
    return [item["item_id"] for item in items]


def click(client: TestClient, item_id: str, user: str = "me", **more: object) -> dict:
    body = {"user_id": user, "item_id": item_id, "event": "click", "timestamp": AFTER - 60, **more}
    answer = client.post("/v1/events", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- recommendations ---------------------------------------------------------------------------


def test_an_answer_has_the_keys_of_the_contract(client: TestClient) -> None:
    click(client, "hiking-sun-tent")
    body = client.post("/v1/recommendations", json={"user_id": "me", "n": 3}).json()
    assert list(body) == ["recommendation_id", "model_version", "items"]
    assert len(body["items"]) == 3
    first = body["items"][0]
    assert list(first) == ["item_id", "rank", "score", "p_interest", "source", "reasons", "signals"]
    assert first["rank"] == 1 and 0 < first["p_interest"] < 1
    assert set(first["signals"]) == set(PARTS)


def test_every_answer_has_an_id_of_its_own(client: TestClient) -> None:
    answers = [client.post("/v1/recommendations", json={"user_id": "a"}).json() for _ in range(2)]
    assert answers[0]["recommendation_id"] != answers[1]["recommendation_id"]
    assert answers[0]["items"] == answers[1]["items"]


def test_an_event_changes_the_very_next_answer(client: TestClient) -> None:
    before = ids(ask(client))
    click(client, "hiking-sun-tent")
    after = ids(ask(client))
    assert after != before
    assert sum(item.startswith("hiking") for item in after) > 5
    assert "hiking-sun-tent" not in after


def test_new_items_are_in_the_very_next_answer_and_live_from_their_text(
    client: TestClient,
) -> None:
    click(client, "hiking-sun-tent")
    batch = [
        {"item_id": f"new-{kind}", "title": f"tarp for {kind} in the snow", "tags": [kind]}
        for kind in ("baking", "hiking")
    ]
    assert client.put("/v1/items", json=batch).json()["created"] == 2
    found = [item for item in ids(ask(client, n=100)) if item.startswith("new-")]
    assert found == ["new-hiking", "new-baking"]


def test_a_deleted_item_is_in_no_later_answer(client: TestClient) -> None:
    best = ask(client)[0]["item_id"]
    assert client.delete(f"/v1/items/{best}").json() == {"item_id": best, "deleted": True}
    assert best not in ids(ask(client, n=100))
    assert client.get(f"/v1/items/{best}").status_code == 404
    assert client.delete(f"/v1/items/{best}").status_code == 404


def test_an_anonymous_session_has_interests_too(client: TestClient) -> None:
    body = {"session_id": "s1", "item_id": "baking-sun-oven", "event": "add_to_cart"}
    assert client.post("/v1/events", json=body).json()["accepted"] == 1
    answer = client.post("/v1/recommendations", json={"session_id": "s1", "n": 6}).json()
    assert all(item["item_id"].startswith("baking") for item in answer["items"])


def test_a_refund_takes_the_interest_back(client: TestClient) -> None:
    before = ids(ask(client))
    click(client, "baking-sun-oven", event="purchase")
    assert ids(ask(client)) != before
    click(client, "baking-sun-oven", event="refund")
    after = ask(client)
    assert not any("baking" in reason["text"] for item in after for reason in item["reasons"])


def test_without_explanations_there_are_no_reasons(client: TestClient) -> None:
    click(client, "hiking-sun-tent")
    assert all(
        item["reasons"] == [] and item["signals"] == {} for item in ask(client, explain=False)
    )


def test_exclude_and_item_ids_bound_the_answer(client: TestClient) -> None:
    named = ["hiking-sun-map", "hiking-sun-rope", "nowhere"]
    assert ids(ask(client, item_ids=named, exclude=["hiking-sun-rope"])) == ["hiking-sun-map"]
    assert ask(client, item_ids=[]) == []


def test_more_than_the_setting_allows_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/recommendations", json={"user_id": "a", "n": 101})
    assert answer.status_code == 422 and "at most 100" in answer.json()["detail"]


# --- items -------------------------------------------------------------------------------------


def test_an_item_comes_back_as_it_went_in(client: TestClient) -> None:
    item = {
        "item_id": "a/b c",
        "title": "Tent",
        "description": "dry",
        "tags": ["x"],
        "category": "c",
        "brand": "b",
        "price": 9.5,
        "currency": "EUR",
        "availability": "preorder",
        "created_at": "2026-01-02T03:04:05Z",
        "item_group_id": "g",
    }
    client.put("/v1/items", json=item)
    found = client.get("/v1/items/a%2Fb%20c").json()
    assert {name: found[name] for name in item} == item
    assert found["first_seen_at"].startswith("2025-")


def test_a_list_of_items_is_stored_whole(client: TestClient) -> None:
    batch = [{"item_id": f"n{n}", "title": f"tent number {n}"} for n in range(100)]
    assert client.put("/v1/items", json=batch).json() == {
        "accepted": 100,
        "created": 100,
        "updated": 0,
        "unchanged": 0,
    }
    assert client.put("/v1/items", json=batch).json()["unchanged"] == 100


def test_an_id_twice_in_one_batch_is_refused(client: TestClient) -> None:
    answer = client.put("/v1/items", json=[{"item_id": "a", "title": "x"}] * 2)
    assert answer.status_code == 422 and "stands twice" in answer.json()["detail"]


# --- events ------------------------------------------------------------------------------------


def test_a_repeated_event_id_is_acknowledged_and_ignored(client: TestClient) -> None:
    first = click(client, "hiking-sun-tent", event_id="e1")
    second = click(client, "hiking-sun-tent", event_id="e1")
    assert first == {"accepted": 1, "repeated": 0, "warnings": []}
    assert second == {"accepted": 0, "repeated": 1, "warnings": []}


def test_events_without_an_id_are_each_their_own(client: TestClient) -> None:
    assert [click(client, "hiking-sun-tent")["accepted"] for _ in range(2)] == [1, 1]


def test_an_event_of_an_unknown_item_is_kept_and_warned_of(client: TestClient) -> None:
    answer = click(client, "later")
    assert answer["accepted"] == 1 and "'later' is not in the shop" in answer["warnings"][0]
    client.put(
        "/v1/items", json={"item_id": "later", "title": "tent for hiking", "tags": ["hiking"]}
    )
    assert "later" not in ids(ask(client, n=100))  # taken already: the event counts


def test_a_list_of_events_is_stored_whole_or_not_at_all(client: TestClient) -> None:
    good = {"user_id": "u", "item_id": "hiking-sun-tent", "event": "click", "event_id": "g"}
    answer = client.post("/v1/events", json=[good, {**good, "event": "teleport"}])
    assert answer.status_code == 422 and "event" in answer.json()["detail"]
    assert client.post("/v1/events", json=[good, good]).json() == {
        "accepted": 1,
        "repeated": 1,
        "warnings": [],
    }


def test_too_many_events_are_refused(client: TestClient) -> None:
    one = {"user_id": "u", "item_id": "a", "event": "view"}
    answer = client.post("/v1/events", json=[one] * 1_001)
    assert answer.status_code == 413 and "at most 1000" in answer.json()["detail"]


@pytest.mark.parametrize(
    "moment", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01", 1767225600]
)
def test_moments_are_read_as_iso_or_unix_seconds(client: TestClient, moment: object) -> None:
    assert click(client, "hiking-sun-tent", timestamp=moment)["accepted"] == 1


# --- similar -----------------------------------------------------------------------------------


def test_similar_items_are_of_the_same_kind(client: TestClient) -> None:
    body = client.get("/v1/similar/hiking-sun-tent", params={"n": 5}).json()
    assert body["item_id"] == "hiking-sun-tent" and len(body["items"]) == 5
    assert all(item["item_id"].startswith("hiking") for item in body["items"])


def test_nothing_is_similar_to_an_unknown_item(client: TestClient) -> None:
    assert client.get("/v1/similar/nowhere").status_code == 404


# --- the server --------------------------------------------------------------------------------


def test_two_processes_on_one_database_answer_alike(stocked: Settings, clock: Clock) -> None:
    with (
        TestClient(create_app(stocked, now=clock)) as one,
        TestClient(create_app(stocked, now=clock)) as two,
    ):
        ask(one), ask(two)
        click(one, "hiking-sun-tent")
        one.put("/v1/items", json={"item_id": "new", "title": "tent for hiking in the rain"})
        assert ask(one, n=40) == ask(two, n=40)
        two.delete("/v1/items/new")
        assert ask(one, n=40) == ask(two, n=40)
        assert "new" not in ids(ask(one, n=40))


def test_without_a_model_items_and_events_are_taken_and_asking_says_the_mend(
    settings: Settings, clock: Clock
) -> None:
    with TestClient(create_app(settings, now=clock)) as client:
        assert client.put("/v1/items", json={"item_id": "a", "title": "tent"}).status_code == 200
        assert click(client, "a")["accepted"] == 1
        assert client.get("/readyz").status_code == 503
        answer = client.post("/v1/recommendations", json={"user_id": "me"})
        assert answer.status_code == 503 and "models promote" in answer.json()["detail"]


def test_a_model_that_is_promoted_meanwhile_takes_over(
    settings: Settings, model_folder: Path, clock: Clock
) -> None:
    app = create_app(settings.replace(refresh_seconds=0.05), now=clock)
    with TestClient(app) as client:
        client.put("/v1/items", json={"item_id": "a", "title": "tent for hiking"})
        Registry(settings.models_dir, KIND).promote(model_folder)
        app.state.parts.models._next_look = 0.0
        app.state.parts.models.refresh()
        assert ids(ask(client)) == ["a"]
        assert client.get("/readyz").status_code == 200


@pytest.fixture
def guarded(stocked: Settings, clock: Clock) -> Iterator[dict[str, TestClient]]:
    """A client for each scope, once there are keys."""
    engine = make_engine(stocked.database_url)
    with session_factory(engine).begin() as session:
        keys = {
            scope: create_key(session, api_keys, scope, [scope])
            for scope in ("recommend", "events", "items")
        }
    engine.dispose()
    with TestClient(create_app(stocked, now=clock)) as client:
        yield {
            scope: TestClient(client.app, headers={"Authorization": f"Bearer {key}"})
            for scope, key in keys.items()
        }


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("recommend", "POST", "/v1/recommendations", {"user_id": "u"}),
        ("recommend", "GET", "/v1/similar/hiking-sun-tent", None),
        ("events", "POST", "/v1/events", {"user_id": "u", "item_id": "a", "event": "view"}),
        ("items", "PUT", "/v1/items", {"item_id": "x", "title": "x"}),
        ("items", "GET", "/v1/items/hiking-sun-tent", None),
        ("items", "GET", "/v1/items", None),
        ("items", "PATCH", "/v1/items/hiking-sun-tent", {"price": 1}),
        ("items", "DELETE", "/v1/items/hiking-sun-tent", None),
    ],
)
def test_a_key_opens_what_its_scope_says(
    guarded: dict[str, TestClient], scope: str, method: str, path: str, body: dict | None
) -> None:
    for name, client in guarded.items():
        if name != scope:
            assert client.request(method, path, json=body).status_code == 403
    assert guarded[scope].request(method, path, json=body).status_code == 200
