"""How is a password kept so that a stolen database gives it away only slowly?

As Argon2id (RFC 9106), by argon2-cffi, with a salt of its own, in one line that names its own cost,
so that the cost can be raised later and old lines still open. The cost is RFC 9106's second
recommendation, for machines with little memory: 64 MiB and 3 passes for each guess.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from core.errors import InvalidInput

SHORTEST: Final = 10
LONGEST: Final = 200
HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def checked(password: str) -> str:
    """The password, InvalidInput where it is too short, too long, or one character repeated."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(
            f"a password has {SHORTEST} to {LONGEST} characters, this one has {len(password)}",
            mend="Some words that nobody says together make a good one.",
        )
    if len(set(password)) < 3 or "\x00" in password:
        raise InvalidInput("this password is too easy to guess", mend="Choose another one.")
    return password


def hashed(password: str) -> str:
    """The line to keep."""
    return HASHER.hash(_bytes(password))


def verify(password: str, line: str | None) -> bool:
    """Whether it is the password of this line. Without a line the same work is done for nothing,
    so that the time tells nobody which names there are."""
    try:
        return HASHER.verify(line or _nobodys(HASHER), _bytes(password)) and bool(line)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys(hasher: PasswordHasher) -> str:
    return hasher.hash(b"")


def _bytes(password: str) -> bytes:
    # The same letter can be typed in two forms; a keyboard decides which.
    form = unicodedata.normalize("NFKC", password[:LONGEST])
    return form.encode("utf-8", "surrogatepass")
