"""Does a real server start, answer, refuse and end as it should?"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from core.errors import ModelNotFound, SettingsError
from core.settings import ServiceSettings
from core.web.serve import bound_socket, make_server, run_server

ROOT = Path(__file__).parents[3]
SERVER = """
import sys
from contextlib import asynccontextmanager
from fastapi import APIRouter
from core.settings import ServiceSettings
from core.web import create_app, run_server

@asynccontextmanager
async def lifespan(app):
    yield
    print("stopped", flush=True)

settings = ServiceSettings(port=int(sys.argv[1]))
run_server(
    lambda: create_app("Test", settings=settings, router=APIRouter(), lifespan=lifespan), settings
)
print("ended", flush=True)
"""


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def address(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> Iterator[tuple[str, int]]:
    """A real server in a thread."""
    server = make_server(make_app(), settings)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


def exchange(address: tuple[str, int], sent: bytes) -> tuple[str, dict[str, object]]:
    """The status line and the JSON of the answer to raw bytes."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as stream:
            status = stream.readline().decode().strip()
            headers = {}
            while line := stream.readline().strip():
                name, _, value = line.decode("latin-1").partition(": ")
                headers[name.lower()] = value
            assert headers["content-type"] == "application/problem+json"
            return status, json.loads(stream.read(int(headers["content-length"])))


@pytest.mark.parametrize(
    "sent",
    [
        b"this is not HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"\x16\x03\x01" * 9 + b"\r\n\r\n",
    ],
    ids=["words", "a bad header", "TLS"],
)
def test_what_is_no_http_gets_a_problem(address: tuple[str, int], sent: bytes) -> None:
    status, body = exchange(address, sent)
    assert status == "HTTP/1.1 400 Bad Request"
    assert body["status"] == 400


def test_an_endless_head_gets_a_problem(address: tuple[str, int]) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"x" * 200_000
    assert exchange(address, head)[0] == "HTTP/1.1 400 Bad Request"


def test_a_huge_body_over_a_real_socket_reads_its_413(address: tuple[str, int]) -> None:
    body = b"x" * 2_000_000
    head = (
        b"POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n"
    )
    status, answer = exchange(address, head + body)
    assert status.startswith("HTTP/1.1 413")
    assert answer["type"] == "urn:trefoil:problem:too-large"


def test_a_body_that_never_comes_gets_a_408(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    from fastapi.testclient import TestClient
    from starlette.types import Message

    app = make_app(settings=settings.replace(body_timeout=0.01))

    async def stalled() -> Message:
        import asyncio

        await asyncio.Event().wait()
        raise AssertionError

    async def slow(scope, receive, send):
        await app(scope, stalled, send)

    response = TestClient(slow).post("/v1/chat", json={"message": "a"})
    assert response.status_code == 408


def test_a_server_answers_and_ends_cleanly_on_sigterm(free_port: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(free_port)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TREFOIL_VAR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["message"] == "serving":
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert out.split() == ["stopped", "ended"]
    assert all(json.loads(line)["level"] == "info" for line in err.splitlines())


def test_a_taken_port_is_told_with_its_mend(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = settings.replace(port=other.getsockname()[1])
        with pytest.raises(SettingsError, match=r"port \d+ is taken\. .*--port"):
            run_server(make_app, taken)


def test_what_is_written_goes_out_at_once(settings: ServiceSettings) -> None:
    """Not when the client has confirmed what came before: that takes up to 40 ms."""
    seen: list[int] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = writer.get_extra_info("socket")
        seen.append(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def connect() -> None:
        with bound_socket(settings.model_copy(update={"port": 0})) as listener:
            async with await asyncio.start_server(connected, sock=listener):
                reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
                await reader.read()
                writer.close()

    asyncio.run(connect())
    assert seen == [1]


def test_an_address_of_another_machine_is_told_with_its_mend(settings: ServiceSettings) -> None:
    elsewhere = settings.replace(host="192.0.2.1")
    with pytest.raises(SettingsError, match="--host"), bound_socket(elsewhere):
        pass


def test_a_port_that_may_not_be_used_is_told_with_its_mend(
    settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SettingsError, match="from 1024 up"), bound_socket(settings):
        pass


def test_a_start_that_fails_raises_its_own_error_and_logs_no_trace(
    make_app: Callable[..., FastAPI],
    settings: ServiceSettings,
    free_port: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        raise ModelNotFound("there is no active model", mend="Run: trefoil test train.")
        yield

    with pytest.raises(ModelNotFound, match="no active model"):
        run_server(lambda: make_app(lifespan=lifespan), settings.replace(port=free_port))
    assert capsys.readouterr().err == ""


def test_an_open_server_elsewhere_does_not_start(
    make_app: Callable[..., FastAPI], settings: ServiceSettings, free_port: int
) -> None:
    everywhere = settings.replace(host="0.0.0.0", port=free_port)
    with pytest.raises(SettingsError, match="keys create"):
        run_server(lambda: make_app(settings=everywhere), everywhere)
