"""The service over HTTP with a real, tiny model."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from services.customer_service.app import create_app
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS, api_keys
from services.customer_service.understanding import KIND

Chat = Callable[..., dict[str, Any]]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEYS = {
    "conversation_id",
    "message_id",
    "action",
    "text",
    "intent",
    "confidence",
    "alternatives",
    "buttons",
    "sources",
    "parts",
    "slots",
    "model_version",
}


def eventually(holds: Callable[[], bool]) -> bool:
    """Ask until it holds, for at most some seconds; each question gives the process time."""
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            return False
    return True


def test_a_known_question_is_answered_from_its_template(chat: Chat) -> None:
    answer = chat("hello bot")
    assert set(answer) == KEYS
    assert (answer["action"], answer["intent"]) == ("answer", "greeting")
    assert answer["text"] == "Hello! How can I help?"
    assert answer["buttons"] == [{"title": "where is my order", "payload": "where is my order"}]
    assert len(answer["alternatives"]) == 3


def test_chinese_is_answered_in_chinese(chat: Chat) -> None:
    assert chat("你好 friends")["intent"] == "greeting"
    assert chat("你好")["text"] == "您好！"


def test_what_no_intent_fits_is_answered_from_an_article_with_its_source(chat: Chat) -> None:
    answer = chat("delete my account")
    assert answer["action"] == "retrieve"
    assert answer["sources"][0]["url"] == "https://shop.example/help/delete-account"
    assert answer["sources"][0]["quote"] in answer["text"]


def test_nonsense_is_not_answered(chat: Chat) -> None:
    assert chat("xyzzy plugh")["action"] == "abstain"


def test_a_conversation_is_read_back_as_it_went(client: TestClient, chat: Chat) -> None:
    first = chat("hello bot", channel="web", metadata={"page": "/"})
    identity = first["conversation_id"]
    second = chat("get me a human", conversation_id=identity)
    body = client.get(f"/v1/conversations/{identity}").json()
    assert [turn["message"] for turn in body["turns"]] == ["hello bot", "get me a human"]
    assert [turn["reply"] for turn in body["turns"]] == [first, second]
    assert (body["channel"], body["next_cursor"]) == ("web", None)
    page = client.get(f"/v1/conversations/{identity}?limit=1").json()
    rest = client.get(f"/v1/conversations/{identity}?limit=1&cursor={page['next_cursor']}").json()
    assert [turn["message"] for turn in rest["turns"]] == ["get me a human"]


def test_a_message_sent_twice_at_once_is_answered_once(client: TestClient, chat: Chat) -> None:
    def send(number: int) -> dict[str, Any]:
        return chat(f"hello bot {number}", conversation_id="c", message_id="m")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(client.get("/v1/conversations/c").json()["turns"]) == 1


def test_an_edited_answer_is_given_to_the_next_message(client: TestClient, chat: Chat) -> None:
    url = "/v1/admin/intents/greeting"
    stored = client.get(url).json()
    assert stored["trained"]
    edited = {"answers": {"en": ["Welcome!"]}, "handoff": False}
    assert client.put(url, json=edited).status_code == 200
    assert client.get(url).json()["answers"] == {"en": ["Welcome!"]}
    assert chat("hello bot")["text"] == "Welcome!"


def test_a_new_intent_is_reached_by_its_button_before_it_is_trained(
    client: TestClient, chat: Chat
) -> None:
    body = {"answers": {"en": ["On every weekday."]}}
    stored = client.put("/v1/admin/intents/faq/opening hours", json=body).json()
    assert not stored["trained"]
    assert chat("/faq/opening hours")["text"] == "On every weekday."


def test_an_edited_article_is_quoted_in_the_next_message(client: TestClient, chat: Chat) -> None:
    article = {
        "title": "Umbrella rental",
        "body": "One costs two euros a day.",
        "url": "/u",
    }
    assert chat("umbrella rental two euros a day")["action"] != "retrieve"
    stored = client.put("/v1/admin/articles/umbrella", json=article)
    assert stored.json() == {**article, "article_id": "umbrella", "lang": "en", "tags": []}
    answer = chat("umbrella rental two euros a day")
    assert answer["action"] == "retrieve"
    assert "two euros" in answer["text"]
    article["body"] = "One costs three euros a day."
    client.put("/v1/admin/articles/umbrella", json=article)
    assert "three euros" in chat("umbrella rental euros a day")["text"]


def test_a_change_in_one_process_is_seen_by_another(client: TestClient, shop: Settings) -> None:
    def text(other: TestClient) -> str:
        return str(other.post("/v1/chat", json={"message": "hello bot"}).json()["text"])

    with TestClient(create_app(shop), base_url="http://localhost") as other:
        client.put("/v1/admin/intents/greeting", json={"answers": {"en": ["Changed."]}})
        assert eventually(lambda: text(other) == "Changed.")


def test_a_search_encoder_of_its_own_is_used_for_articles_alone(
    make_settings: Callable[..., Settings], two_encoders: Path, shop_files: Path
) -> None:
    settings = make_settings()
    Registry(settings.models_dir, KIND).promote(two_encoders)
    run_import(settings, answers=None, articles=shop_files / "articles", now=lambda: NOW)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        body = client.post("/v1/chat", json={"message": "delete my account"}).json()
    assert body["action"] == "retrieve"
    assert body["sources"][0]["title"] == "Delete your account"


def test_readiness_names_the_model(client: TestClient) -> None:
    body = client.get("/readyz").json()
    assert body["status"] == "ready"
    assert {check["name"] for check in body["checks"]} == {"model", "database"}


def test_turns_are_counted_by_action(client: TestClient, chat: Chat) -> None:
    chat("hello bot")
    counted = 'trefoil_customer_service_turns_total{action="answer"} 1.0'
    assert counted in client.get("/metrics").text


def test_without_a_model_it_starts_and_says_what_to_do(
    make_settings: Callable[..., Settings],
) -> None:
    with TestClient(create_app(make_settings()), base_url="http://localhost") as client:
        assert client.get("/readyz").status_code == 503
        response = client.post("/v1/chat", json={"message": "hi"})
    assert response.status_code == 503
    assert "trefoil models promote" in response.json()["detail"]
    assert response.headers["retry-after"]


def test_without_answers_and_articles_it_does_not_make_any_up(
    make_settings: Callable[..., Settings], artifact: Path
) -> None:
    settings = make_settings()
    Registry(settings.models_dir, KIND).promote(artifact)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        body = client.post("/v1/chat", json={"message": "hello bot"}).json()
    assert (body["action"], body["intent"], body["buttons"]) == ("abstain", "greeting", [])


def test_a_promoted_model_takes_over_without_a_restart(
    client: TestClient, chat: Chat, shop: Settings, other_artifact: Path
) -> None:
    before = chat("hello bot")["model_version"]
    Registry(shop.models_dir, KIND).promote(other_artifact)
    assert eventually(lambda: chat("hello bot")["model_version"] != before)
    assert client.get("/readyz").json()["checks"][0]["ok"]


@pytest.fixture
def keyed(shop: Settings) -> Callable[[str], dict[str, str]]:
    """Make a key with one scope; the header that carries it."""
    engine = make_engine(shop.database_url)
    upgrade(engine, MIGRATIONS)

    def make(scope: str) -> dict[str, str]:
        with session_factory(engine).begin() as session:
            key = create_key(session, api_keys, scope, [scope])
        return {"authorization": f"Bearer {key}"}

    return make


def test_a_key_opens_what_its_scope_says_and_nothing_else(
    shop: Settings, keyed: Callable[[str], dict[str, str]]
) -> None:
    chat_key, admin_key = keyed("chat"), keyed("admin")
    with TestClient(create_app(shop), base_url="http://shop.example") as client:
        hello = {"message": "hello bot"}
        assert client.post("/v1/chat", json=hello).status_code == 401
        assert client.post("/v1/chat", json=hello, headers=chat_key).status_code == 200
        assert client.post("/v1/chat", json=hello, headers=admin_key).status_code == 403
        url = "/v1/admin/intents/greeting"
        assert client.get(url, headers=chat_key).status_code == 403
        assert client.get(url, headers=admin_key).status_code == 200
        assert client.get("/v1/conversations/c", headers=admin_key).status_code == 403
