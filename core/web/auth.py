"""Who is calling, and may they?

With keys in the database every request must carry one, as `Authorization: Bearer tf_…` or
`X-API-Key: tf_…`; a route asks for a scope with `requires("chat")`. A key with scope "*" may do
everything. What the database says is remembered for `CACHE_SECONDS`, so a revoked key is refused at
the latest that much later, and the first key made closes the server as soon.

Without any key a server is open, and therefore only to its own machine: it refuses to start on any
other address, callers must come from a loopback address, and the name they asked for (Host) and the
page they come from (Origin) must be local too. The last two keep a web page that somebody opens on
this machine from calling the server behind their back (DNS rebinding, cross-site requests).
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
    """Who calls. `name` is the key's name, "local" while there are no keys."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the caller has this scope."""
        return scope in self.scopes or EVERYTHING in self.scopes


LOCAL = Caller("local", frozenset({EVERYTHING}))


class Authenticator:
    """Asks the verifier, remembers for a few seconds what it said."""

    def __init__(
        self,
        keys: KeyVerifier | None,
        host: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._open_here = is_loopback(host)
        self._clock = clock
        # digest of what was presented -> (until when it counts, who it is)
        self._callers: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._in_use: tuple[float, bool] = (float("-inf"), False)

    async def identify(self, headers: Headers, scope: Scope) -> Caller:
        """The caller; Unauthorized without a right key, Forbidden for a stranger to an open one."""
        if not await self._keys_in_use():
            self._check_local(headers, scope)
            return LOCAL
        presented = presented_key(headers)
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
    return headers.get("x-api-key", "").strip()


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


async def authenticated(connection: HTTPConnection) -> Caller:
    """The dependency that every route of a service has: somebody who may call at all."""
    authenticator: Authenticator = connection.app.state.authenticator
    return await authenticator.identify(connection.headers, connection.scope)


def requires(scope: str) -> Any:
    """A dependency on a scope, for `dependencies=[requires("chat")]` or, where the route wants to
    know who it is, `caller: Annotated[Caller, requires("chat")]`."""

    async def check(caller: Annotated[Caller, Depends(authenticated)]) -> Caller:
        if not caller.may(scope):
            raise Forbidden(
                f"this API key has no scope {scope!r}",
                mend="Use one that has, or make one with `keys create`.",
            )
        return caller

    return Depends(check)


def _digest(presented: str) -> bytes:
    return hashlib.sha256(presented.encode("utf-8", "replace")).digest()
