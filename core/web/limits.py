"""How much may one request be, and how many may one caller send?

All of it is checked before anything is parsed or routed: a body is read here, whole, bounded in
size and time, and handed on.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import InvalidInput, RateLimited, TooLarge
from core.web.json_check import check_json
from core.web.rate import Rate, WindowCounter

MAX_HEAD_BYTES = 32_000
DRAIN_BYTES = 20_000_000
DRAIN_SECONDS = 5.0
# Probes and scrapes go on whatever else happens.
UNLIMITED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class HeadLimitMiddleware:
    """Refuses a huge head, and NUL in the address, which no database takes."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_HEAD_BYTES) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            query = scope.get("query_string", b"")
            size = sum(len(name) + len(value) for name, value in scope["headers"])
            size += len(scope["path"]) + len(query)
            if size > self.max_bytes:
                raise HTTPException(
                    431, f"address and headers may have {self.max_bytes} bytes, were: {size}"
                )
            if "\x00" in scope["path"] or b"\x00" in unquote_to_bytes(query):
                raise InvalidInput("the address holds a NUL character", mend="Remove %00 from it.")
        await self.app(scope, receive, send)


class BodyLimitMiddleware:
    """Reads the body while counting; refuses what is too large, too slow or hostile JSON."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            async with asyncio.timeout(self.timeout):
                body = await self._read(receive, headers.get("content-length", ""))
        except TimeoutError as error:
            raise HTTPException(408, f"the body did not come within {self.timeout:g} s") from error
        if body is None:
            # The caller went away; there is nobody to answer.
            return
        if body and _is_json(headers.get("content-type", "")):
            check_json(body)
        await self.app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive, announced: str) -> bytes | None:
        """The whole body, None where the caller went away."""
        length = int(announced[:18]) if announced.isdigit() else 0
        if length > self.max_bytes:
            await self._refuse(receive, more=length <= DRAIN_BYTES)
        pieces = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            pieces += message.get("body", b"")
            more = bool(message.get("more_body", False))
            if len(pieces) > self.max_bytes:
                await self._refuse(receive, more=more)
            if not more:
                return bytes(pieces)

    async def _refuse(self, receive: Receive, *, more: bool) -> NoReturn:
        # A caller in the middle of sending reads no answer, and closing on it would throw the
        # answer away. So a moderate rest is taken and forgotten first.
        dropped = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while more and dropped < DRAIN_BYTES:
                    message = await receive()
                    dropped += len(message.get("body", b""))
                    more = bool(message.get("more_body", False))
        raise TooLarge(
            f"a body may have {self.max_bytes} bytes, this one has more",
            mend="Send it in several requests.",
        )


class RateLimiter:
    """At most so many requests of one caller in a window.

    The count is kept in this process: with several processes a caller has as many times more.
    `bucket` names the caller that a request counts for.
    """

    def __init__(self, rate: Rate | None, bucket: Callable[[Scope], str]) -> None:
        self.bucket = bucket
        self._rate = rate
        self._counter = WindowCounter(rate) if rate else None

    def count(self, scope: Scope) -> None:
        """Count one request, or one message of a WebSocket; RateLimited where it is too many."""
        if self._rate is None or self._counter is None:
            return
        wait = self._counter.hit(self.bucket(scope))
        if wait > 0:
            raise RateLimited(
                f"more than {self._rate.text} from this caller",
                retry_after=wait,
                mend="Wait, then go on more slowly.",
            )


class RateLimitMiddleware:
    """Counts each request and each opening of a WebSocket; 429 beyond the limit."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter) -> None:
        self.app = app
        self.limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] not in UNLIMITED_PATHS:
            self.limiter.count(scope)
        await self.app(scope, receive, send)


def address_bucket(scope: Scope) -> str:
    """The caller's address; for IPv6 the /64 that one household or host has to itself."""
    client = scope.get("client")
    host = str(client[0]) if client else "local"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return host


def _is_json(content_type: str) -> bool:
    name = content_type.partition(";")[0].strip().lower()
    return name == "application/json" or name.endswith("+json")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, then whatever the server says next (that the caller went away)."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
