"""Which web pages may read an answer? Those of origins that a publishable key is bound to.

A browser asks first (preflight: OPTIONS without a key) and then looks for the same header in the
answer, errors included. No other origin gets a word of CORS. Cookies are never meant: whoever calls
holds a key or a token, so `Access-Control-Allow-Credentials` is not sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Set
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import TrefoilError
from core.web.auth import CACHE_SECONDS

logger = logging.getLogger(__name__)

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, X-API-Key, X-Request-ID",
    # Shorter than it could be: a new origin is asked again soon after it was added.
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "Retry-After, X-Request-ID"


class OriginSource(Protocol):
    """Where the bound origins are; `core.db.keys.StoredKeys` is one. The call may block."""

    def origins(self) -> Set[str]:
        """The origins of all live publishable keys, such as https://shop.example."""


class CorsMiddleware:
    """Adds the headers for bound origins, and answers their preflights."""

    def __init__(
        self,
        app: ASGIApp,
        source: OriginSource,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self._source = source
        self._clock = clock
        self._known: tuple[float, Set[str]] = (float("-inf"), frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin")
        if origin is None or origin not in await self._origins():
            await self.app(scope, receive, send)
            return

        async def readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Access-Control-Allow-Origin"] = origin
                answer["Access-Control-Expose-Headers"] = _EXPOSED
                answer.add_vary_header("Origin")
            await send(message)

        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, readable)
            return
        await self.app(scope, receive, readable)

    async def _origins(self) -> Set[str]:
        until, origins = self._known
        if self._clock() >= until:
            try:
                origins = await asyncio.to_thread(self._source.origins)
            except TrefoilError as error:
                # The request itself will tell that the database is away; its page may read that.
                logger.warning("cannot look for bound origins", exc_info=error)
            self._known = (self._clock() + CACHE_SECONDS, origins)
        return origins
