"""Does this request come from somebody who logged in, and from our own page?

The cookie alone proves who, and a browser sends it by itself. So a request that changes something
must also prove where it comes from: the header X-CSRF-Token holds a token that is bound to the
session and that only our own pages can read, and the browser's own word (Sec-Fetch-Site, else
Origin) must be that the page is ours. The token is the HMAC of the session's, so nothing is stored.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from core.errors import Forbidden
from core.web import Caller
from core.web.page_login import check_own_page
from services.customer_service.accounts import Accounts, LogIn

COOKIE: Final = "trefoil_desk"
DESK: Final = "desk"
_HEADER: Final = "x-csrf-token"
_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What each role may do.
SCOPES: Final = {"agent": frozenset({DESK}), "admin": frozenset({DESK, "admin"})}


class DeskLogIns:
    """The verifier that `core.web` asks."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def caller(self, headers: Headers, scope: Scope) -> Caller | None:
        """Who logged in; None without a cookie, or where the session is over. Forbidden where a
        changing request does not prove that our own page sent it."""
        token = cookie_of(headers)
        agent = self._accounts.of_token(token) if token else None
        if agent is None:
            return None
        if scope.get("method", "") not in _HARMLESS:
            check_own_page(headers)
            if not hmac.compare_digest(_said(headers), csrf_token(token).encode("ascii")):
                raise Forbidden(
                    "the header X-CSRF-Token is missing, or not that of this session",
                    mend="Send the csrf_token of POST /v1/desk/login or GET /v1/desk/me.",
                )
        return Caller(agent.name, SCOPES[agent.role], person=True)


def cookie_of(headers: Headers) -> str:
    """The session's token, "" for none."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def csrf_token(token: str) -> str:
    """What our pages send in X-CSRF-Token, for the session of this token."""
    content = token.encode("utf-8", "replace")
    return hmac.new(content, b"csrf token of the desk", hashlib.sha256).hexdigest()


def set_cookie(response: Response, begun: LogIn, *, secure: bool) -> None:
    """Give the browser the session, until it is closed or the session is over."""
    response.set_cookie(
        COOKIE, begun.token, path="/", secure=secure, httponly=True, samesite="strict"
    )


def clear_cookie(response: Response) -> None:
    """Take it back."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def _said(headers: Headers) -> bytes:
    return headers.get(_HEADER, "").encode("utf-8", "replace")
