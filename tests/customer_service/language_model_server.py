"""A real HTTP server on this machine that speaks OpenAI's chat completions, and says what the test
wants it to say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LanguageModelServer:
    """`text` is what it says; the rest is how. `requests`: (headers, body) of each, in order."""

    def __init__(self) -> None:
        self.text = ""
        self.statuses: list[int] = []  # of the next answers, before it answers well
        self.streams = True
        self.breaks_off = False
        self.hangs: threading.Event | None = None
        self.raw: bytes | None = None
        self.usage: dict[str, int] | None = {"total_tokens": 100}
        self.finish = "stop"
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.asked = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def allow(self) -> tuple[str, ...]:
        return (f"127.0.0.1:{self.port}",)

    def body(self, asked: Any) -> tuple[str, bytes]:
        """The type and the bytes of an answer."""
        if self.raw is not None:
            return "application/json", self.raw
        if not (self.streams and asked.get("stream")):
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": self.text},
                "finish_reason": self.finish,
            }
            whole = {"object": "chat.completion", "choices": [choice], "usage": self.usage}
            return "application/json", json.dumps(whole).encode()
        return "text/event-stream; charset=utf-8", self._events().encode()

    def _events(self) -> str:
        parts = [self.text[i : i + 7] for i in range(0, len(self.text), 7)]
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            *[{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts],
        ]
        if not self.breaks_off:
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish}]})
            chunks.append({"choices": [], "usage": self.usage})
        events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        return events if self.breaks_off else f": a comment\n\n{events}data: [DONE]\n\n"


@contextmanager
def language_model_server() -> Iterator[LanguageModelServer]:
    """The server, up until the end."""
    server = LanguageModelServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append((headers, {"path": self.path, **asked}))
            server.asked.set()
            if server.hangs is not None:
                server.hangs.wait(30)
            status = server.statuses.pop(0) if server.statuses else 200
            kind, body = server.body(asked) if status == 200 else ("text/plain", b"no")
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):  # whoever asked may have gone
                self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        if server.hangs is not None:
            server.hangs.set()
        http.shutdown()
        thread.join()
        http.server_close()
