"""What is sent to a Rasa server is understood, and answered field by field as it would.

The payloads are those of Rasa's documentation: REST channel, and "Parse a message" and "Status" of
the HTTP API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from core.web import Caller
from services.customer_service.app import create_app
from services.customer_service.channels import channel_of, check_may_open, conversation_id_of
from services.customer_service.channels.rasa import entities, responses
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS, api_keys
from services.customer_service.understanding import KIND

WEBHOOK = "/webhooks/rest/webhook"
DATES = """
slots:
  day: {kind: date}
  order_number: {pattern: 'LY-\\d{6}'}
intents: {greeting: {answers: {en: ["Hello!"]}}}
"""


@contextmanager
def served(folder: Path, artifact: Path, shop_files: Path) -> Iterator[TestClient]:
    """A service with the tiny shop, for tests of which none changes what another sees."""
    settings = Settings(var_dir=folder, threads=1)
    Registry(settings.models_dir, KIND).promote(artifact)
    run_import(
        settings,
        answers=shop_files / "intents.yaml",
        articles=None,
        now=lambda: datetime.now(UTC),
    )
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def client(
    artifact: Path, shop_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("rasa"), artifact, shop_files) as client:
        yield client


def test_a_message_to_the_rest_channel_is_answered_with_the_bots_messages(
    client: TestClient,
) -> None:
    body = {"sender": "test_user", "message": "hello bot"}
    assert client.post(WEBHOOK, json=body).json() == [
        {
            "recipient_id": "test_user",
            "text": "Hello! How can I help?",
            "buttons": [{"title": "where is my order", "payload": "where is my order"}],
        }
    ]


def test_members_that_rasa_knows_and_we_do_not_are_left_alone(client: TestClient) -> None:
    body = {
        "sender": 17,
        "message": "hello bot",
        "metadata": {"page": "/"},
        "input_channel": "rest",
        "stream": "false",
    }
    assert client.post(f"{WEBHOOK}?stream=false", json=body).json()[0]["recipient_id"] == "17"
    stored = client.get("/v1/conversations/rasa:17").json()
    assert stored["channel"] == "rasa"


def test_a_sender_goes_on_with_their_own_conversation(client: TestClient) -> None:
    for message in ("track my order", "LY-100200"):
        told = client.post(WEBHOOK, json={"sender": "anna", "message": message}).json()
    assert "LY-100200" in told[0]["text"]
    other = client.post(WEBHOOK, json={"sender": "ben", "message": "track my order"}).json()
    assert "LY-100200" not in other[0]["text"]


def test_those_without_a_sender_do_not_share_a_conversation(client: TestClient) -> None:
    first, second = (client.post(WEBHOOK, json={"message": "hello bot"}).json() for _ in range(2))
    assert first[0]["recipient_id"] != second[0]["recipient_id"]


def test_sources_and_handovers_follow_as_custom_messages() -> None:
    answer = {"text": "T", "buttons": [], "sources": [{"title": "A"}], "action": "handoff"}
    assert responses("bob", answer) == [
        {"recipient_id": "bob", "text": "T"},
        {"recipient_id": "bob", "custom": {"sources": [{"title": "A"}], "action": "handoff"}},
    ]


def test_a_text_is_parsed_and_nothing_is_stored(client: TestClient) -> None:
    body = {"text": "track order LY-100200", "message_id": "b2831e73-1407-4ba0-a861-0f30a42a2a5a"}
    parsed = client.post("/model/parse?emulation_mode=LUIS", json=body).json()
    assert (parsed["text"], parsed["message_id"]) == (body["text"], body["message_id"])
    assert set(parsed) == {"text", "message_id", "intent", "entities", "intent_ranking"}
    assert parsed["intent"] == parsed["intent_ranking"][0]
    assert parsed["intent"]["name"] == "order_status"
    assert 0.5 < parsed["intent"]["confidence"] <= 1.0
    assert len({one["name"] for one in parsed["intent_ranking"]}) == 4
    assert parsed["entities"] == [
        {
            "entity": "order_number",
            "value": "LY-100200",
            "start": 12,
            "end": 21,
            "confidence_entity": 1.0,
            "extractor": "RegexEntityExtractor",
        }
    ]


@pytest.mark.parametrize("text", ["tomorrow LY-100200", "at 5.4.", "五天后", "on 12/11/2026"])
def test_the_entities_are_the_slots_of_a_turn_that_begins_a_conversation(
    make_settings: Callable[..., Settings], artifact: Path, tmp_path: Path, text: str
) -> None:
    """Late in the evening in London it is tomorrow in Shanghai."""
    now = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    settings = make_settings(time_zone="Asia/Shanghai")
    Registry(settings.models_dir, KIND).promote(artifact)
    answers = tmp_path / "intents.yaml"
    answers.write_text(DATES, encoding="utf-8")
    run_import(settings, answers=answers, articles=None, now=lambda: now)
    with TestClient(create_app(settings, now=lambda: now), base_url="http://localhost") as client:
        turn = client.post("/v1/chat", json={"message": text}).json()
        parsed = client.post("/model/parse", json={"text": text}).json()
    found = {entity["entity"]: entity["value"] for entity in parsed["entities"]}
    assert found == turn["slots"]
    assert "day" in found
    if "tomorrow" in text:
        assert found == {"day": "2026-03-03", "order_number": "LY-100200"}


def test_an_intent_by_its_name_is_certain(client: TestClient) -> None:
    parsed = client.post("/model/parse", json={"text": "/refund"}).json()
    assert parsed["intent"] == {"name": "refund", "confidence": 1.0}


@pytest.mark.parametrize(
    ("text", "value", "span"),
    [
        ("LY-1 or LY-1", "LY-1", (8, 12)),
        ("to ANNA@shop.example now", "anna@shop.example", (3, 20)),
        ("next monday", "2026-03-02", (0, 11)),
        ("İİ LY-1", "LY-1", (0, 7)),
    ],
)
def test_an_entity_has_its_place_in_the_text_as_it_was_sent(
    text: str, value: str, span: tuple[int, int]
) -> None:
    [found] = entities(text, {"slot": value})
    assert (found["start"], found["end"]) == span


def test_the_status_names_the_live_model(client: TestClient) -> None:
    version = client.post("/v1/chat", json={"message": "hello bot"}).json()["model_version"]
    assert client.get("/status").json() == {
        "model_file": version,
        "model_id": version,
        "num_active_training_jobs": 0,
    }


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (WEBHOOK, {"sender": "a"}),
        (WEBHOOK, {"sender": "a", "message": ""}),
        (WEBHOOK, {"sender": "a" * 1001, "message": "hi"}),
        (WEBHOOK, {"sender": ["a"], "message": "hi"}),
        (WEBHOOK, {"sender": "a", "message": "x" * 4001}),
        (WEBHOOK, {"sender": "a", "message": "hi", "metadata": {"x": "y" * 10_001}}),
        (WEBHOOK, []),
        ("/model/parse", {}),
        ("/model/parse", {"text": " "}),
        ("/model/parse", {"text": "x" * 4001}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_read_is_refused(client: TestClient, url: str, body: Any) -> None:
    response = client.post(url, json=body)
    assert response.status_code == 422
    assert response.json()["detail"]


# --- whose conversation it is --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["bob", "a b", "", "../../x", "👍", "x" * 500, "sha256." + "0" * 64]
)
def test_any_name_becomes_an_id_of_its_channel_and_of_nobody_else(name: str) -> None:
    conversation_id = conversation_id_of("rasa", name)
    assert channel_of(conversation_id) == "rasa"
    assert len(conversation_id) <= 200
    others = {
        conversation_id_of("rasa", other) for other in ("alice", name + "x", "openai:" + name)
    }
    assert conversation_id not in others
    assert conversation_id != conversation_id_of("openai", name)


def test_a_name_cannot_pass_for_the_digest_of_another() -> None:
    long = conversation_id_of("rasa", "x" * 500)
    assert conversation_id_of("rasa", long.removeprefix("rasa:")) != long


@pytest.mark.parametrize("conversation_id", ["rasa", "c", "web:1", "Rasa:bob", ":rasa"])
def test_other_ids_belong_to_no_channel(conversation_id: str) -> None:
    assert channel_of(conversation_id) is None


@pytest.mark.parametrize(
    ("scopes", "opens"),
    [
        ({"chat"}, {"c"}),
        ({"rasa"}, {"rasa:bob"}),
        ({"chat", "rasa"}, {"c", "rasa:bob"}),
        ({"admin"}, {"rasa:bob", "chatwoot:1:2"}),
        ({"*"}, {"c", "rasa:bob", "chatwoot:1:2"}),
    ],
)
def test_a_key_opens_the_conversations_of_its_scopes(scopes: set[str], opens: set[str]) -> None:
    caller = Caller("key", frozenset(scopes))
    for conversation_id in ("c", "rasa:bob", "chatwoot:1:2"):
        if conversation_id in opens:
            check_may_open(caller, conversation_id)
        else:
            with pytest.raises(Exception, match="not open to you"):
                check_may_open(caller, conversation_id)


def test_a_name_alone_opens_no_other_channels_history(shop: Settings) -> None:
    engine = make_engine(shop.database_url)
    upgrade(engine, MIGRATIONS)
    with session_factory(engine).begin() as session:
        made = {scope: create_key(session, api_keys, scope, [scope]) for scope in ("chat", "rasa")}
    keys = {scope: {"authorization": f"Bearer {key}"} for scope, key in made.items()}
    with TestClient(create_app(shop), base_url="http://bot.example") as client:
        hello = {"sender": "bob", "message": "hello bot"}
        assert client.post(WEBHOOK, json=hello, headers=keys["rasa"]).status_code == 200
        url = "/v1/conversations/rasa:bob"
        assert client.get(url, headers=keys["rasa"]).status_code == 200
        assert client.get(url, headers=keys["chat"]).status_code == 403
        message = {"message": "hello bot", "conversation_id": "rasa:bob"}
        assert client.post("/v1/chat", json=message, headers=keys["chat"]).status_code == 403
        # The key of a channel opens that channel and nothing of ours.
        assert client.post("/v1/chat", json=message, headers=keys["rasa"]).status_code == 403
        assert client.get("/v1/conversations/c", headers=keys["rasa"]).status_code == 403
