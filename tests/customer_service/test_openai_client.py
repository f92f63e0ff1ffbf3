"""The official client of OpenAI talks to our server as it would to theirs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from core.artifacts import Registry
from core.web.serve import make_server
from services.customer_service.app import create_app
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.understanding import KIND

HELLO = [{"role": "user", "content": "hello bot"}]
ANSWER = "Hello! How can I help?"


@pytest.fixture(scope="module")
def client(
    artifact: Path, shop_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenAI]:
    settings = Settings(var_dir=tmp_path_factory.mktemp("openai"), threads=1)
    Registry(settings.models_dir, KIND).promote(artifact)
    run_import(
        settings,
        answers=shop_files / "intents.yaml",
        articles=None,
        now=lambda: datetime.now(UTC),
    )
    server = make_server(create_app(settings), settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        with OpenAI(api_key="none", base_url=f"http://{host}:{port}/v1", max_retries=0) as client:
            yield client
        server.should_exit = True
        thread.join()


def test_a_completion_is_read_in_full(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="any", messages=HELLO)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", ANSWER)
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens > answer.usage.prompt_tokens > 0
    assert answer.created > 0


def test_a_stream_adds_up_to_the_answer_and_ends_with_its_usage(client: OpenAI) -> None:
    options = {"include_usage": True}
    with client.chat.completions.create(
        model="any", messages=HELLO, stream=True, stream_options=options
    ) as stream:
        chunks = list(stream)
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(said) == ANSWER
    assert chunks[-1].usage is not None


def test_the_models_are_listed_and_found(client: OpenAI) -> None:
    [listed] = client.models.list().data
    assert client.models.retrieve(listed.id) == listed


def test_a_model_that_is_not_there_raises_the_clients_own_error(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-4o")
    assert raised.value.code == "model_not_found"


def test_an_empty_conversation_raises_the_clients_own_error(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="any", messages=[])
