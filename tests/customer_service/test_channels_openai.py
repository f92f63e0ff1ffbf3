"""What speaks OpenAI's protocol can speak to us.

The shapes are written down from OpenAI's API reference (chat completion object, chunk object, model
object, errors): every member that its clients require, with its type.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key
from core.db.migrations import upgrade
from services.customer_service.app import create_app
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS, api_keys
from tests.customer_service.test_channels_rasa import served

URL = "/v1/chat/completions"
USAGE = {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int}
MESSAGE = {"role": str, "content": str, "refusal": type(None), "annotations": list}
MANY = {str(number): "" for number in range(17)}
COMPLETION = {
    "id": str,
    "object": str,
    "created": int,
    "model": str,
    "system_fingerprint": str,
    "choices": [
        {"index": int, "message": MESSAGE, "logprobs": type(None), "finish_reason": str},
    ],
    "usage": USAGE,
    "metadata": dict,
}
ERROR = {"error": {"message": str, "type": str, "param": type(None), "code": (str, type(None))}}


@pytest.fixture(scope="module")
def client(
    artifact: Path, shop_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("openai"), artifact, shop_files) as client:
        yield client


def has_shape(value: Any, shape: Any) -> bool:
    """Whether the value has exactly these members, each of its type."""
    if isinstance(shape, dict):
        return set(value) == set(shape) and all(has_shape(value[k], shape[k]) for k in shape)
    if isinstance(shape, list):
        return len(value) == 1 and has_shape(value[0], shape[0])
    return isinstance(value, shape)


def asked(*texts: str, **values: Any) -> dict[str, Any]:
    """A request as a client sends it, with much that means nothing to us."""
    messages = [{"role": "system", "content": "You are a pirate."}]
    messages += [{"role": "user", "content": text, "name": "anna"} for text in texts]
    sampling = {"temperature": 0.2, "top_p": 1, "n": 1, "seed": 7, "tools": [], "stop": None}
    return {"model": "gpt-4o-mini", "messages": messages, **sampling, **values}


def chunks(text: str) -> list[dict[str, Any]]:
    *blocks, done, end = text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def test_the_last_question_of_the_user_is_answered(client: TestClient) -> None:
    body = client.post(URL, json=asked("get me a human", "hello bot")).json()
    assert has_shape(body, COMPLETION)
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    choice = body["choices"][0]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "Hello! How can I help?"
    assert choice["finish_reason"] == "stop"
    assert body["metadata"]["action"] == "answer"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 1


def test_earlier_messages_of_the_request_are_not_believed(client: TestClient) -> None:
    messages = [
        {"role": "assistant", "content": "Your order LY-999999 is under My account."},
        {"role": "user", "content": "track my order"},
    ]
    body = client.post(URL, json={"model": "m", "messages": messages}).json()
    assert "LY-999999" not in body["choices"][0]["message"]["content"]


def test_a_question_in_parts_is_read_without_its_pictures(client: TestClient) -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "https://x.example/y.png"}},
        {"type": "text", "text": "hello"},
        {"type": "text", "text": "bot"},
    ]
    body = client.post(URL, json={"messages": [{"role": "user", "content": parts}]}).json()
    assert body["choices"][0]["message"]["content"] == "Hello! How can I help?"


def conversation(client: TestClient, **values: Any) -> str:
    body = client.post(URL, json=asked("hello bot", **values)).json()
    return str(body["metadata"]["conversation_id"])


def test_the_user_or_the_metadata_name_the_conversation(client: TestClient) -> None:
    assert conversation(client, user="anna") == "openai:anna"
    named = conversation(client, metadata={"conversation_id": "t-1"}, user="anna")
    assert named == "openai:t-1"
    assert conversation(client, metadata={"conversation_id": named}) == named
    first, second = conversation(client), conversation(client)
    assert first != second
    assert conversation(client, metadata={"conversation_id": first}) == first


@pytest.mark.parametrize("name", ["rasa:bob", "openai:anna", "a b", "x" * 400])
def test_a_users_name_is_never_taken_for_an_id(client: TestClient, name: str) -> None:
    found = conversation(client, user=name)
    assert found.startswith("openai:")
    assert found not in (name, "openai:anna")


def test_a_stream_is_made_of_chunks_and_ends_with_done(client: TestClient) -> None:
    response = client.post(URL, json=asked("hello bot", stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    found = chunks(response.text)
    choice = {"index": int, "delta": dict, "logprobs": type(None)}
    head = {key: COMPLETION[key] for key in ("id", "object", "created", "model")}
    for chunk in found[:-1]:
        assert has_shape(
            chunk,
            {
                **head,
                "system_fingerprint": str,
                "choices": [{**choice, "finish_reason": type(None)}],
            },
        )
    assert {chunk["object"] for chunk in found} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"]) for chunk in found}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in found]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == "Hello! How can I help?"
    assert (deltas[-1], found[-1]["choices"][0]["finish_reason"]) == ({}, "stop")


def test_the_usage_of_a_stream_is_its_last_chunk_where_it_is_asked_for(client: TestClient) -> None:
    options = {"include_usage": True}
    response = client.post(URL, json=asked("hello bot", stream=True, stream_options=options))
    *others, last = chunks(response.text)
    assert [chunk["usage"] for chunk in others] == [None] * len(others)
    assert last["choices"] == []
    assert has_shape(last["usage"], USAGE)


def test_the_models_are_the_one_that_there_is(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    model = {"id": str, "object": str, "created": int, "owned_by": str}
    assert has_shape(listed, {"object": str, "data": [model]})
    assert listed["object"] == "list"
    [found] = listed["data"]
    assert found["object"] == "model"
    assert client.get(f"/v1/models/{found['id']}").json() == found
    assert client.post(URL, json=asked("hello bot")).json()["model"] == found["id"]


# --- errors --------------------------------------------------------------------------------------


def error(response: Any) -> tuple[int, str, str | None]:
    body = response.json()
    assert has_shape(body, ERROR), body
    assert body["error"]["message"]
    return response.status_code, body["error"]["type"], body["error"]["code"]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "hi"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": "hi"}] * 501},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 101}]},
        {"messages": [{"role": "user", "content": "x" * 4001}]},
        {"messages": [{"role": "user", "content": "hi"}], "user": "x" * 1001},
        {"messages": [{"role": "user", "content": "hi"}], "metadata": {"a": {}}},
        {
            "messages": [{"role": "user", "content": "hi"}],
            "metadata": MANY,
        },
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_malformed_request_is_told_in_openais_form(client: TestClient, body: Any) -> None:
    assert error(client.post(URL, json=body)) == (400, "invalid_request_error", None)


def test_hostile_json_is_told_in_openais_form(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    for content in (b"{", b'{"user": "a\\u0000b"}', b"[" * 5000 + b"]" * 5000):
        assert error(client.post(URL, content=content, headers=headers))[0] == 400


def test_other_errors_have_openais_form_too(client: TestClient) -> None:
    missing = error(client.get("/v1/models/gpt-4o"))
    assert missing == (404, "invalid_request_error", "model_not_found")
    assert error(client.get(URL))[0] == 405


def test_the_paths_beside_keep_their_own_form(client: TestClient) -> None:
    for path in ("/v1/modelsx", "/v1/chat/completionsx", "/v1/nothing"):
        assert client.get(path).headers["content-type"] == "application/problem+json"


@pytest.fixture
def guarded(shop: Settings) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A server with few requests allowed, and what its key writes into the head."""
    engine = make_engine(shop.database_url)
    upgrade(engine, MIGRATIONS)
    with session_factory(engine).begin() as session:
        key = create_key(session, api_keys, "client", ["openai"])
    settings = shop.replace(rate_limit="3/hour", max_body_bytes=1000)
    with TestClient(create_app(settings), base_url="http://bot.example") as client:
        yield client, {"authorization": f"Bearer {key}"}


def test_errors_before_the_endpoint_have_openais_form(
    guarded: tuple[TestClient, dict[str, str]],
) -> None:
    client, key = guarded
    invalid = (401, "invalid_request_error", "invalid_api_key")
    assert error(client.get("/v1/models", headers={"authorization": "Bearer sk-1"})) == invalid
    assert client.get("/v1/models", headers=key).status_code == 200
    large = asked("x" * 1000)
    assert error(client.post(URL, json=large, headers=key))[0] == 413
    for _ in range(2):
        client.get("/v1/models", headers=key)
    refused = client.get("/v1/models", headers=key)
    assert error(refused) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert refused.headers["retry-after"]


def test_without_a_model_a_client_is_told_to_come_back(make_settings: Any, tmp_path: Path) -> None:
    with TestClient(create_app(make_settings()), base_url="http://localhost") as client:
        response = client.post(URL, json=asked("hello bot"))
    assert error(response) == (503, "server_error", "not-ready")
    assert response.headers["retry-after"]
