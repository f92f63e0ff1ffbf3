"""What is sent to a company's webhook, where may it lie, and what of its answer is used?

Pure; actions.py sends. An address is one of the company's own (`action_urls`) or lies below it:
what an imported file names elsewhere is never called.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from core.text import without_hidden

TIMESTAMP_HEADER: Final = "x-trefoil-timestamp"
SIGNATURE_HEADER: Final = "x-trefoil-signature"
DEFAULT_SECONDS: Final = 3.0
LONGEST_SECONDS: Final = 10.0
_MAX_KEYS: Final = 50
_MAX_VALUE: Final = 500


@dataclass(frozen=True, slots=True)
class CallCase:
    """What is said instead while each key of the reply has the value named."""

    when: Mapping[str, str]
    answers: Mapping[str, tuple[str, ...]]

    def holds(self, facts: Mapping[str, str]) -> bool:
        """Upper and lower case of a value are the same."""
        return all(
            name in facts and facts[name].casefold() == value.casefold()
            for name, value in self.when.items()
        )


@dataclass(frozen=True, slots=True)
class Call:
    """A company's webhook: it gets `slots` and gives `replies`, which fill the intent's answers.

    `url`: a path below the first base address, or a whole address below any. `timeout`: seconds.
    """

    name: str
    url: str
    slots: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    timeout: float = DEFAULT_SECONDS
    cases: tuple[CallCase, ...] = ()

    def case(self, facts: Mapping[str, str]) -> CallCase | None:
        """The first case that holds."""
        return next((case for case in self.cases if case.holds(facts)), None)


@dataclass(frozen=True)
class Asked:
    """One question to a webhook."""

    call: Call
    conversation_id: str
    message_id: str
    locale: str
    slots: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The JSON that is sent: of the slots only those that the call names."""
        told = {
            "action": self.call.name,
            "conversation_id": self.conversation_id,
            "message_id": self.message_id,
            "locale": self.locale,
            "slots": {n: self.slots[n] for n in self.call.slots if n in self.slots},
        }
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")

    @property
    def key(self) -> str:
        """The same for the same message, so that a receiver knows a repeat."""
        parts = "\x1f".join((self.conversation_id, self.message_id, self.call.name))
        return hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of the timestamp, a full stop and the body."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def address(url: str, bases: Sequence[str]) -> str | None:
    """The whole address of a call; None where it lies below none of the base addresses."""
    if not bases or not is_plain(url):
        return None
    if url.startswith("/"):
        return bases[0].rstrip("/") + url
    for base in bases:
        root = base.rstrip("/")
        if url == root or url.startswith((f"{root}/", f"{root}?")):
            return url
    return None


def is_plain(url: str) -> bool:
    """Whether an address leaves no doubt where it leads: no name, no way up, no escape in it."""
    if not url.isascii() or not url.isprintable() or any(c in url for c in ' \\@#%<>"'):
        return False
    if url.startswith("/"):
        path = url.partition("?")[0]
        return not url.startswith("//") and ".." not in path.split("/")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return known and (parts.port or 1) > 0 and ".." not in parts.path.split("/")
    except ValueError:
        return False


def facts_of(reply: Any) -> dict[str, str] | None:
    """The flat values of a reply as text, bounded and without hidden characters; None where it is
    no JSON object. What is nested, null or beyond fifty keys is left out."""
    if not isinstance(reply, Mapping):
        return None
    facts = {}
    for name, value in list(reply.items())[:_MAX_KEYS]:
        said = _said(value)
        if said:
            facts[str(name)] = said
    return facts


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, int) and abs(value) >= 10**20:
        return ""
    if not isinstance(value, str | int | float):
        return ""
    return " ".join(without_hidden(str(value)).split())[:_MAX_VALUE]
