"""We are the agent bot of a Chatwoot: its documented events come in, our calls go out."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from core.db.engine import make_engine, session_factory
from core.errors import SettingsError
from services.customer_service.app import create_app
from services.customer_service.channels.chatwoot import Courier, Event, proven
from services.customer_service.settings import Settings
from services.customer_service.tables import outbox

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "a-secret-of-thirty-characters-"
TALK = "/api/v1/accounts/1/conversations/10"


class Chatwoot(ThreadingHTTPServer):
    """Takes calls on loopback and remembers them; `status` is what it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    server: Chatwoot

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append((self.path, headers, json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def chatwoot() -> Iterator[Chatwoot]:
    server = Chatwoot()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(shop: Settings, chatwoot: Chatwoot) -> Settings:
    port = chatwoot.server_address[1]
    return shop.replace(
        chatwoot_url=f"http://127.0.0.1:{port}/",
        chatwoot_token="bot-token",
        chatwoot_secret=SECRET,
        fetch_allow=(f"127.0.0.1:{port}",),
    )


@pytest.fixture
def desk(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, now=lambda: NOW), base_url="http://bot.example") as client:
        yield client


def event(**values: Any) -> dict[str, Any]:
    """`message_created` as in Chatwoot's documentation, shortened where it only repeats itself."""
    body: dict[str, Any] = {
        "id": 118,
        "content": "hello bot",
        "created_at": "2021-07-23T18:02:48.000Z",
        "message_type": "incoming",
        "content_type": "text",
        "private": False,
        "content_attributes": {},
        "source_id": None,
        "sender": {"id": 14, "name": "little-haze-776", "avatar": "", "type": "contact"},
        "inbox": {"id": 1, "name": "Acme Support"},
        "conversation": {
            "additional_attributes": {"referer": "http://localhost:3000/widget_tests"},
            "can_reply": True,
            "channel": "Channel::WebWidget",
            "id": 10,
            "inbox_id": 1,
            "meta": {"sender": {"id": 14, "type": "contact"}, "assignee": None},
            "status": "pending",
            "unread_count": 1,
            "timestamp": 1627063369,
        },
        "account": {"id": 1, "name": "Acme Inc"},
        "event": "message_created",
    }
    talk = {**body["conversation"], **values.pop("conversation", {})}
    return {**body, **values, "conversation": talk}


def signature(body: bytes, secret: str = SECRET, at: datetime = NOW) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    signed = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-chatwoot-timestamp": stamp,
        "x-chatwoot-signature": f"sha256={signed}",
    }


def send(client: TestClient, body: Any) -> str:
    content = json.dumps(body).encode()
    response = client.post("/webhooks/chatwoot", content=content, headers=signature(content))
    assert response.status_code == 200, response.text
    return str(response.json()["status"])


def sent(client: TestClient, chatwoot: Chatwoot) -> list[tuple[str, Any]]:
    """What Chatwoot was told, once everything is sent."""
    client.app.state.desk.courier._thread.submit(lambda: None).result()
    return [(path, body) for path, _, body in chatwoot.calls]


def test_a_customers_message_is_answered_in_its_conversation(
    desk: TestClient, chatwoot: Chatwoot
) -> None:
    assert send(desk, event()) == "answered"
    items = [{"title": "where is my order", "value": "where is my order"}]
    assert sent(desk, chatwoot) == [
        (
            f"{TALK}/messages",
            {
                "content": "Hello! How can I help?",
                "message_type": "outgoing",
                "private": False,
                "content_type": "input_select",
                "content_attributes": {"items": items},
            },
        )
    ]
    headers = chatwoot.calls[0][1]
    assert headers["api_access_token"] == "bot-token"
    assert headers["idempotency-key"] == "chatwoot:1:10:118:answer"


def test_an_event_that_comes_twice_is_answered_once(desk: TestClient, chatwoot: Chatwoot) -> None:
    for _ in range(3):
        send(desk, event())
    assert len(sent(desk, chatwoot)) == 1


def test_a_handover_is_said_and_opens_the_conversation(
    desk: TestClient, chatwoot: Chatwoot
) -> None:
    assert send(desk, event(content="get me a human")) == "handed over"
    first, second = sent(desk, chatwoot)
    assert first[1]["content"] == "A colleague takes over."
    assert second == (f"{TALK}/toggle_status", {"status": "open"})


def test_what_a_bot_cannot_read_goes_to_a_person(desk: TestClient, chatwoot: Chatwoot) -> None:
    unreadable = (None, "", " ", "\u200b", "x" * 4001)
    for number, content in enumerate(unreadable, 200):
        assert send(desk, event(id=number, content=content)) == "handed over"
    opened = (f"{TALK}/toggle_status", {"status": "open"})
    assert sent(desk, chatwoot) == [opened] * len(unreadable)


def test_a_pressed_button_is_what_the_customer_says(desk: TestClient, chatwoot: Chatwoot) -> None:
    chosen = [{"title": "Talk to a person", "value": "/talk_to_human"}]
    pressed = event(
        id=119,
        event="message_updated",
        message_type="outgoing",
        content_type="input_select",
        content_attributes={"items": chosen, "submitted_values": chosen},
    )
    assert send(desk, pressed) == "handed over"
    assert sent(desk, chatwoot)[0][1]["content"] == "A colleague takes over."


OTHERS: list[dict[str, Any]] = [
    {"conversation": {"status": "open"}},
    {"conversation": {"status": "resolved"}},
    {"message_type": "outgoing"},
    {"message_type": 1},
    {"private": True},
    {"event": "message_updated"},
    {"event": "message_updated", "content_type": "input_select"},
    {"event": "conversation_opened"},
    {"event": "webwidget_triggered"},
    {"account": None},
    {"id": None},
]


def test_everything_else_is_left_alone(desk: TestClient, chatwoot: Chatwoot) -> None:
    for values in OTHERS:
        assert send(desk, event(**values)) == "ignored", values
    assert sent(desk, chatwoot) == []


def test_the_conversation_is_kept_under_its_channel(desk: TestClient, settings: Settings) -> None:
    send(desk, event())
    with TestClient(create_app(settings), base_url="http://localhost") as local:
        stored = local.get("/v1/conversations/chatwoot:1:10").json()
    assert stored["channel"] == "chatwoot"
    assert stored["turns"][0]["message_id"] == "1:10:118"


# --- who sends it --------------------------------------------------------------------------------


def test_an_event_that_is_not_signed_is_refused(desk: TestClient, chatwoot: Chatwoot) -> None:
    content = json.dumps(event()).encode()
    right = signature(content)
    for headers in (
        {"content-type": "application/json"},
        signature(content, secret="another-secret-altogether"),
        signature(content + b" "),
        signature(content, at=NOW - timedelta(seconds=301)),
        {**right, "x-chatwoot-timestamp": "soon"},
        {**right, "x-chatwoot-signature": "é".encode("latin-1")},
    ):
        assert desk.post("/webhooks/chatwoot", content=content, headers=headers).status_code == 401
    assert sent(desk, chatwoot) == []


def test_a_chatwoot_that_does_not_sign_ends_the_path_with_the_secret(desk: TestClient) -> None:
    assert desk.post(f"/webhooks/chatwoot/{SECRET}", json=event()).status_code == 200
    assert desk.post("/webhooks/chatwoot/wrong", json=event()).status_code == 401
    assert desk.post("/webhooks/chatwoot/é", json=event()).status_code == 401


def test_a_signature_is_that_of_time_and_body() -> None:
    headers = signature(b"{}")
    assert proven(SECRET, b"{}", headers, NOW.timestamp())
    assert not proven(SECRET, b"{ }", headers, NOW.timestamp())


def test_without_a_chatwoot_there_is_no_such_endpoint(client: TestClient) -> None:
    response = client.post("/webhooks/chatwoot", json=event())
    assert response.status_code == 404
    assert "CHATWOOT_URL" in response.json()["detail"]


@pytest.mark.parametrize("missing", ["chatwoot_url", "chatwoot_token", "chatwoot_secret"])
def test_half_a_set_up_does_not_start(settings: Settings, missing: str) -> None:
    half = settings.replace(**{missing: ""})
    with pytest.raises(SettingsError, match="Set all three"), TestClient(create_app(half)):
        pass


@pytest.mark.parametrize(
    "values", [{"chatwoot_url": "chat.example"}, {"chatwoot_secret": "short"}], ids=str
)
def test_settings_that_cannot_work_are_told(
    make_settings: Callable[..., Settings], values: dict[str, str]
) -> None:
    with pytest.raises(SettingsError, match="CHATWOOT_"):
        make_settings(**values)


SHAPES: list[Any] = [
    [],
    {},
    {"event": 5},
    {"event": "x" * 101},
    event(id=-1),
    event(id=2**63),
    event(id="../../x"),
    event(account={"id": "1/../2"}),
]


def test_an_event_of_another_shape_is_refused(desk: TestClient) -> None:
    for body in SHAPES:
        content = json.dumps(body).encode()
        response = desk.post("/webhooks/chatwoot", content=content, headers=signature(content))
        assert response.status_code == 422, body


def test_numbers_may_come_as_texts() -> None:
    body = event(id="1", account={"id": "2"}, conversation={"id": "3"})
    read = Event.model_validate(body)
    assert read.account is not None
    assert read.conversation is not None
    assert (read.id, read.account.id, read.conversation.id) == (1, 2, 3)


# --- at least once -------------------------------------------------------------------------------


def test_what_could_not_be_sent_is_sent_later(
    desk: TestClient, chatwoot: Chatwoot, settings: Settings
) -> None:
    chatwoot.status = 500
    send(desk, event())
    assert len(sent(desk, chatwoot)) == 1
    chatwoot.status = 200
    sessions = session_factory(make_engine(settings.database_url))
    courier = Courier(settings, sessions, lambda: NOW + timedelta(minutes=1))
    assert courier.send_due() == 1
    assert courier.send_due() == 0
    courier.stop()
    assert chatwoot.calls[0][2] == chatwoot.calls[1][2]
    assert chatwoot.calls[0][1]["idempotency-key"] == chatwoot.calls[1][1]["idempotency-key"]


def test_a_late_answer_is_not_said_and_a_late_handover_still_opens(
    desk: TestClient, chatwoot: Chatwoot, settings: Settings
) -> None:
    chatwoot.status = 500
    send(desk, event(content="get me a human"))
    before = len(sent(desk, chatwoot))
    chatwoot.status = 200
    sessions = session_factory(make_engine(settings.database_url))
    courier = Courier(settings, sessions, lambda: NOW + timedelta(minutes=11))
    assert courier.send_due() == 1
    courier.stop()
    assert [path for path, _, _ in chatwoot.calls[before:]] == [f"{TALK}/toggle_status"]
    with sessions() as session:
        assert sorted(session.scalars(select(outbox.c.state))) == ["dead", "sent"]


def test_a_chatwoot_in_a_private_network_must_be_named(
    settings: Settings, chatwoot: Chatwoot
) -> None:
    hidden = settings.replace(fetch_allow=())
    with TestClient(create_app(hidden, now=lambda: NOW), base_url="http://bot.example") as client:
        send(client, event())
        assert sent(client, chatwoot) == []
    with session_factory(make_engine(settings.database_url))() as session:
        [reason] = session.scalars(select(outbox.c.last_error))
    assert "FETCH_ALLOW" in reason


def test_what_was_sent_is_forgotten_after_a_day(
    desk: TestClient, chatwoot: Chatwoot, settings: Settings
) -> None:
    send(desk, event())
    assert len(sent(desk, chatwoot)) == 1
    sessions = session_factory(make_engine(settings.database_url))
    courier = Courier(settings, sessions, lambda: NOW + timedelta(days=2))
    courier.send_due()
    courier.stop()
    with sessions() as session:
        assert session.scalars(select(outbox.c.id)).all() == []
