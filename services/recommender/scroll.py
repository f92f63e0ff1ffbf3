"""How does a list go on without showing anything twice, whichever process answers?

The cursor carries what stood there: four bytes of each item (its `mark`, a CRC-32 of its id), so
nothing is kept on the server. A later page is ranked anew without these items and their groups: it
repeats nothing, skips nothing, and knows what the user has done since. That two items share a mark
hides one of them from the list: in a shop of a million items, one list of MOST_PASSED in four.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import InvalidInput

Marks = npt.NDArray[np.uint32]

# Items that one list goes on for.
MOST_PASSED: Final = 1_000
_KIND: Final = b"\x01"
_WIDTH: Final = 4
# The length of a cursor of MOST_PASSED items in base64.
MOST_CHARS: Final = 4 * -(-(len(_KIND) + MOST_PASSED * _WIDTH) // 3)


def encode(passed: Marks | None, shown: Sequence[int]) -> str | None:
    """The cursor behind a page with the marks `shown`, after the `passed`; None at the end of the
    list: where the page is empty or MOST_PASSED is reached."""
    before = [] if passed is None else passed.tolist()
    marks = np.array([*before, *shown], dtype="<u4")
    if not shown or len(marks) >= MOST_PASSED:
        return None
    return base64.urlsafe_b64encode(_KIND + marks.tobytes()).decode("ascii").rstrip("=")


def decode(cursor: str) -> Marks:
    """The marks that a cursor carries, none for "". InvalidInput where it is not one of ours."""
    if not cursor:
        return np.empty(0, dtype=np.uint32)
    try:
        if len(cursor) > MOST_CHARS:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        if raw[:1] != _KIND or len(raw) % _WIDTH != 1:
            raise ValueError
    except (ValueError, binascii.Error, UnicodeEncodeError):
        raise InvalidInput(
            "the cursor is not one that this service gave",
            mend='Begin again with the cursor "".',
        ) from None
    return np.frombuffer(raw[1:], dtype="<u4").astype(np.uint32)
