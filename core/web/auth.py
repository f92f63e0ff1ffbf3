"""Who is calling, and may they?

With keys in the database every request must carry one, as `Authorization: Bearer tf_…` or
`X-API-Key: tf_…`; a route asks for a scope with `requires("chat")`. A key with scope "*" may do
everything. A browser's WebSocket, which can set no header, offers the subprotocols `trefoil` and
`trefoil-key.tf_…` instead. What the database says is remembered for `CACHE_SECONDS`, so a revoked
key is refused at the latest that much later, and the first key made closes the server as soon.

Without any key a server is open, and therefore only to its own machine: it refuses to start on any
other address, callers must come from a loopback address, and the name they asked for (Host) and the
page they come from (Origin) must be local too. The last two keep a web page that somebody opens on
this machine from calling the server behind their back (DNS rebinding, cross-site requests).

Two kinds of callers are *bound*, since what they hold lies open in a web page: a publishable key
(scope "publishable") and a session token, which a service makes and verifies itself. They pass only
where a service put the route among those for them, and there only with a scope that it asks for.

People log in where a service has that: their browser holds a cookie, which counts where no key is
presented, and which the service verifies (`LogIns`), the page that the request comes from included.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

from core.errors import Forbidden, SettingsError, Unauthorized

CACHE_SECONDS = 5.0
EVERYTHING = "*"
# As in core/db/keys.py: the scope of a key that may stand in a web page.
PUBLISHABLE = "publishable"
SUBPROTOCOL = "trefoil"
_KEY_PROTOCOL = "trefoil-key."
_MAX_CACHED = 1_000


class VerifiedKey(Protocol):
    """What must be known of a key that was found right."""

    @property
    def name(self) -> str: ...
    @property
    def scopes(self) -> Set[str]: ...


class KeyVerifier(Protocol):
    """Where the keys are; `core.db.keys.StoredKeys` is one. Both calls may block."""

    def verify(self, presented: str) -> VerifiedKey | None:
        """The key, or None where it is unknown, wrong or revoked."""

    def in_use(self) -> bool:
        """Whether there are keys at all, revoked ones included."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `name` is the key's name, "local" while there are no keys; `subject` the one thing
    that a session token is about, such as its conversation, None for a key; `person`: whether it is
    somebody who logged in, and `name` theirs."""

    name: str
    scopes: frozenset[str]
    subject: str | None = None
    person: bool = False

    @property
    def bound(self) -> bool:
        """Whether what the caller holds may be known to anybody who looks into a web page."""
        return self.subject is not None or PUBLISHABLE in self.scopes

    def may(self, scope: str) -> bool:
        """Whether the caller has this scope."""
        return scope in self.scopes or EVERYTHING in self.scopes


LOCAL = Caller("local", frozenset({EVERYTHING}))


class TokenVerifier(Protocol):
    """What a service's session tokens are. Neither call may block."""

    def is_token(self, presented: str) -> bool:
        """Whether this looks like a token and not like a key."""

    def verify(self, presented: str, origin: str | None) -> Caller | None:
        """Its caller, with a subject; None where it is forged, over, or another origin's."""


class LogIns(Protocol):
    """A service's people and the cookies of their browsers. The call may block."""

    def caller(self, headers: Headers, scope: Scope) -> Caller | None:
        """Who logged in, None without a cookie or where its time is over; Forbidden where another
        site's page may have sent the request."""


class Authenticator:
    """Asks the verifier, remembers for a few seconds what it said."""

    def __init__(
        self,
        keys: KeyVerifier | None,
        host: str,
        *,
        tokens: TokenVerifier | None = None,
        logins: LogIns | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._logins = logins
        self._open_here = is_loopback(host)
        self._clock = clock
        # digest of what was presented -> (until when it counts, who it is)
        self._callers: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._in_use: tuple[float, bool] = (float("-inf"), False)

    async def identify(self, headers: Headers, scope: Scope) -> Caller:
        """The caller; Unauthorized without a right key, Forbidden for a stranger to an open one."""
        presented = presented_key(headers)
        in_use = await self._keys_in_use()
        if not in_use:
            self._check_local(headers, scope)
        if self._tokens is not None and self._tokens.is_token(presented):
            return _held(self._tokens.verify(presented, headers.get("origin")))
        if person := None if presented else await self._logged_in(headers, scope):
            return person
        if not in_use:
            return LOCAL
        caller = self.remembered(presented) or await self._ask(presented)
        if caller is None:
            raise Unauthorized(
                "an API key is needed" if not presented else "this API key is not valid",
                mend="Send one as Authorization: Bearer tf_…, or make one with `keys create`.",
            )
        return caller

    def remembered(self, presented: str) -> Caller | None:
        """The caller of that key, if it was found right a few seconds ago."""
        digest = _digest(presented)
        until, caller = self._callers.get(digest, (float("-inf"), LOCAL))
        if self._clock() < until:
            return caller
        self._callers.pop(digest, None)
        return None

    async def refuse_open_start(self, host: str, command: str) -> None:
        """SettingsError where a server without keys is about to listen to other machines."""
        if not self._open_here and not await self._keys_in_use():
            raise SettingsError(
                f"without API keys a server listens on 127.0.0.1 only, was asked for {host}",
                mend=f"Make a key first: {command} keys create NAME --scope '*'.",
            )

    async def _logged_in(self, headers: Headers, scope: Scope) -> Caller | None:
        # A WebSocket carries no CSRF token, so a cookie opens none.
        if self._logins is None or "cookie" not in headers or scope["type"] != "http":
            return None
        return await asyncio.to_thread(self._logins.caller, headers, scope)

    async def _ask(self, presented: str) -> Caller | None:
        if self._keys is None or not presented:
            return None
        found = await asyncio.to_thread(self._keys.verify, presented)
        if found is None:
            return None
        caller = Caller(found.name, frozenset(found.scopes))
        self._callers[_digest(presented)] = (self._clock() + CACHE_SECONDS, caller)
        while len(self._callers) > _MAX_CACHED:
            self._callers.popitem(last=False)
        return caller

    async def _keys_in_use(self) -> bool:
        until, in_use = self._in_use
        if self._clock() >= until:
            in_use = self._keys is not None and await asyncio.to_thread(self._keys.in_use)
            self._in_use = (self._clock() + CACHE_SECONDS, in_use)
        return in_use

    def _check_local(self, headers: Headers, scope: Scope) -> None:
        mend = "Make an API key with `keys create`, then every caller with a key is answered."
        client = scope.get("client")
        if not self._open_here or (client and is_foreign(str(client[0]))):
            raise Forbidden("without API keys only this machine is answered", mend=mend)
        for header in ("host", "origin"):
            value = headers.get(header)
            if value is not None and not is_local_name(value):
                raise Forbidden(f"without API keys the {header} must be a local name", mend=mend)


def presented_key(headers: Headers) -> str:
    """The key a request carries, "" for none."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if "x-api-key" in headers or "sec-websocket-protocol" not in headers:
        return headers.get("x-api-key", "").strip()
    offered = [word.strip() for word in headers["sec-websocket-protocol"].split(",")]
    keys = [word.removeprefix(_KEY_PROTOCOL) for word in offered if word.startswith(_KEY_PROTOCOL)]
    return keys[0] if keys else ""


def _held(caller: Caller | None) -> Caller:
    if caller is None:
        raise Unauthorized(
            "this session token is not valid here, or its time is over",
            mend="Open a new session.",
        )
    return caller


def is_loopback(host: str) -> bool:
    """Whether a server on this host is reached from this machine alone. Names other than
    localhost count as elsewhere: who knows what they resolve to tomorrow."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_foreign(client: str) -> bool:
    """Whether a caller's address is another machine's. What is no address (a local socket, a
    test) is not."""
    try:
        return not ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def is_local_name(value: str) -> bool:
    """Whether a Host or Origin header names this machine: an address, localhost, or a name without
    a dot. A rebinding page needs a name of the public DNS, and those have dots."""
    try:
        host = urlsplit(value if "//" in value else f"//{value}").hostname or ""
    except ValueError:
        return False
    if not host or value == "null":
        return False
    if "." not in host or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def admitted(connection: HTTPConnection) -> Caller:
    """The dependency of routes for bound callers: somebody who may call at all."""
    authenticator: Authenticator = connection.app.state.authenticator
    return await authenticator.identify(connection.headers, connection.scope)


async def authenticated(caller: Annotated[Caller, Depends(admitted)]) -> Caller:
    """The dependency of all other routes: somebody who may call, and is not bound."""
    if caller.bound:
        raise Forbidden(
            "what stands in a web page does not open this",
            mend="Call it from a server, with a key that has the scope.",
        )
    return caller


def requires(*scopes: str) -> Any:
    """A dependency on one of these scopes, for `dependencies=[requires("chat")]` or, where the
    route wants to know who it is, `caller: Annotated[Caller, requires("chat", "session")]`."""

    async def check(caller: Annotated[Caller, Depends(admitted)]) -> Caller:
        if not any(caller.may(scope) for scope in scopes):
            named = " or ".join(repr(scope) for scope in scopes)
            raise Forbidden(
                f"this API key has no scope {named}",
                mend="Use one that has, or make one with `keys create`.",
            )
        return caller

    return Depends(check)


def _digest(presented: str) -> bytes:
    return hashlib.sha256(presented.encode("utf-8", "replace")).digest()
