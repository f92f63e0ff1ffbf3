"""How does a person with an API key use a service's pages, once the service wants keys?

They paste the key once; the browser then holds it in a cookie that no script can read and that goes
to this host alone. A revoked key ends that too. Since a browser sends a cookie by itself, a request
that changes something must also come from one of our own pages: the browser says where it comes
from (Sec-Fetch-Site, else Origin), and what says neither is no browser and holds no cookie.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Body, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from core.errors import Forbidden, Unauthorized
from core.web.auth import PUBLISHABLE, Caller, KeyVerifier

_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class KeyLogIns:
    """The verifier of a service whose pages open with a key; `cookie` is its cookie's name, since
    services on one host share their cookies."""

    def __init__(self, keys: KeyVerifier, cookie: str) -> None:
        self._keys, self._cookie = keys, cookie

    def caller(self, headers: Headers, scope: Scope) -> Caller | None:
        """Whose key the browser holds, None without one. Forbidden where a request that changes
        something comes from another site's page."""
        presented = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        found = self._keys.verify(presented) if presented else None
        if found is None or PUBLISHABLE in found.scopes:
            return None
        if scope.get("method", "") not in _HARMLESS:
            check_own_page(headers)
        return Caller(found.name, frozenset(found.scopes), person=True)

    def router(self) -> APIRouter:
        """POST /login {key} and POST /logout, for the service's pages."""
        router = APIRouter(include_in_schema=False)

        @router.post("/login", status_code=204)
        async def login(request: Request, key: Annotated[str, Body(embed=True)]) -> Response:
            check_own_page(request.headers)
            found = await run_in_threadpool(self._keys.verify, key[:200]) if key else None
            if found is None or PUBLISHABLE in found.scopes:
                raise Unauthorized("this API key is not valid for pages", mend="Use a secret one.")
            response = Response(status_code=204)
            response.set_cookie(
                self._cookie,
                key,
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="strict",
            )
            return response

        @router.post("/logout", status_code=204)
        async def logout(request: Request) -> Response:
            check_own_page(request.headers)
            response = Response(status_code=204)
            response.delete_cookie(self._cookie, httponly=True, samesite="strict")
            return response

        return router


def check_own_page(headers: Headers) -> None:
    """Forbidden where the browser says that another site's page sends this. What is no browser
    says nothing."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site == "same-origin"
    else:
        own = origin is None or _host(origin) == headers.get("host", "").lower()
    if not own:
        raise Forbidden(
            "a page of another site sent this",
            mend="Use the service's own pages; a proxy in front must pass on the Host header.",
        )


def _host(origin: str) -> str:
    """Host and port of an origin, "" for none ("null")."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
