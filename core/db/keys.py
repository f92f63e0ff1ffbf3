"""Who may call, and with what?

A key reads `tf_<key id>_<secret>`: the id finds the row, the secret (256 random bits) proves the
right. Only the secret's SHA-256 is kept; with so many random bits a slow password hash would add
time to every request and no safety. The plain key is shown once, when it is made.

A *publishable* key may stand in a web page: it carries the scope "publishable" and the origins of
the pages that may use it, each as a scope "origin:https://shop.example", and nothing else. It
begins with `tfp_`, so that nobody takes it for a secret one, or a secret one for it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import Row, Table, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.errors import Conflict, InvalidInput, NotFound

# A key with this scope may do everything.
EVERYTHING = "*"
PUBLISHABLE = "publishable"
_ORIGIN = "origin:"
_KEY = re.compile(r"tfp?_([0-9a-f]{12})_([0-9a-f]{64})")
_SCOPE = re.compile(r"[A-Za-z0-9*:._-]{1,100}")
_HOST = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]")
_NO_HASH = "0" * 64


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed: everything but the secret."""

    key_id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def origins(self) -> frozenset[str]:
        """The origins that a publishable key is bound to; none for other keys."""
        return origins_of(self.scopes)


def origins_of(scopes: Iterable[str]) -> frozenset[str]:
    """The origins among the scopes of a key."""
    return frozenset(s.removeprefix(_ORIGIN) for s in scopes if s.startswith(_ORIGIN))


def create_publishable_key(
    session: Session,
    table: Table,
    name: str,
    origins: Iterable[str],
    *,
    now: datetime | None = None,
) -> str:
    """Make a key for web pages of these origins. InvalidInput where one is none."""
    bound = {_ORIGIN + origin(text) for text in origins}
    if not bound:
        raise InvalidInput(
            "a publishable key needs at least one origin",
            mend="Name the website that uses it, such as https://shop.example.",
        )
    return _create(session, table, name, {PUBLISHABLE, *bound}, "tfp", now)


def origin(text: str) -> str:
    """An origin as a browser sends it: scheme, host and a port that is not the scheme's own."""
    problem = InvalidInput(
        f"an origin is a scheme and a host, such as https://shop.example, was: {text[:100]!r}",
        mend="Leave out path, user and wildcards; name each subdomain by itself.",
    )
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError as error:
        raise problem from error
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    bare = not (parts.path.strip("/") or parts.query or parts.fragment)
    if parts.scheme not in ("http", "https") or not bare or not _HOST.fullmatch(host):
        raise problem
    own = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, own) else f":{port}")


def create_key(
    session: Session,
    table: Table,
    name: str,
    scopes: Iterable[str] = (EVERYTHING,),
    *,
    now: datetime | None = None,
) -> str:
    """Make a key and give its plain text, which cannot be had again. Names in use are refused."""
    return _create(session, table, name, _checked(scopes), "tf", now)


def _create(
    session: Session,
    table: Table,
    name: str,
    scopes: set[str],
    prefix: str,
    now: datetime | None,
) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise InvalidInput("a key's name must have 1 to 200 printable characters")
    if _live(session, table, name):
        raise Conflict(
            f"there is a key named {name!r} already", mend="Choose another name, or revoke it."
        )
    key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    session.execute(
        insert(table).values(
            key_id=key_id,
            name=name,
            secret_hash=_hash(secret),
            scopes=" ".join(sorted(scopes)),
            created_at=now or datetime.now(UTC),
        )
    )
    return f"{prefix}_{key_id}_{secret}"


def list_keys(session: Session, table: Table) -> list[ApiKey]:
    """Every key, revoked ones too, in the order they were made."""
    rows = session.execute(select(table).order_by(table.c.created_at, table.c.key_id))
    return [_api_key(row) for row in rows]


def revoke_key(
    session: Session, table: Table, name_or_id: str, *, now: datetime | None = None
) -> ApiKey:
    """Revoke the key of that name or id. NotFound where no live key has it."""
    found = _live(session, table, name_or_id)
    if not found:
        raise NotFound(
            f"there is no live key named {name_or_id!r}", mend="`keys list` shows all of them."
        )
    revoked_at = now or datetime.now(UTC)
    session.execute(
        update(table).where(table.c.key_id == found[0].key_id).values(revoked_at=revoked_at)
    )
    key = _api_key(found[0])
    return ApiKey(key.key_id, key.name, key.scopes, key.created_at, revoked_at)


def verify_key(session: Session, table: Table, presented: str) -> ApiKey | None:
    """The key that was presented, or None: unknown, revoked, or its secret is wrong."""
    parts = _KEY.fullmatch(presented)
    if parts is None:
        return None
    row = session.execute(select(table).where(table.c.key_id == parts[1])).one_or_none()
    # An unknown id costs the same comparison as a wrong secret.
    expected = _NO_HASH if row is None else str(row.secret_hash)
    right = hmac.compare_digest(expected, _hash(parts[2]))
    if row is None or not right or row.revoked_at is not None:
        return None
    return _api_key(row)


def any_key(session: Session, table: Table, *, live: bool = False) -> bool:
    """Whether keys are in use. Revoked ones count, unless `live` asks for usable ones alone:
    revoking the last key closes a server, it does not open it to everybody."""
    query = select(table.c.key_id).limit(1)
    if live:
        query = query.where(table.c.revoked_at.is_(None))
    return session.execute(query).first() is not None


class StoredKeys:
    """The verifier that `core.web` asks, on a service's own table."""

    def __init__(self, sessions: sessionmaker[Session], table: Table) -> None:
        self._sessions = sessions
        self._table = table

    def verify(self, presented: str) -> ApiKey | None:
        """See `verify_key`."""
        with self._sessions() as session:
            return verify_key(session, self._table, presented)

    def in_use(self) -> bool:
        """Whether there is any key, be it revoked."""
        with self._sessions() as session:
            return any_key(session, self._table)

    def origins(self) -> frozenset[str]:
        """The origins of all live publishable keys."""
        query = select(self._table.c.scopes).where(self._table.c.revoked_at.is_(None))
        with self._sessions() as session:
            return frozenset().union(*(origins_of(s.split()) for s in session.scalars(query)))


def _live(session: Session, table: Table, name_or_id: str) -> list[Row[tuple[object, ...]]]:
    named = (table.c.name == name_or_id) | (table.c.key_id == name_or_id)
    query = select(table).where(named, table.c.revoked_at.is_(None))
    return list(session.execute(query).all())


def _checked(scopes: Iterable[str]) -> set[str]:
    checked = set(scopes)
    if not checked:
        raise InvalidInput("a key needs at least one scope", mend=f"Use {EVERYTHING!r} for all.")
    for scope in checked:
        if scope == PUBLISHABLE or scope.startswith(_ORIGIN):
            raise InvalidInput(
                f"the scope {scope[:100]!r} is kept for publishable keys",
                mend="Make one with --publishable --origin https://shop.example.",
            )
        if not _SCOPE.fullmatch(scope):
            raise InvalidInput(
                f"a scope may hold letters, digits and : . _ - *, was: {scope[:100]!r}"
            )
    return checked


def _api_key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        name=row.name,
        scopes=frozenset(row.scopes.split()),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
