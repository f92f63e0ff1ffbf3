"""How does an answer reach the caller piece by piece?

As server-sent events, to `POST /v1/chat` with `Accept: text/event-stream`:

    event: delta    data: {"text": "Hello! "}     pieces that add up to the text
    event: done     data: the whole answer
    event: error    data: problem details; the status says the same

or over a WebSocket, where each message is {"event": …, "data": …}. An answer is stored before its
first piece leaves: whoever loses the rest sends the message again and gets the same one. What a
person of the company says comes there by itself, as the event `message`.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from core.errors import (
    Forbidden,
    InvalidInput,
    Overloaded,
    TooLarge,
    TrefoilError,
    Unauthorized,
)
from core.web.auth import SUBPROTOCOL, Authenticator, Caller
from core.web.errors import Problem, describe, log_failure, problem_details, readable
from core.web.json_check import check_json
from core.web.limits import RateLimiter
from services.customer_service.following import Following
from services.customer_service.schemas import ChatRequest, ChatResponse

EVENT_STREAM: Final = "text/event-stream"
PATH: Final = "/v1/chat"
# Words of one piece, and characters where a script has no spaces between words.
_WORDS, _CHARACTERS = 5, 24
_WORD = re.compile(r"\s*\S+\s*")
_ENDS_SENTENCE = re.compile(r"[.!?。！？…][\"'”’)）」]*\s*$")
# Why a socket is closed (RFC 6455, section 7.4.1).
_IDLE, _NOT_TEXT, _NOT_ALLOWED, _TOO_BIG = 1000, 1003, 1008, 1009

Event = tuple[str, Mapping[str, Any]]
Answer = Callable[[ChatRequest, Caller], Awaitable[Mapping[str, Any]]]


def pieces(text: str) -> Iterator[str]:
    """The text in groups of words, none beyond the end of a sentence; together the whole text."""
    group, words = "", 0
    for word in _WORD.findall(text) or ([text] if text else []):
        for part in _short(word):
            group, words = group + part, words + 1
            if words >= _WORDS or len(group) >= _CHARACTERS or _ENDS_SENTENCE.search(group):
                yield group
                group, words = "", 0
    if group:
        yield group


def _short(word: str) -> Iterator[str]:
    """A long word in parts; a mark stays with its letter."""
    start = 0
    while len(word) - start > _CHARACTERS:
        end = start + _CHARACTERS
        while end < len(word) and unicodedata.combining(word[end]):
            end += 1
        yield word[start:end]
        start = end
    yield word[start:]


def events(answer: Mapping[str, Any]) -> Iterator[Event]:
    """The events of a whole answer."""
    for piece in pieces(str(answer["text"])):
        yield "delta", {"text": piece}
    yield "done", ChatResponse.model_validate(answer).model_dump(mode="json")


def wants_events(headers: Headers) -> bool:
    """Whether the caller asks for server-sent events."""
    named = headers.get("accept", "").lower().split(",")
    return any(item.partition(";")[0].strip() == EVENT_STREAM for item in named)


def event_response(answer: Mapping[str, Any]) -> Response:
    """The answer as server-sent events."""

    async def lines() -> AsyncIterator[str]:
        for event, data in events(answer):
            yield event_lines(data, event)

    return stream_response(lines())


def stream_response(lines: AsyncIterator[str]) -> Response:
    """Server-sent events that no proxy on the way holds back."""
    return StreamingResponse(lines, media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


def event_lines(data: Mapping[str, Any], event: str = "") -> str:
    """One server-sent event; JSON has no line end of its own."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def error_events(scope: Scope, problem: Problem) -> Response | None:
    """An error as an event, where events were asked for."""
    if scope["type"] != "http" or scope["path"] != PATH or not wants_events(Headers(scope=scope)):
        return None
    content = event_lines(problem_details(problem), "error")
    return Response(content, problem.status, headers=dict(problem.headers), media_type=EVENT_STREAM)


# --- WebSocket -----------------------------------------------------------------------------------


class OpenSockets:
    """How many sockets are open; a place is taken while one is."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, bucket: str, caller: Caller) -> Iterator[None]:
        """Overloaded where all are taken, or too many by one address of a web page."""
        full = self._open.total() >= self._most
        if full or (caller.bound and self._open[bucket] >= self._most_of_address):
            raise Overloaded(
                "too many WebSockets are open", retry_after=10, mend="Use POST /v1/chat meanwhile."
            )
        self._open[bucket] += 1
        try:
            yield
        finally:
            self._open[bucket] -= 1
            self._open += Counter()  # forgets who has none left


@dataclass(frozen=True)
class SocketRules:
    """What holds for every message of a socket. `look_seconds`: between two looks for what agents
    said."""

    authenticator: Authenticator
    limiter: RateLimiter
    max_bytes: int
    idle_seconds: float
    look_seconds: float


async def converse(
    socket: WebSocket, rules: SocketRules, answer: Answer, following: Following
) -> None:
    """Answer the messages of one socket, one after the other, until it is closed; in between, pass
    on what agents say."""
    offered = socket.scope.get("subprotocols", [])
    await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    try:
        while (text := await _next(socket, rules, following)) is not None:
            if (code := await _exchange(socket, rules, text, answer)) is not None:
                await socket.close(code)
                return
    except WebSocketDisconnect:
        return  # whoever has gone may ask again: what was answered is stored


async def _next(socket: WebSocket, rules: SocketRules, following: Following) -> str | None:
    """The next message; None where there is none, and then the socket is closed."""
    loop = asyncio.get_running_loop()
    receiving = asyncio.ensure_future(socket.receive())
    try:
        until = loop.time() + rules.idle_seconds
        while not receiving.done():
            left = until - loop.time()
            if left <= 0:
                await socket.close(_IDLE, "nothing was said for a while")
                return None
            await asyncio.wait({receiving}, timeout=min(left, rules.look_seconds))
            if not receiving.done() and await _pass_on(socket, rules, following):
                until = loop.time() + rules.idle_seconds
        received = receiving.result()
    finally:
        receiving.cancel()
    if received["type"] == "websocket.disconnect":
        return None
    text = received.get("text")
    if text is None:
        await socket.close(_NOT_TEXT, "expected JSON in text messages")
    return text


async def _pass_on(socket: WebSocket, rules: SocketRules, following: Following) -> bool:
    """Send what agents have said; whether there was anything."""
    try:
        news = await following.news()
        if news:
            await rules.authenticator.identify(socket.headers, socket.scope)
    except (Unauthorized, Forbidden) as error:
        await _send(socket, "error", problem_details(describe(error)))
        await socket.close(_NOT_ALLOWED)
        raise WebSocketDisconnect(_NOT_ALLOWED) from error
    except TrefoilError as error:
        log_failure(error, describe(error))  # the database is away: the next look may find it
        return False
    for message in news:
        await _send(socket, "message", message)
    return bool(news)


async def _exchange(socket: WebSocket, rules: SocketRules, text: str, answer: Answer) -> int | None:
    """One message and its answer; why the socket has to be closed, None to go on."""
    try:
        rules.limiter.count(socket.scope)
        # A key may have been revoked, a token's time be over.
        caller = await rules.authenticator.identify(socket.headers, socket.scope)
        told = await answer(_parsed(text, rules.max_bytes), caller)
    except Exception as error:
        problem = describe(error)
        log_failure(error, problem)
        await _send(socket, "error", problem_details(problem))
        if isinstance(error, Unauthorized | Forbidden):
            return _NOT_ALLOWED
        return _TOO_BIG if isinstance(error, TooLarge) else None
    for event, data in events(told):
        await _send(socket, event, data)
    return None


def _parsed(text: str, max_bytes: int) -> ChatRequest:
    content = text.encode("utf-8", "replace")
    if len(content) > max_bytes:
        raise TooLarge(f"a message may have {max_bytes} bytes, had {len(content)}")
    check_json(content)
    try:
        return ChatRequest.model_validate_json(content)
    except ValidationError as error:
        raise InvalidInput(readable(error.errors()).removeprefix(": ")) from error


async def _send(socket: WebSocket, event: str, data: Mapping[str, Any]) -> None:
    if socket.client_state is WebSocketState.DISCONNECTED:
        raise WebSocketDisconnect
    await socket.send_text(json.dumps({"event": event, "data": data}, ensure_ascii=False))
