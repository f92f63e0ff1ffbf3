"""A real server on loopback, and clients that may reach it and never really wait."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.net import FetchPolicy, GuardedClient

Answer = tuple[int, dict[str, str], bytes]


class Site(ThreadingHTTPServer):
    """A real server on loopback that answers from a table and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer | list[Answer] | Callable[[_Handler], None]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.released = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        answer = self.server.answers.get(self.path, (404, {}, b"nothing here"))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer(self)
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_HEAD = _answer

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.released.set()
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def make_client(site: Site, waits: list[float]) -> Iterator[Callable[..., GuardedClient]]:
    clients: list[GuardedClient] = []

    def make(
        *,
        resolver: object = None,
        clock: object = None,
        allow: tuple[str, ...] | None = None,
        **bounds: object,
    ) -> GuardedClient:
        policy = FetchPolicy(
            allow=(f"127.0.0.1:{site.port}",) if allow is None else allow,
            **{"max_bytes": 100_000, "total_timeout": 10.0, "retries": 0, **bounds},
        )
        more = {"resolver": resolver, "clock": clock}
        client = GuardedClient(
            policy,
            sleep=waits.append,
            rng=random.Random(1),
            **{name: value for name, value in more.items() if value is not None},
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., GuardedClient]) -> GuardedClient:
    return make_client()
