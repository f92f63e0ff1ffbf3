"""How does a product of a Google Merchant feed become an item?

Names and spellings are those of Google's product data specification. What an item has no field for
becomes an attribute under Google's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from core.data.attributes import attributes_of
from core.data.fields import (
    address_field,
    availability_field,
    fail,
    optional_text,
    price_field,
    text_field,
    truth_field,
)
from core.data.records import Item
from core.data.shop import MAX_DESCRIPTION, title_field
from core.data.tables import Row, Skip, iterate_table
from core.errors import DataError
from core.markup import plain_text

# What an item has a field for; the first of several values counts.
_FIELDS: Final = frozenset(
    {"id", "title", "description", "availability", "brand", "item_group_id", "image_link"}
    | {"price", "sale_price", "sale_price_effective_date", "product_type"}
)
_ADDRESSES: Final = ("link", "mobile_link")
_TRUTHS: Final = ("adult", "is_bundle", "identifier_exists")


def merchant_name(column: str) -> str:
    """The specification's name of a column, which may come as `g:image_link` or `Image link`."""
    name = column.strip().lower().removeprefix("g:")
    return "_".join(name.replace("_", " ").split())


def merchant_table(path: Path, extension: str, skip: Skip | None) -> Iterator[Row]:
    """The rows of a feed that is a table, under the specification's names. DataError where it has
    no column `id` or `title`."""
    for row in iterate_table(path, (), skip=skip, extension=extension):
        named = Row({merchant_name(column): value for column, value in row.items()}, row.line)
        missing = [column for column in ("id", "title") if column not in named]
        if missing:
            raise DataError(
                f"column `{missing[0]}` missing; found {', '.join(list(named)[:20])}",
                path,
                1,
                mend="Expected are the names of Google's product data specification.",
            )
        yield named


def merchant_item(path: Path, row: Row, now: float) -> Item:
    """The item that a row says, at the price of `now` (Unix seconds). DataError names the line."""
    single = {
        name: value[0] if isinstance(value, list) and name in (*_FIELDS, *_ADDRESSES) else value
        for name, value in row.items()
    }
    row = Row(single, row.line)
    price, currency, regular = _price(path, row, now)
    others: dict[str, object] = {n: v for n, v in row.items() if n not in _FIELDS}
    others |= {name: address_field(path, row, name) for name in _ADDRESSES if name in row}
    others |= {name: truth_field(path, row, name) for name in _TRUTHS if name in row}
    others |= {} if regular is None else {"regular_price": regular}
    return Item(
        item_id=text_field(path, row, "id"),
        title=title_field(path, row, "title"),
        description=plain_text(optional_text(path, row, "description"), MAX_DESCRIPTION),
        category=_category(path, row),
        brand=plain_text(optional_text(path, row, "brand"), MAX_DESCRIPTION),
        price=price,
        currency=currency,
        availability=availability_field(path, row, "availability"),
        item_group_id=optional_text(path, row, "item_group_id"),
        image=address_field(path, row, "image_link"),
        attributes=attributes_of(others),
        line=row.line,
    )


def _price(path: Path, row: Row, now: float) -> tuple[float | None, str, float | None]:
    """(what it costs now, currency, the regular price where it is on sale)."""
    price, currency = price_field(path, row, "price")
    sale, sale_currency = price_field(path, row, "sale_price")
    if sale is None or not _on_sale(path, row, now):
        return price, currency, None
    if sale_currency and currency and sale_currency != currency:
        fail(path, row, "sale_price", f"a price in {currency}")
    return sale, sale_currency or currency, price


def _on_sale(path: Path, row: Row, now: float) -> bool:
    """Whether the sale price holds now: it does where no span of time is given."""
    column = "sale_price_effective_date"
    span = optional_text(path, row, column)
    if not span:
        return True
    try:
        moments = [datetime.fromisoformat(part.strip()) for part in span.split("/")]
        begin, end = [m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments]
        return begin.timestamp() <= now < end.timestamp()
    except (ValueError, OverflowError):
        fail(
            path,
            row,
            column,
            "two times in ISO 8601 parted by a slash",
            "E.g. 2026-11-25T00:00+0100/2026-11-30T23:59+0100.",
        )


def _category(path: Path, row: Row) -> str:
    """The shop's own category; else Google's, unless that is a bare number."""
    own = optional_text(path, row, "product_type")
    google = row.get("google_product_category")
    google = google[0] if isinstance(google, list) else google
    text = own or ("" if google is None or str(google).strip().isdigit() else str(google))
    return plain_text(text, MAX_DESCRIPTION)
