"""What people thought of the answers, kept apart until somebody has looked at it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from core.errors import NotFound
from services.customer_service.feedback import FeedbackStore, Opinion
from services.customer_service.store import ConversationStore, Turn
from services.customer_service.tables import MIGRATIONS, api_keys

Chat = Callable[..., dict[str, Any]]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def opinion(answer: dict[str, Any], **values: Any) -> dict[str, Any]:
    about = {key: answer[key] for key in ("conversation_id", "message_id")}
    return {**about, "rating": "down", **values}


def test_an_opinion_is_kept_in_quarantine_with_what_it_is_about(
    client: TestClient, chat: Chat
) -> None:
    answer = chat("hello bot")
    body = opinion(answer, comment="I asked for a refund", correct_intent="refund")
    response = client.post("/v1/feedback", json=body)
    assert response.status_code == 200, response.text
    assert response.json() == {
        **body,
        "state": "quarantine",
        "created_at": "2026-03-01T12:00:00Z",
        "updated_at": "2026-03-01T12:00:00Z",
        "intent": "greeting",
        "action": "answer",
    }
    assert client.get("/v1/admin/feedback").json() == {
        "feedback": [{**response.json(), "id": 1}],
        "next_cursor": None,
    }


def test_a_later_opinion_takes_the_place_of_the_earlier(client: TestClient, chat: Chat) -> None:
    answer = chat("hello bot")
    for values in ({"comment": "Bad"}, {"comment": "Bad"}, {"rating": "up"}):
        client.post("/v1/feedback", json=opinion(answer, **values))
    [kept] = client.get("/v1/admin/feedback").json()["feedback"]
    assert (kept["rating"], kept["comment"]) == ("up", None)


def test_feedback_is_read_page_by_page(client: TestClient, chat: Chat) -> None:
    answers = [chat("hello bot") for _ in range(3)]
    for answer in answers:
        client.post("/v1/feedback", json=opinion(answer))
    first = client.get("/v1/admin/feedback?limit=2").json()
    rest = client.get(f"/v1/admin/feedback?limit=2&cursor={first['next_cursor']}").json()
    found = [one["message_id"] for one in first["feedback"] + rest["feedback"]]
    assert found == [answer["message_id"] for answer in answers]
    assert rest["next_cursor"] is None


def test_a_turn_that_is_not_there_has_no_opinion(client: TestClient, chat: Chat) -> None:
    answer = chat("hello bot")
    for wrong in ({"message_id": "nobody"}, {"conversation_id": "nobody"}):
        response = client.post("/v1/feedback", json=opinion(answer, **wrong))
        assert response.status_code == 404
        assert "message_id" in response.json()["detail"]


WRONG: list[dict[str, Any]] = [
    {"rating": "sideways"},
    {"rating": None},
    {"comment": "x" * 2001},
    {"correct_intent": ""},
    {"correct_intent": "x" * 101},
    {"stars": 5},
    {"conversation_id": "a b"},
]


def test_an_opinion_of_another_shape_is_refused(client: TestClient, chat: Chat) -> None:
    answer = chat("hi")
    for wrong in WRONG:
        response = client.post("/v1/feedback", json=opinion(answer, **wrong))
        assert response.status_code == 422, wrong


def test_chat_gives_feedback_and_admin_reads_it(client: TestClient, chat: Chat, shop: Any) -> None:
    answer = chat("hello bot")
    engine = make_engine(shop.database_url)
    with session_factory(engine).begin() as session:
        made = {scope: create_key(session, api_keys, scope, [scope]) for scope in ("chat", "admin")}
    keys = {scope: {"authorization": f"Bearer {key}"} for scope, key in made.items()}
    client.app.state.authenticator._in_use = (float("-inf"), False)  # asked anew
    for scope, given, read in (("chat", 200, 403), ("admin", 403, 200)):
        response = client.post("/v1/feedback", json=opinion(answer), headers=keys[scope])
        assert response.status_code == given
        assert client.get("/v1/admin/feedback", headers=keys[scope]).status_code == read


def test_feedback_goes_with_its_turn_on_either_database(database_url: str) -> None:
    engine = make_engine(database_url)
    upgrade(engine, MIGRATIONS)
    sessions, readers = session_factory(engine), session_factory(engine, read_only=True)
    conversations = ConversationStore(sessions, readers)
    store = FeedbackStore(sessions, readers, lambda: NOW)
    conversations.add(
        Turn(
            conversation_id="c",
            message_id="m",
            message="Help",
            action="abstain",
            intent=None,
            locale="en",
            reply={},
            created_at=NOW,
        ),
        "web",
    )
    with pytest.raises(NotFound):
        store.put(Opinion("c", "other", "up"))
    assert store.put(Opinion("c", "m", "up"))["rating"] == "up"
    assert store.put(Opinion("c", "m", "down", "no"))["comment"] == "no"
    assert len(store.page(limit=5, cursor=0)[0]) == 1
    conversations.delete_silent(NOW + timedelta(days=1), 10)
    assert store.page(limit=5, cursor=0) == ([], None)
    engine.dispose()
