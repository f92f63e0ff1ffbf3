"""Where does the next page begin? A cursor is the last row's place, opaque to the caller."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from core.errors import InvalidInput

_LARGEST_ID = 2**63 - 1


def encode_cursor(moment: datetime, row_id: int) -> str:
    """The place after the row with this moment and id, newest first."""
    text = f"{moment.astimezone(UTC).isoformat()}|{row_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, int]:
    """What `encode_cursor` was given. InvalidInput for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        moment, _, row_id = base64.b64decode(padded, b"-_", validate=True).decode().partition("|")
        place = datetime.fromisoformat(moment).astimezone(UTC), int(row_id)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise InvalidInput(
            "the cursor is not one of ours", mend="Send next_cursor of the page before, unchanged."
        ) from error
    if not 0 <= place[1] <= _LARGEST_ID:
        raise InvalidInput("the cursor is not one of ours", mend="Begin again without a cursor.")
    return place
