"""Answers piece by piece: as server-sent events and over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import WebSocketDenialResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key, revoke_key
from core.db.migrations import upgrade
from core.web import auth
from services.customer_service.app import create_app
from services.customer_service.settings import Settings
from services.customer_service.stream import pieces
from services.customer_service.tables import MIGRATIONS, api_keys

SSE = {"accept": "text/event-stream"}
HELLO = {"message": "hello bot", "conversation_id": "c", "message_id": "m"}


def events(text: str) -> list[tuple[str, Any]]:
    """The events of a stream, read as a browser reads them."""
    found = []
    for block in text.split("\n\n")[:-1]:
        event, data = block.split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


# --- pieces --------------------------------------------------------------------------------------


@given(st.text())
def test_pieces_add_up_to_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert all(pieces(text))


def test_a_piece_is_some_words_and_ends_with_its_sentence() -> None:
    text = 'Yes, you can. Send it back within fourteen days of the "delivery."  Thanks'
    assert list(pieces(text)) == [
        "Yes, you can. ",
        "Send it back within fourteen ",
        'days of the "delivery."  ',
        "Thanks",
    ]


def test_a_script_without_spaces_comes_in_pieces_too() -> None:
    assert [len(piece) for piece in pieces("退" * 60)] == [24, 24, 12]


def test_a_mark_stays_with_its_letter() -> None:
    assert all(not piece.startswith("\u0301") for piece in pieces("e\u0301" * 40))


# --- server-sent events --------------------------------------------------------------------------


def test_a_streamed_answer_is_the_whole_answer_in_pieces(client: TestClient) -> None:
    response = client.post("/v1/chat", json=HELLO, headers=SSE)
    assert response.headers["content-type"].startswith("text/event-stream")
    *deltas, (last, answer) = events(response.text)
    assert {event for event, _ in deltas} == {"delta"}
    assert last == "done"
    assert "".join(data["text"] for _, data in deltas) == answer["text"] == "Hello! How can I help?"
    assert client.post("/v1/chat", json=HELLO).json() == answer


def test_a_message_sent_again_streams_the_stored_answer(client: TestClient) -> None:
    first, second = (client.post("/v1/chat", json=HELLO, headers=SSE).text for _ in range(2))
    assert first == second
    assert len(client.get("/v1/conversations/c").json()["turns"]) == 1


def test_the_turn_is_stored_before_the_first_byte_leaves(shop: Settings) -> None:
    app = create_app(shop)
    stored_by_then: list[int] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def spy(message: Message) -> None:
            if message["type"] == "http.response.start":
                page = app.state.conversations.conversation("c", limit=9, cursor=0)
                stored_by_then.append(len(page.turns))
            await send(message)

        await app(scope, receive, spy)

    with TestClient(watched, base_url="http://localhost") as client:
        client.post("/v1/chat", json=HELLO, headers=SSE)
    assert stored_by_then == [1]


def test_who_does_not_ask_for_events_gets_json(client: TestClient) -> None:
    for accept in ("application/json", "*/*", ""):
        response = client.post("/v1/chat", json=HELLO, headers={"accept": accept})
        assert response.headers["content-type"] == "application/json"


def test_an_error_comes_as_an_event_with_its_status(client: TestClient) -> None:
    for body in ({"message": " "}, {"mesage": "hi"}, "no"):
        response = client.post("/v1/chat", json=body, headers=SSE)
        assert response.status_code == 422
        [(event, problem)] = events(response.text)
        assert event == "error"
        assert problem["status"] == 422
        assert problem["request_id"] == response.headers["x-request-id"]


# --- WebSocket -----------------------------------------------------------------------------------


@pytest.fixture
def make_client(shop: Settings) -> Iterator[Callable[..., TestClient]]:
    """The service with other settings."""
    opened: list[TestClient] = []

    def make(**values: Any) -> TestClient:
        opened.append(TestClient(create_app(shop.replace(**values)), base_url="http://localhost"))
        return opened[-1].__enter__()

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def say(socket: Any, body: Any) -> list[tuple[str, Any]]:
    """Send one message; the events up to the end of its answer."""
    socket.send_text(body if isinstance(body, str) else json.dumps(body))
    found: list[tuple[str, Any]] = []
    while not found or found[-1][0] == "delta":
        received = socket.receive_json()
        found.append((received["event"], received["data"]))
    return found


def test_a_socket_carries_the_same_messages_and_answers(client: TestClient) -> None:
    with client.websocket_connect("/v1/chat/ws") as socket:
        *deltas, (last, answer) = say(socket, HELLO)
        assert (last, "".join(data["text"] for _, data in deltas)) == ("done", answer["text"])
        assert say(socket, HELLO)[-1] == (last, answer)
        _, second = say(socket, {"message": "get me a human", "conversation_id": "c"})[-1]
    turns = client.get("/v1/conversations/c").json()["turns"]
    assert [turn["reply"] for turn in turns] == [answer, second]


UNREADABLE = [
    "",
    "hello",
    "[]",
    '{"mesage": "hi"}',
    '{"message": " "}',
    '{"message": "a\\u0000b"}',
    '{"message": "hi", "metadata": {"x": NaN}}',
    '{"metadata": ' + "[" * 9000 + "]" * 9000 + "}",
    '{"message": "' + "x" * 4001 + '"}',
]


def test_a_message_that_cannot_be_read_is_told_and_the_socket_goes_on(client: TestClient) -> None:
    with client.websocket_connect("/v1/chat/ws") as socket:
        for body in UNREADABLE:
            [(event, problem)] = say(socket, body)
            assert (event, problem["status"]) == ("error", 422), body
            assert not problem["detail"].startswith(":")
        assert say(socket, HELLO)[-1][0] == "done"


def closed_with(socket: Any) -> int:
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    return closed.value.code


def test_a_message_larger_than_a_body_closes_the_socket(
    make_client: Callable[..., TestClient],
) -> None:
    with make_client(max_body_bytes=1000).websocket_connect("/v1/chat/ws") as socket:
        [(event, problem)] = say(socket, {"message": "x" * 1000})
        assert (event, problem["status"]) == ("error", 413)
        assert closed_with(socket) == 1009


def test_bytes_close_the_socket(client: TestClient) -> None:
    with client.websocket_connect("/v1/chat/ws") as socket:
        socket.send_bytes(b"{}")
        assert closed_with(socket) == 1003


def test_a_silent_socket_is_closed(make_client: Callable[..., TestClient]) -> None:
    client = make_client(socket_idle_seconds=0.01)
    with client.websocket_connect("/v1/chat/ws") as socket:
        assert closed_with(socket) == 1000


def test_each_message_of_a_socket_counts_as_a_request(
    make_client: Callable[..., TestClient],
) -> None:
    # One is the opening of the socket.
    with make_client(rate_limit="3/hour").websocket_connect("/v1/chat/ws") as socket:
        told = [say(socket, {"message": "hello bot"})[-1] for _ in range(3)]
    assert [event for event, _ in told] == ["done", "done", "error"]
    assert told[2][1]["status"] == 429


def test_a_socket_too_many_is_turned_away(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_sockets=1)
    with client.websocket_connect("/v1/chat/ws"):
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect("/v1/chat/ws"),
        ):
            pass
        assert denied.value.status_code == 503
    with client.websocket_connect("/v1/chat/ws") as socket:
        assert say(socket, HELLO)[-1][0] == "done"


@pytest.fixture
def key(shop: Settings) -> str:
    engine = make_engine(shop.database_url)
    upgrade(engine, MIGRATIONS)
    with session_factory(engine).begin() as session:
        create_key(session, api_keys, "other", ["admin"])
        return create_key(session, api_keys, "shop", ["chat"])


def test_a_socket_needs_a_key_as_any_request_does(client: TestClient, key: str) -> None:
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/v1/chat/ws"):
        pass
    assert denied.value.status_code == 401
    assert denied.value.json()["type"] == "urn:trefoil:problem:unauthorized"
    bearer = {"authorization": f"Bearer {key}"}
    with client.websocket_connect("/v1/chat/ws", headers=bearer) as socket:
        assert say(socket, HELLO)[-1][0] == "done"


def test_a_browser_sends_its_key_as_a_subprotocol(client: TestClient, key: str) -> None:
    protocols = ["trefoil", f"trefoil-key.{key}"]
    with client.websocket_connect("/v1/chat/ws", subprotocols=protocols) as socket:
        assert socket.accepted_subprotocol == "trefoil"
        assert say(socket, HELLO)[-1][0] == "done"


def test_a_socket_ends_when_its_key_is_revoked(
    client: TestClient, key: str, shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "CACHE_SECONDS", 0.0)
    bearer = {"authorization": f"Bearer {key}"}
    with client.websocket_connect("/v1/chat/ws", headers=bearer) as socket:
        assert say(socket, HELLO)[-1][0] == "done"
        with session_factory(make_engine(shop.database_url)).begin() as session:
            revoke_key(session, api_keys, "shop")
        [(event, problem)] = say(socket, HELLO)
        assert (event, problem["status"]) == ("error", 401)
        assert closed_with(socket) == 1008
