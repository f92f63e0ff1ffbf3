"""Receivers of messages on loopback for tests: a web server, and what makes alerts to tell of."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from services.finance_sentiment.tables import alerts, outbox
from tests.finance_sentiment.conftest import NOW


@dataclass(frozen=True)
class Reply:
    """One answer, as it goes over the wire."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """A server in a thread. `answers`: path → answer, or what makes one; 200 for all others."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply | Callable[[Got], Reply]] = {}
        self.got: list[Got] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                got = Got(self.path, self.headers, body)
                receiver.got.append(got)
                answer = receiver.answers.get(self.path, Reply())
                reply = answer if isinstance(answer, Reply) else answer(got)
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path: str = "/hook") -> str:
        return f"http://{self.address}{path}"

    def at(self, path: str = "/hook") -> list[Got]:
        return [got for got in self.got if got.path == path]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def raise_alert(
    sessions: sessionmaker[Session],
    *,
    topic: str = "banking",
    detector: str = "rule:half",
    started_at: datetime = NOW,
    raised_at: datetime = NOW,
    **other: Any,
) -> int:
    """Keep an alert; its id."""
    values = {
        "topic": topic,
        "detector": detector,
        "started_at": started_at,
        "raised_at": raised_at,
        "onset_at": started_at - timedelta(hours=2),
        "evidence": {"stories": 10, "negative": 6, "negative_share_wanted": 0.5},
        "story_ids": [],
        "is_test": False,
    } | other
    with sessions.begin() as session:
        return int(
            session.execute(insert(alerts).values(values).returning(alerts.c.id)).scalar_one()
        )


def resolve(sessions: sessionmaker[Session], alert_id: int, at: datetime | None) -> None:
    with sessions.begin() as session:
        session.execute(update(alerts).where(alerts.c.id == alert_id).values(resolved_at=at))


def messages(sessions: sessionmaker[Session]) -> list[tuple[str, str, str]]:
    """(channel, event, state) of all messages, in the order they were written."""
    with sessions() as session:
        rows = session.execute(select(outbox).order_by(outbox.c.id)).all()
    return [(row.kind, row.payload["note"]["event"], row.state) for row in rows]
