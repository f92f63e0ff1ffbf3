"""How are a shop's items and its users' events read?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from core.data.attributes import attributes_of, column_readers
from core.data.fields import (
    address_field,
    availability_field,
    choice_field,
    fail,
    optional_number,
    optional_text,
    optional_time,
    price_field,
    tags_field,
    text_field,
    time_field,
    truth_field,
)
from core.data.records import EVENT_KINDS, Attribute, Event, Item
from core.data.tables import Row, Skip, iterate_table, unless_skipped
from core.data.texts import extra_columns
from core.errors import DataError
from core.markup import plain_text

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
    "currency",
    "image",
    "hidden",
)
_ITEM_COLUMNS: Final = (*ITEM_REQUIRED, *ITEM_OPTIONAL)
# Longer ones are cut at the end of a word, as a list of products shows them.
MAX_TITLE: Final = 1_000
MAX_DESCRIPTION: Final = 20_000
# Files that know texts alone.
_TEXT_ONLY: Final = (".csv", ".tsv")
EVENT_REQUIRED: Final = ("user_id", "item_id", "event", "timestamp")
EVENT_OPTIONAL: Final = ("value", "event_id")


def read_items(path: str | Path, *, skip: Skip | None = None, extension: str = "") -> list[Item]:
    """Rows of `item_id,title` and any of the optional columns; an item_id stands once. Other
    columns are attributes as far as those can hold them, else `extra`. Titles and descriptions
    are cleaned of HTML. For `skip` and `extension` see `iterate_table`."""
    path = Path(path)
    table = iterate_table(path, ITEM_REQUIRED, ITEM_OPTIONAL, skip=skip, extension=extension)
    rows = list(table)
    readers: dict[str, Callable[[str], Attribute]] = {}
    if (extension or path.suffix.lower()) in _TEXT_ONLY and rows:
        readers = column_readers(rows, [c for c in rows[0] if c not in _ITEM_COLUMNS])
    return list(unique_items(path, rows, lambda row: _item(path, row, readers), skip))


def unique_items(
    path: Path, rows: Iterable[Row], item_of: Callable[[Row], Item], skip: Skip | None
) -> Iterator[Item]:
    """The rows as items, each item_id once. A bad row raises its DataError, or `skip` is told."""
    lines: dict[str, int] = {}
    for row in rows:
        try:
            item = item_of(row)
            if item.item_id in lines:
                raise DataError(
                    f"item_id {item.item_id!r} stands already on line {lines[item.item_id]}",
                    path,
                    row.line,
                    mend="Remove one of the rows.",
                )
        except DataError as error:
            unless_skipped(error, skip)
            continue
        lines[item.item_id] = row.line
        yield item


def title_field(path: Path, row: Row, column: str) -> str:
    """A title as plain text, at most MAX_TITLE characters; something readable must be in it."""
    title = plain_text(text_field(path, row, column), MAX_TITLE)
    if not title:
        fail(path, row, column, "a text outside of markup", "Fill it in, or remove the row.")
    return title


def _item(path: Path, row: Row, readers: Mapping[str, Callable[[str], Attribute]]) -> Item:
    price, currency = price_field(path, row, "price")
    extra = dict(extra_columns(row, _ITEM_COLUMNS))
    for column, read in readers.items():
        if text := str(extra[column]).strip():
            extra[column] = read(text)
    attributes = attributes_of(extra)
    return Item(
        item_id=text_field(path, row, "item_id"),
        title=title_field(path, row, "title"),
        description=plain_text(optional_text(path, row, "description"), MAX_DESCRIPTION),
        tags=tags_field(path, row, "tags"),
        category=optional_text(path, row, "category"),
        brand=optional_text(path, row, "brand"),
        price=price,
        currency=currency or optional_text(path, row, "currency"),
        availability=availability_field(path, row, "availability"),
        created_at=optional_time(path, row, "created_at"),
        item_group_id=optional_text(path, row, "item_group_id"),
        image=address_field(path, row, "image"),
        attributes=attributes,
        hidden=truth_field(path, row, "hidden"),
        line=row.line,
        extra={
            c: v for c, v in extra.items() if c.strip() not in attributes and v not in (None, "")
        },
    )


def read_events(
    path: str | Path, *, allow_empty: bool = False, skip: Skip | None = None
) -> list[Event]:
    """Rows of `user_id,item_id,event,timestamp`, optionally `value,event_id`, in file order.

    `allow_empty` accepts a header without rows: a history may well be empty. For `skip` see
    `iterate_table`.
    """
    path = Path(path)
    found = []
    for row in iterate_table(
        path, EVENT_REQUIRED, EVENT_OPTIONAL, allow_empty=allow_empty, skip=skip
    ):
        try:
            found.append(_event(path, row))
        except DataError as error:
            unless_skipped(error, skip)
    return found


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
