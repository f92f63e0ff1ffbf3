"""Does every failure get a clean answer, and no failure give anything away?"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.middleware import Middleware
from starlette.responses import Response, StreamingResponse
from starlette.testclient import WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from core import errors as tree
from core.settings import ServiceSettings
from core.web.errors import TABLE, Problem, describe, row_of

MEMBERS = {"type", "title", "status", "detail", "request_id"}
TREE = [
    kind
    for _, kind in inspect.getmembers(tree, inspect.isclass)
    if issubclass(kind, tree.TrefoilError)
]


def problem(response) -> dict[str, object]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == MEMBERS
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["x-request-id"]
    return body


def test_our_errors_say_what_and_how_to_mend(client: TestClient) -> None:
    body = problem(client.get("/v1/stories/17"))
    assert body["status"] == 404
    assert body["type"] == "urn:trefoil:problem:not-found"
    assert body["detail"] == "there is no story 17. See /v1/stories."


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    assert problem(client.get("/nowhere"))["status"] == 404


def test_a_wrong_method_names_the_right_ones(client: TestClient) -> None:
    response = client.get("/v1/chat")
    assert problem(response)["status"] == 405
    assert response.headers["allow"] == "POST"


def test_overload_says_when_to_come_back_in_whole_seconds(client: TestClient) -> None:
    response = client.get("/v1/busy")
    assert problem(response)["status"] == 503
    assert response.headers["retry-after"] == "3"


def test_trouble_of_the_box_is_told_without_its_places(client: TestClient) -> None:
    response = client.get("/v1/disk")
    assert problem(response)["status"] == 503
    assert "secret" not in response.text
    assert int(response.headers["retry-after"]) > 0


def test_the_unexpected_is_a_500_without_a_word_of_it(client: TestClient) -> None:
    response = client.get("/v1/broken")
    body = problem(response)
    assert (body["status"], body["detail"]) == (500, "internal error")
    assert "4111" not in response.text
    assert "Traceback" not in response.text


class Breaks:
    """A middleware with a mistake in it."""

    def __init__(self, app: object) -> None:
        pass

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a mistake")


def test_a_mistake_in_a_middleware_is_answered_too(make_app: Callable[..., FastAPI]) -> None:
    client = TestClient(make_app(middleware=[Middleware(Breaks)]))
    response = client.get("/v1/me")
    assert problem(response)["status"] == 500
    assert response.headers["x-content-type-options"] == "nosniff"


def test_an_answer_that_breaks_in_the_middle_is_broken_off(
    make_app: Callable[..., FastAPI],
) -> None:
    router = APIRouter()

    @router.get("/half")
    async def half() -> StreamingResponse:
        async def pieces():
            yield b"half"
            raise ValueError("no more")

        return StreamingResponse(pieces())

    client = TestClient(make_app(router=router))
    with pytest.raises(ValueError, match="no more"):
        client.get("/half")


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_an_answer(kind: type[tree.TrefoilError]) -> None:
    answer = describe(kind("what"))
    assert 400 <= answer.status < 600
    assert answer.detail


@pytest.mark.parametrize("kind", tree.TrefoilError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_branch_of_the_tree_has_a_row_of_its_own(kind: type[tree.TrefoilError]) -> None:
    if kind.__name__.startswith("_"):
        assert all(child in TABLE for child in kind.__subclasses__())
    else:
        assert kind in TABLE
    assert row_of(kind)


def test_no_answer_but_the_hidden_ones_is_a_server_error_by_accident() -> None:
    assert all(row.shown or row.status >= 500 for row in TABLE.values())
    assert all(row.instead for row in TABLE.values() if not row.shown)


def test_a_detail_with_half_a_surrogate_pair_can_be_sent(
    make_app: Callable[..., FastAPI],
) -> None:
    router = APIRouter()

    @router.get("/odd")
    async def odd() -> None:
        raise tree.NotFound("no \ud800 here")

    assert problem(TestClient(make_app(router=router)).get("/odd"))["detail"] == "no ? here"


def test_a_detail_has_an_end(make_app: Callable[..., FastAPI]) -> None:
    router = APIRouter()

    @router.get("/long")
    async def long() -> None:
        raise tree.NotFound("x" * 100_000)

    assert len(TestClient(make_app(router=router)).get("/long").content) < 1_000


def test_the_shape_is_that_of_rfc_9457(client: TestClient) -> None:
    body = json.loads(client.get("/nowhere").content)
    assert body["type"] == "about:blank"
    assert body["title"] == "Not Found"


# other shapes, and WebSockets


def shouted(scope: Scope, problem: Problem) -> Response | None:
    if not scope["path"].startswith("/v1/"):
        return None
    return Response(problem.detail.upper(), problem.status, headers=dict(problem.headers))


def test_a_service_may_shape_the_errors_of_its_paths(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    settings = settings.replace(max_body_bytes=1000, rate_limit="4/hour")
    client = TestClient(make_app(problem_shape=shouted, settings=settings))
    missing = client.get("/v1/stories/17")
    assert (missing.status_code, missing.text) == (404, "THERE IS NO STORY 17. SEE /V1/STORIES.")
    assert client.post("/v1/chat", content=b"x" * 1001).text.startswith("A BODY MAY HAVE")
    problem(client.get("/nowhere"))
    client.get("/v1/nowhere")
    limited = client.get("/v1/me")
    assert (limited.status_code, limited.text[:9]) == (429, "MORE THAN")
    assert limited.headers["retry-after"]


@pytest.fixture
def make_socket_client(make_app: Callable[..., FastAPI]) -> Callable[..., TestClient]:
    """A service with a WebSocket that says hello, at /v1/socket."""

    async def hello(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    async def broken(socket: WebSocket) -> None:
        raise ValueError("could not read 'my card is 4111'")

    def make(**options: object) -> TestClient:
        router = APIRouter()
        router.add_api_websocket_route("/v1/socket", hello)
        router.add_api_websocket_route("/v1/broken", broken)
        return TestClient(make_app(router=router, **options))

    return make


def denied(client: TestClient, path: str, **options: Any) -> dict[str, object]:
    """The problem with which the request for a WebSocket is turned away."""
    with pytest.raises(WebSocketDenialResponse) as answer:
        client.websocket_connect(path, **options).__enter__()
    assert answer.value.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.value.json()
    assert body["status"] == answer.value.status_code
    return body


def test_a_socket_passes_the_same_checks_as_a_request(
    make_socket_client: Callable[..., TestClient], settings: ServiceSettings
) -> None:
    client = make_socket_client(settings=settings.replace(rate_limit="5/hour"))
    with client.websocket_connect("/v1/socket") as socket:
        assert socket.receive_text() == "hello"
    elsewhere = {"headers": {"origin": "https://evil.example"}}
    assert denied(client, "/v1/socket", **elsewhere)["status"] == 403
    assert denied(client, "/v1/socket?x=%00")["status"] == 422
    assert denied(client, "/v1/socket?" + "x" * 33_000)["status"] == 431
    broken = denied(client, "/v1/broken")
    assert (broken["status"], broken["detail"]) == (500, "internal error")
    with client.websocket_connect("/v1/socket"):
        pass
    client.get("/v1/me")
    assert denied(client, "/v1/socket")["status"] == 429
