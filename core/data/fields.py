"""How is one value of a row read, and what is said when it is wrong?

Each function takes a row and a column and gives a typed value, or raises DataError naming the
line, the column, what was expected and what came.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NoReturn, TypeVar, cast

from core.data.records import AVAILABILITIES, Availability
from core.data.tables import Row
from core.errors import DataError
from core.markup import web_address
from core.text import normalize

Choice = TypeVar("Choice", bound=str)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AMOUNT = r"(?P<amount>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_PRICE = re.compile(
    rf"(?:(?P<before>[A-Z]{{3}}) ?)?{_AMOUNT}(?: ?(?P<after>[A-Z]{{3}}))?", re.ASCII
)
_IN_STOCK = {"in_stock", "true", "yes", "available", "instock"}
_OUT_OF_STOCK = {"out_of_stock", "false", "no", "unavailable", "outofstock"}
_OTHER_STOCK: dict[str, Availability] = {"pre_order": "preorder", "back_order": "backorder"}
_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}


def fail(path: Path, row: Row, column: str, expected: str, mend: str | None = None) -> NoReturn:
    """Raise the DataError that every field shares."""
    found = row.get(column)
    shown = repr(found if not isinstance(found, str) or len(found) <= 60 else f"{found[:57]}...")
    raise DataError(f"`{column}`: expected {expected}, found {shown}", path, row.line, mend=mend)


def text_field(path: Path, row: Row, column: str) -> str:
    """A text with something readable in it, stripped. Whole numbers are read as text."""
    text = optional_text(path, row, column)
    if not text or not (text.isprintable() or normalize(text)):
        fail(path, row, column, "a text", "Fill it in, or remove the row.")
    return text


def optional_text(path: Path, row: Row, column: str) -> str:
    """A text, stripped; "" where there is none."""
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        fail(path, row, column, "a text", "Put it in quotes.")
    return value.strip()


def choice_field(path: Path, row: Row, column: str, choices: Sequence[Choice]) -> Choice:
    """One of `choices`; case does not matter."""
    value = optional_text(path, row, column).casefold()
    if value not in choices:
        fail(path, row, column, f"one of {', '.join(choices)}")
    return cast(Choice, value)


def optional_number(path: Path, row: Row, column: str) -> float | None:
    """A finite number, or None where the value is empty."""
    value = row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _as_number(value)
    if number is None:
        fail(path, row, column, "a number")
    return number


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def time_field(path: Path, row: Row, column: str) -> float:
    """Unix seconds, from a number or ISO 8601. A time without a zone is taken as UTC."""
    time = optional_time(path, row, column)
    if time is None:
        fail(path, row, column, "a time in ISO 8601 or Unix seconds")
    return time


def optional_time(path: Path, row: Row, column: str) -> float | None:
    """As `time_field`, or None where the value is empty."""
    value = row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _as_number(value)
    if number is not None:
        return number
    moment = _as_datetime(value)
    if moment is None:
        fail(path, row, column, "a time in ISO 8601 or Unix seconds", "E.g. 2026-03-01T09:30:00Z.")
    return (moment - _EPOCH).total_seconds()


def _as_datetime(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def price_field(path: Path, row: Row, column: str) -> tuple[float | None, str]:
    """(amount, currency) of `15`, `15.00 USD` or `USD 1,299.00`; (None, "") where empty."""
    value = row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, ""
    number = None if isinstance(value, str) else _as_number(value)
    if number is not None and number >= 0:
        return number, ""
    match = _PRICE.fullmatch(value.strip()) if isinstance(value, str) else None
    amount = math.inf if match is None else float(match["amount"].replace(",", ""))
    if match is None or (match["before"] and match["after"]) or math.isinf(amount):
        fail(path, row, column, "a price", "Write it as 15.00 or 15.00 USD.")
    return amount, match["before"] or match["after"] or ""


def tags_field(path: Path, row: Row, column: str) -> tuple[str, ...]:
    """Tags from a list, or from a text parted by `|`, else `;`, else `,`; doubles dropped."""
    value = row.get(column)
    if isinstance(value, list):
        if not all(isinstance(tag, str) for tag in value):
            fail(path, row, column, "a list of texts")
        parts = value
    else:
        text = optional_text(path, row, column)
        parts = text.split(next((d for d in "|;" if d in text), ","))
    return tuple(dict.fromkeys(tag for tag in (part.strip() for part in parts) if tag))


def availability_field(path: Path, row: Row, column: str) -> Availability:
    """In stock or not: a word, true/false, or a count of pieces; "in_stock" where empty."""
    value = row.get(column)
    number = _as_number(value)
    if number is not None:
        return "in_stock" if number > 0 else "out_of_stock"
    word = str(value).strip().casefold().replace(" ", "_").replace("-", "_") if value else ""
    if isinstance(value, bool):
        return "in_stock" if value else "out_of_stock"
    if word in _IN_STOCK or not word:
        return "in_stock"
    if word in _OUT_OF_STOCK:
        return "out_of_stock"
    for known in AVAILABILITIES:
        if word == known:
            return known
    if word in _OTHER_STOCK:
        return _OTHER_STOCK[word]
    fail(path, row, column, f"one of {', '.join(AVAILABILITIES)} or a count")


def truth_field(path: Path, row: Row, column: str) -> bool | None:
    """True or false, also as yes and no, 1 and 0; None where the value is empty."""
    value = row.get(column)
    word = "" if value is None else str(value).strip().casefold()
    if not word:
        return None
    if word not in _TRUE | _FALSE:
        fail(path, row, column, "true or false")
    return word in _TRUE


def address_field(path: Path, row: Row, column: str) -> str:
    """An address of http or https; "" where the value is empty."""
    text = optional_text(path, row, column)
    if text and not web_address(text):
        mend = "Write all of it, as in https://shop.example/cup.jpg, or leave it out."
        fail(path, row, column, "an http or https address", mend)
    return text
