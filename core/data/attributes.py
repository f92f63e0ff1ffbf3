"""What may a further field of an item hold, and what do a file's extra columns say as such?"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from core.data.records import Attribute

MAX_ATTRIBUTES: Final = 50
MAX_NAME: Final = 100
MAX_TEXT: Final = 1_000
MAX_LIST: Final = 100
MAX_LIST_TEXT: Final = 200
# Whole numbers that a float holds exactly, so that comparing never overflows.
MAX_WHOLE: Final = 2**53

# Leading zeros and endless digits are names of things (a GTIN, a postcode), not amounts.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?", re.ASCII)
_TRUTH: Final = {"true": True, "false": False}


def as_attribute(value: object) -> Attribute | None:
    """The value if an attribute can hold it, within the bounds above; None where it is empty or
    cannot. Texts come back stripped, decimals as floats, dates in ISO 8601."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if isinstance(value, str):
        value = value.strip()
        return value if 0 < len(value) <= MAX_TEXT else None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_WHOLE else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list) and 0 < len(value) <= MAX_LIST:
        texts = [one for one in value if isinstance(one, str) and 0 < len(one) <= MAX_LIST_TEXT]
        return texts if len(texts) == len(value) else None
    return None


def attributes_of(extra: Mapping[str, object]) -> dict[str, Attribute]:
    """Those of a row's extra columns that are attributes, at most MAX_ATTRIBUTES, in order."""
    found: dict[str, Attribute] = {}
    for name, value in extra.items():
        one = as_attribute(value)
        if one is not None and 0 < len(name.strip()) <= MAX_NAME and len(found) < MAX_ATTRIBUTES:
            found[name.strip()] = one
    return found


def column_readers(
    rows: Sequence[Mapping[str, object]], columns: Iterable[str]
) -> dict[str, Callable[[str], Attribute]]:
    """Of a file that knows only texts: the columns that hold nothing but numbers ("42", "1.5";
    "007" is none), or nothing but true and false, each with what reads a value. Empty values
    decide nothing."""
    found: dict[str, Callable[[str], Attribute]] = {}
    for name in columns:
        texts = [text for row in rows if (text := str(row.get(name) or "").strip())]
        if texts and all(map(_NUMBER.fullmatch, texts)):
            found[name] = _number
        elif texts and all(text.casefold() in _TRUTH for text in texts):
            found[name] = _truth
    return found


def _number(text: str) -> Attribute:
    return float(text) if "." in text else int(text)


def _truth(text: str) -> Attribute:
    return _TRUTH[text.casefold()]
