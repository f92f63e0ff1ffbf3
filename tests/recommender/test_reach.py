"""What of the shop is shown and taken: the counting, and the figures of the endpoint."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from services.recommender import reach, reach_store
from services.recommender.reach import Done, Shown, tally
from tests.recommender.conftest import Clock

DAY = 86_400.0


def test_an_item_is_counted_once_an_answer() -> None:
    answers = [Shown("r1", DAY + 5, ["a", "b"]), Shown("r2", 2 * DAY + 5, ["a", "c"])]
    reactions = [
        Done("r1", "a", "click"),
        Done("r1", "a", "purchase"),
        Done("r1", "b", "impression"),
        Done("r2", "b", "click"),  # it did not stand there
        Done("r3", "a", "click"),  # no such answer
        Done("r2", "c", "refund"),
    ]
    found = tally(answers, reactions, {("a", "click"): 3, ("a", "view"): 9, ("d", "purchase"): 1})
    assert found.row("a") == reach.Row("a", shown=2, seen=0, clicked=1, wanted=3, bought=0)
    assert found.row("b") == reach.Row("b", shown=1, seen=1, clicked=0, wanted=0, bought=0)
    assert [(day.start, day.answers, day.clicked) for day in found.days] == [
        (DAY, 1, 1),
        (2 * DAY, 1, 0),
    ]
    assert [row.item_id for row in reach.top(found)] == ["a", "d"]
    assert reach.never_shown(found, ["a", "d", "e"]) == ["d", "e"]
    assert [row.item_id for row in reach.never_clicked(found, ["b", "c"])] == ["b", "c"]
    assert reach.top_tenth_share(found, 4) == 0.5


def test_without_answers_there_is_no_share() -> None:
    found = tally([], [], {})
    assert reach.top_tenth_share(found, 10) is None
    assert found.days == [] and reach.top(found) == []


def answered(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommendations", json={"user_id": "u0", "n": 4, **body})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_endpoint_tells_what_was_shown_and_what_never_was(
    client: TestClient, clock: Clock
) -> None:
    empty = client.get("/v1/reach").json()
    assert (empty["answers"], empty["coverage"], empty["never_shown_count"]) == (0, None, 40)
    answer = answered(client)
    event = {"user_id": "u0", "recommendation_id": answer["recommendation_id"], "position": 1}
    event |= {"item_id": answer["items"][0]["item_id"], "event": "click"}
    client.post("/v1/events", json=event).raise_for_status()
    # It writes what waits, as it does when the server stops.
    client.app.state.parts.answers.stop()  # type: ignore[attr-defined]
    clock.forward(seconds=reach_store.KEPT_SECONDS + 1)
    found = client.get("/v1/reach").json()
    assert found["coverage"] == 0.1
    assert found["clicked_share"] == 1 / 40
    assert found["never_shown_count"] == 36 and len(found["never_shown"]) == 12
    assert found["never_clicked_count"] == 3
    assert found["cut"] is False
    assert [(day["answers"], day["clicked"]) for day in found["by_day"]] == [(1, 1)]
    assert {row["title"] for row in found["top"]} != set()


def test_a_count_is_used_for_some_seconds(client: TestClient, clock: Clock) -> None:
    before = client.get("/v1/reach").json()
    client.put("/v1/items", json={"item_id": "z", "title": "Z"}).raise_for_status()
    assert client.get("/v1/reach").json() == before
    clock.forward(seconds=reach_store.KEPT_SECONDS + 1)
    now = client.get("/v1/reach").json()
    assert now["items"] == before["items"] + 1
    assert now["new_count"] == before["new_count"] + 1


def test_who_shopped_last_comes_first(client: TestClient, clock: Clock) -> None:
    event = {"item_id": "baking-rain-oven", "event": "view"}
    client.post("/v1/events", json={**event, "user_id": "late"}).raise_for_status()
    client.post("/v1/events", json={**event, "session_id": "nobody"}).raise_for_status()
    found = client.get("/v1/shoppers?limit=2").json()["shoppers"]
    assert found[0] == {"user_id": "late", "events": 1, "last_at": clock().timestamp()}
    assert len(found) == 2
