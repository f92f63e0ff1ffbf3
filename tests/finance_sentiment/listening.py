"""A listener to server-sent events for tests: it reads them as a browser does, by the standard."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from core.web.serve import bound_socket, make_server
from services.finance_sentiment.settings import Settings

LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Heard:
    """A dispatched event; `last_id` is what a browser would come back with."""

    name: str
    data: str
    last_id: str

    @property
    def content(self) -> Any:
        return json.loads(self.data)


class Browser:
    """The parser of https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.6."""

    def __init__(self) -> None:
        self.retry: int | None = None
        self.last_id = ""
        self.comments: list[str] = []
        self._id = ""
        self._name = ""
        self._data: list[str] = []

    def line(self, line: str) -> Heard | None:
        """One line without its end; the event that it dispatches, if it does."""
        if not line:
            return self._dispatched()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not field:
            self.comments.append(value)
        elif field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatched(self) -> Heard | None:
        self.last_id = self._id
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        return Heard(name, "\n".join(data), self.last_id) if data else None


def parsed(stream: str) -> list[Heard]:
    """All events of a whole stream."""
    browser = Browser()
    lines = LINE_END.split(stream)
    return [heard for line in lines if (heard := browser.line(line)) is not None]


class Listener:
    """An open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.browser = Browser()
        self._lines = response.iter_lines()

    def one(self) -> Heard:
        """The next event."""
        for line in self._lines:
            heard = self.browser.line(line)
            if heard is not None:
                return heard
        raise EOFError("the stream is over")

    def several(self, number: int) -> list[Heard]:
        """So many events."""
        return [self.one() for _ in range(number)]

    def until_comment(self) -> None:
        """Read to the next line of silence, and the end of its block."""
        before = len(self.browser.comments)
        for line in self._lines:
            self.browser.line(line)
            if len(self.browser.comments) > before and not line:
                return

    def rest(self) -> list[Heard]:
        """What comes until the stream ends by itself."""
        heard = (self.browser.line(line) for line in self._lines)
        return [one for one in heard if one is not None]


@contextmanager
def listening(address: str, last_id: str = "", **query: str) -> Iterator[Listener]:
    """A stream of /v1/events that has begun: what changes from here on is told."""
    headers = {"last-event-id": last_id} if last_id else {}
    with (
        httpx.Client(base_url=address, timeout=30) as client,
        client.stream("GET", "/v1/events", params=query, headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        listener = Listener(response)
        for line in listener._lines:
            listener.browser.line(line)
            if not line:
                break
        yield listener


@contextmanager
def served(app: FastAPI, settings: Settings) -> Iterator[str]:
    """The app on a port of its own; its address."""
    with bound_socket(settings.model_copy(update={"port": 0})) as listener:
        server = make_server(app, settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def numbers(heard: Iterable[Heard]) -> list[int]:
    """The ids of events."""
    return [int(one.last_id) for one in heard]
