"""A small web site on loopback for tests: what it answers, and what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """One answer, as it goes over the wire."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Answer = Reply | Callable[[Message], Reply]


def rss(*titles: str, head: str = "") -> bytes:
    """A feed with these stories."""
    items = "".join(f"<item><title>{t}</title><guid>{t}</guid></item>" for t in titles)
    return f"<rss version='2.0'><channel><title>F</title>{head}{items}</channel></rss>".encode()


class Site:
    """A server in a thread. `pages`: path → answer; `asked`: (path, headers) in their order."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, Message]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with site._lock:
                    site.asked.append((self.path, self.headers))
                    site.at_once += 1
                    site.most_at_once = max(site.most_at_once, site.at_once)
                page = site.pages.get(self.path, Reply(404))
                reply = page if isinstance(page, Reply) else page(self.headers)
                with site._lock:
                    site.at_once -= 1
                # Without the headers of its own (Date, Server).
                self.send_response_only(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                # Who asked may have stopped waiting.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.end_headers()
                    self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def url(self, path: str) -> str:
        """The address of a page."""
        return f"http://{self.address}{path}"

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """End it and wait for it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
