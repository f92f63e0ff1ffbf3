"""Events of a page that is being left: the token in the body opens what it opens everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.recommender.app import create_app
from services.recommender.settings import Settings
from tests.recommender.conftest import Clock

TEXT = {"content-type": "text/plain;charset=UTF-8"}


@pytest.fixture
def session(client: TestClient) -> dict[str, Any]:
    answer = client.post("/v1/sessions")
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def beacon(client: TestClient, token: str, *events: dict[str, Any]) -> Any:
    body = json.dumps({"token": token, "events": events})
    return client.post("/v1/events/beacon", content=body, headers=TEXT)


def event(session: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"item_id": "baking-rain-oven", "event": "click", "event_id": "e1"}
    return {"session_id": session["session_id"], **given, **more}


def test_a_beacon_is_stored_once(client: TestClient, session: dict[str, Any]) -> None:
    sent = event(session)
    assert beacon(client, session["token"], sent).json()["accepted"] == 1
    assert beacon(client, session["token"], sent).json() == {
        "accepted": 0,
        "repeated": 1,
        "warnings": [],
    }


def test_it_is_for_its_own_session_alone(client: TestClient, session: dict[str, Any]) -> None:
    other = beacon(client, session["token"], event(session, session_id="another"))
    assert other.status_code == 403
    somebody = beacon(client, session["token"], event(session, user_id="u1"))
    assert somebody.status_code == 403


@pytest.mark.parametrize("token", ["", "ts_forged.x", "tf_key", "x" * 2500])
def test_a_token_that_is_none_opens_nothing(
    client: TestClient, session: dict[str, Any], token: str
) -> None:
    assert beacon(client, token, event(session)).status_code == 401


def test_a_token_that_is_over_opens_nothing(
    client: TestClient, clock: Clock, session: dict[str, Any]
) -> None:
    clock.forward(days=8)
    assert beacon(client, session["token"], event(session)).status_code == 401


@pytest.mark.parametrize(
    "body",
    ["", "no JSON", "[]", '{"token": "x"}', '{"token": 1, "events": []}', "[" * 100_000],
)
def test_what_is_no_beacon_is_refused(client: TestClient, body: str) -> None:
    answer = client.post("/v1/events/beacon", content=body, headers=TEXT)
    assert answer.status_code in (400, 422)


def test_too_many_events_are_refused(stocked: Settings, clock: Clock) -> None:
    for client in opened(stocked.model_copy(update={"max_events_per_request": 2}), clock):
        session = client.post("/v1/sessions").json()
        many = [event(session, event_id=str(n)) for n in range(3)]
        assert beacon(client, session["token"], *many).status_code in (413, 422)


def opened(settings: Settings, clock: Clock) -> Iterator[TestClient]:
    with TestClient(create_app(settings, now=clock)) as client:
        yield client
