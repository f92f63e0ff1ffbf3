"""Which rows make a page, and where does the next one begin?

A cursor is the place of the last row (its moment and its id), opaque to the caller.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, or_
from sqlalchemy.orm import Session

from core.errors import InvalidInput

_LARGEST_ID = 2**63 - 1


def newest_page(
    session: Session,
    query: Select[Any],
    place: tuple[ColumnElement[datetime], ColumnElement[int]],
    limit: int,
    cursor: str | None,
) -> tuple[list[Row[Any]], str | None]:
    """At most `limit` rows, newest first, and the cursor of the next page (None after the last).

    `place`: the columns (moment, id) of `query` that order the rows. InvalidInput: not our cursor.
    """
    moment, row_id = place
    if cursor:
        last, last_id = decode_cursor(cursor)
        query = query.where(or_(moment < last, and_(moment == last, row_id < last_id)))
    query = query.order_by(moment.desc(), row_id.desc()).limit(limit + 1)
    rows = list(session.execute(query))
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    end = page[-1]._mapping
    return page, encode_cursor(end[moment], end[row_id])


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
