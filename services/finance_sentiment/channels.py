"""Which channels are told of alerts, and how is a list of them read?

A YAML file (setting CHANNELS):

    - name: desk                      # letters, digits, . _ -; stands in the outbox, so keep it
      kind: webhook                   # webhook, alertmanager, slack, email or apprise
      address: https://desk.example/hooks/news
      secret_env: DESK_SECRET         # optional: the environment variable that signs
      matchers:                       # optional: only alerts that meet all of these
        - {name: topic, operator: "=", value: banking}

Secrets stand in the environment and are named here (`address_env`, `secret_env`, `token_env`,
`password_env`), so that the file may be shown to anybody; see docs/DELIVERY.md for every key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from core.data.tables import Row, read_table
from core.errors import DataError, InvalidInput, NotFound
from core.markup import web_address
from services.finance_sentiment.silences import Matcher, checked_matchers

Kind = Literal["webhook", "alertmanager", "slack", "email", "apprise"]
Security = Literal["starttls", "tls", "none"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# Each may hang in a connection of its own: no more than the guarded client opens at once.
MAX_CHANNELS: Final = 20
MAX_RECIPIENTS: Final = 50
_PORTS: Final[Mapping[Security, int]] = {"starttls": 587, "tls": 465, "none": 25}
_OF_ALL = ("name", "kind", "address", "address_env", "matchers")
_OF_KIND: Final[Mapping[Kind, tuple[str, ...]]] = {
    "webhook": ("secret_env", "token_env"),
    "alertmanager": ("token_env",),
    "slack": (),
    "email": ("smtp", "security", "from", "user", "password_env", "ca_file"),
    "apprise": (),
}
_NAME = re.compile(r"[A-Za-z0-9._-]{1,60}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# No more than is needed to keep an address in its header; the mail server judges the rest.
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_SERVER = re.compile(r"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Mail:
    """Whom to write to, from whom, and through which server."""

    recipients: tuple[str, ...]
    sender: str
    host: str
    port: int
    security: Security
    user: str = ""
    password: str = field(default="", repr=False)
    # A file of certificates to trust beside the system's, for a server of one's own.
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. `address` may hold a secret; `secret` signs, `token` is a bearer token."""

    name: str
    kind: Kind
    address: str = field(repr=False)
    matchers: tuple[Matcher, ...] = ()
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    mail: Mail | None = None


def read_channels(path: Path, environment: Mapping[str, str]) -> list[Channel]:
    """The channels of a YAML list. DataError names the line, the key and what was expected."""
    rows = read_table(path, ("name", "kind"))
    if len(rows) > MAX_CHANNELS:
        raise DataError(f"expected at most {MAX_CHANNELS} channels, found {len(rows)}", path)
    found: dict[str, Channel] = {}
    for row in rows:
        channel = _Reading(path, row, environment).channel()
        if channel.name in found:
            raise DataError(f"a channel named {channel.name!r} stands above", path, row.line)
        found[channel.name] = channel
    return list(found.values())


def channel_named(channels: Sequence[Channel], name: str) -> Channel:
    """NotFound where none has this name."""
    for channel in channels:
        if channel.name == name:
            return channel
    known = ", ".join(channel.name for channel in channels) or "none"
    raise NotFound(f"there is no channel {name!r:.80}", mend=f"Channels are: {known}.")


@dataclass(frozen=True)
class _Reading:
    """One row on its way to a channel."""

    path: Path
    row: Row
    environment: Mapping[str, str]

    def channel(self) -> Channel:
        name, kind = self.row["name"], self.row["kind"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self._wrong("name", "1 to 60 letters, digits, dots, dashes or underscores")
        if kind not in KINDS:
            raise self._wrong("kind", f"one of {', '.join(KINDS)}")
        self._check_keys(kind)
        address = self._address(kind)
        return Channel(
            name=name,
            kind=kind,
            address=address,
            matchers=self._matchers(),
            secret=self._secret("secret_env"),
            token=self._secret("token_env"),
            mail=self._mail(address) if kind == "email" else None,
        )

    def _check_keys(self, kind: Kind) -> None:
        known = (*_OF_ALL, *_OF_KIND[kind])
        for key in self.row:
            if key not in known:
                raise DataError(
                    f"a channel of kind {kind} has no key {key!r:.50}",
                    self.path,
                    self.row.line,
                    mend=f"Known are: {', '.join(known)}.",
                )

    def _address(self, kind: Kind) -> str:
        plain, secret = self.row.get("address"), self._secret("address_env")
        if (plain is None) == (not secret):
            raise self._wrong("address", "an address, or address_env instead")
        address = secret if plain is None else plain
        if not isinstance(address, str) or not address.strip() or not address.isprintable():
            raise self._wrong("address", "a text", show=False)
        address = address.strip()
        if kind in ("webhook", "alertmanager", "slack") and not web_address(address):
            raise self._wrong("address", "an http or https address", show=False)
        if kind == "alertmanager" and "?" in address:
            raise self._wrong("address", "the Alertmanager's address without a query", show=False)
        return address

    def _matchers(self) -> tuple[Matcher, ...]:
        said = self.row.get("matchers")
        if said is None:
            return ()
        if not isinstance(said, list) or not all(isinstance(entry, Mapping) for entry in said):
            raise self._wrong("matchers", "a list of name, operator and value")
        try:
            return checked_matchers([{"operator": "=", **entry} for entry in said])
        except InvalidInput as error:
            raise DataError(
                f"`matchers`: {error.message}", self.path, self.row.line, mend=error.mend
            ) from error

    def _mail(self, address: str) -> Mail:
        recipients = tuple(part.strip() for part in address.split(","))
        if not 1 <= len(recipients) <= MAX_RECIPIENTS or not all(map(_is_mailbox, recipients)):
            raise self._wrong("address", f"1 to {MAX_RECIPIENTS} mail addresses, parted by commas")
        sender = self.row.get("from")
        if not isinstance(sender, str) or not _is_mailbox(sender):
            raise self._wrong("from", "a mail address such as alerts@example.com")
        security = self.row.get("security", "starttls")
        if security not in _PORTS:
            raise self._wrong("security", f"one of {', '.join(_PORTS)}")
        server = _SERVER.fullmatch(str(self.row.get("smtp", "")))
        port = int(server[2] or _PORTS[security]) if server else 0
        if server is None or not 1 <= port <= 65_535:
            raise self._wrong("smtp", "host:port of the mail server")
        user, password = self.row.get("user", ""), self._secret("password_env")
        if not isinstance(user, str) or bool(user) != bool(password):
            raise self._wrong("user", "user and password_env, or neither")
        if password and security == "none":
            raise DataError(
                "`security`: a password is not sent without encryption",
                self.path,
                self.row.line,
                mend="Say starttls or tls.",
            )
        host, ca_file = server[1].strip("[]"), self.row.get("ca_file")
        ca = None if ca_file is None else self.path.parent / str(ca_file)
        if ca is not None and not ca.is_file():
            raise self._wrong("ca_file", "a file of certificates")
        chosen = cast("Security", security)
        return Mail(recipients, sender, host, port, chosen, user, password, ca)

    def _secret(self, key: str) -> str:
        """What the variable named under `key` holds; "" where there is no such key."""
        variable = self.row.get(key)
        if variable is None:
            return ""
        if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
            raise self._wrong(key, "the name of an environment variable", show=False)
        value = self.environment.get(variable, "").strip()
        if not value or not value.isprintable():
            raise DataError(
                f"`{key}`: the environment variable {variable} is not set",
                self.path,
                self.row.line,
                mend="Set it here, and where the worker is started.",
            )
        return value

    def _wrong(self, key: str, expected: str, *, show: bool = True) -> DataError:
        found: Any = self.row.get(key)
        what = f", found {found!r:.80}" if show else ""
        return DataError(f"`{key}`: expected {expected}{what}", self.path, self.row.line)


def _is_mailbox(text: str) -> bool:
    return _MAILBOX.fullmatch(text) is not None
