"""How are a shop's items and its users' events read?"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.data.fields import (
    availability_field,
    choice_field,
    optional_number,
    optional_text,
    optional_time,
    price_field,
    tags_field,
    text_field,
    time_field,
)
from core.data.records import EVENT_KINDS, Event, Item
from core.data.tables import Row, iterate_table
from core.data.texts import extra_columns
from core.errors import DataError

ITEM_REQUIRED: Final = ("item_id", "title")
ITEM_OPTIONAL: Final = (
    "description",
    "tags",
    "category",
    "brand",
    "price",
    "availability",
    "created_at",
    "item_group_id",
)
EVENT_REQUIRED: Final = ("user_id", "item_id", "event", "timestamp")
EVENT_OPTIONAL: Final = ("value", "event_id")


def read_items(path: str | Path) -> list[Item]:
    """Rows of `item_id,title` and any of the optional columns; an item_id stands once."""
    path = Path(path)
    items: list[Item] = []
    lines: dict[str, int] = {}
    for row in iterate_table(path, ITEM_REQUIRED, ITEM_OPTIONAL):
        item = _item(path, row)
        if item.item_id in lines:
            raise DataError(
                f"item_id {item.item_id!r} stands already on line {lines[item.item_id]}",
                path,
                row.line,
                mend="Remove one of the rows.",
            )
        lines[item.item_id] = row.line
        items.append(item)
    return items


def _item(path: Path, row: Row) -> Item:
    price, currency = price_field(path, row, "price")
    return Item(
        item_id=text_field(path, row, "item_id"),
        title=text_field(path, row, "title"),
        description=optional_text(path, row, "description"),
        tags=tags_field(path, row, "tags"),
        category=optional_text(path, row, "category"),
        brand=optional_text(path, row, "brand"),
        price=price,
        currency=currency,
        availability=availability_field(path, row, "availability"),
        created_at=optional_time(path, row, "created_at"),
        item_group_id=optional_text(path, row, "item_group_id"),
        line=row.line,
        extra=extra_columns(row, (*ITEM_REQUIRED, *ITEM_OPTIONAL)),
    )


def read_events(path: str | Path, *, allow_empty: bool = False) -> list[Event]:
    """Rows of `user_id,item_id,event,timestamp`, optionally `value,event_id`, in file order.

    `allow_empty` accepts a header without rows: a history may well be empty.
    """
    path = Path(path)
    rows = iterate_table(path, EVENT_REQUIRED, EVENT_OPTIONAL, allow_empty=allow_empty)
    return [_event(path, row) for row in rows]


def _event(path: Path, row: Row) -> Event:
    return Event(
        user_id=text_field(path, row, "user_id"),
        item_id=text_field(path, row, "item_id"),
        event=choice_field(path, row, "event", EVENT_KINDS),
        timestamp=time_field(path, row, "timestamp"),
        value=optional_number(path, row, "value"),
        event_id=optional_text(path, row, "event_id") or None,
        line=row.line,
        extra=extra_columns(row, (*EVENT_REQUIRED, *EVENT_OPTIONAL)),
    )
