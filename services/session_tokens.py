"""How does a website's visitor get a session of their own, and nobody else's?

A page holds a publishable key; with it, from one of the key's origins, it opens a session and gets
a token: signed with HMAC-SHA256, valid for some time, good for one subject (a conversation, the
history of one visitor).

    ts_<base64url of {"c": subject, "e": expiry, "k": key's name, "o": origin}>.<signature>

Nothing is stored: the token says all there is. Whoever copies the publishable key can open sessions
of their own (a program sends what Origin it likes), but gets into nobody else's with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets as random_secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Table, select
from sqlalchemy.orm import Session, sessionmaker

from core.db.keys import origins_of
from core.db.statements import insert_or_ignore
from core.errors import Forbidden, NotReady, Unauthorized
from core.web import Caller

SESSION: Final = "session"
_PREFIX: Final = "ts_"
_LONGEST: Final = 2500
_SIGNING: Final = "session_tokens"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session: its token, what it is about, and when it is over."""

    token: str
    subject: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Claims:
    subject: str
    expires: int
    key_name: str
    origin: str


class SessionTokens:
    """Makes and verifies tokens; `use` gives the secret once the database is there."""

    def __init__(self, now: Callable[[], datetime], lifetime: timedelta) -> None:
        self._now = now
        self._lifetime = lifetime
        self._secret = b""

    def use(self, secret: str) -> None:
        """Sign with this secret, the same in every process."""
        self._secret = secret.encode("ascii")

    def open(self, caller: Caller, origin: str | None, token: str | None = None) -> Opened:
        """A session for a page of `origin`; with `token`, the same subject for longer.

        Forbidden where the key is not bound to the origin, Unauthorized where the token is not one
        of this key and origin, or over.
        """
        if caller.bound and origin not in origins_of(caller.scopes):
            raise Forbidden(
                f"this key is not for pages of {origin[:100] if origin else 'no origin at all'}",
                mend="Make one with keys create NAME --publishable --origin …, "
                "and call from a page of that origin.",
            )
        subject = uuid.uuid4().hex
        if token is not None:
            subject = self._renewed(token, caller.name, origin or "")
        expires = self._now() + self._lifetime
        claims = _Claims(subject, int(expires.timestamp()), caller.name, origin or "")
        expires_at = datetime.fromtimestamp(claims.expires, UTC)
        return Opened(self._signed(claims), subject, expires_at)

    def is_token(self, presented: str) -> bool:
        """Whether this looks like a token and not like a key."""
        return presented.startswith(_PREFIX)

    def verify(self, presented: str, origin: str | None) -> Caller | None:
        """Who holds it; None where it is forged, over, or a page of another origin sends it."""
        claims = self._read(presented)
        if claims is None or (origin is not None and claims.origin not in ("", origin)):
            return None
        return Caller(claims.key_name, frozenset({SESSION}), claims.subject)

    def _renewed(self, token: str, key_name: str, origin: str) -> str:
        claims = self._read(token)
        if claims is None or (claims.key_name, claims.origin) != (key_name, origin):
            raise Unauthorized(
                "this session cannot be made longer", mend="Leave `token` out for a new one."
            )
        return claims.subject

    def _signed(self, claims: _Claims) -> str:
        if not self._secret:
            raise NotReady("the service is still starting")
        said = {
            "c": claims.subject,
            "e": claims.expires,
            "k": claims.key_name,
            "o": claims.origin,
        }
        content = _encoded(json.dumps(said).encode())
        return f"{_PREFIX}{content}.{_encoded(self._signature(content))}"

    def _read(self, token: str) -> _Claims | None:
        """What the token says, None where it is not to be believed."""
        content, _, signature = token.removeprefix(_PREFIX).partition(".")
        if not self._secret or len(token) > _LONGEST or not token.isascii():
            return None
        if not hmac.compare_digest(_encoded(self._signature(content)), signature):
            return None
        try:
            said = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
            claims = _Claims(said["c"], said["e"], said["k"], said["o"])
        except (ValueError, KeyError, TypeError, binascii.Error):
            return None  # signed by us, yet of another version
        return claims if self._now().timestamp() < claims.expires else None

    def _signature(self, content: str) -> bytes:
        return hmac.new(self._secret, content.encode("ascii"), hashlib.sha256).digest()


def kept_secret(sessions: sessionmaker[Session], table: Table) -> str:
    """The database's own secret, made where there is none; every process gets the same. `table`
    has the columns `name` (primary key) and `value`."""
    fresh = random_secrets.token_hex(32)
    with sessions.begin() as session:
        insert_or_ignore(session, table, {"name": _SIGNING, "value": fresh})
        found = session.execute(select(table.c.value).where(table.c.name == _SIGNING))
        return str(found.scalar_one())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
