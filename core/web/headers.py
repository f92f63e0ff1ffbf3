"""Which headers go out with every answer, to keep browsers from mistakes?

    X-Content-Type-Options: nosniff         an answer is what it says, never guessed to be a page
    Referrer-Policy: no-referrer            addresses (with ids in them) are not handed on
    Content-Security-Policy: default-src 'none'; frame-ancestors 'none'
                                            if an answer is shown as a page, it can do nothing
    Cache-Control: no-store                 answers about people stay in no cache

A route that serves a page sets its own policy or caching, and then that one stands.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class SecurityHeadersMiddleware:
    """Adds those headers that the route did not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, secured if scope["type"] == "http" else send)
