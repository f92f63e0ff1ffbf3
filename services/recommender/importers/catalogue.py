"""Which format is a file of items in, and who reads it?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from core.data.readers import read_items
from core.data.records import Item
from core.data.shop import unique_items
from core.data.tables import Row, Skip
from core.errors import DataError
from services.recommender.importers.merchant import (
    merchant_item,
    merchant_name,
    merchant_table,
)
from services.recommender.importers.merchant_xml import merchant_feed

FORMATS: Final = (
    "csv",
    "tsv",
    "jsonl",
    "parquet",
    "yaml",
    "google-tsv",
    "google-csv",
    "google-xml",
)
_HEAD_BYTES = 65_536
_BY_EXTENSION: Final[dict[str, str]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_DELIMITER = re.compile("\t|,")


def read_catalogue(
    path: Path, *, chosen: str | None, now: float, skip: Skip | None = None
) -> list[Item]:
    """The items of a file, each item_id once. `chosen` is one of FORMATS; without it the file
    tells. A bad row raises DataError with its line, or `skip` is told of it. `now`, in Unix
    seconds, decides which sale prices hold."""
    found = chosen or format_of(path)
    rows: Iterable[Row]
    if found == "google-xml":
        rows = merchant_feed(path)
    elif found in ("google-tsv", "google-csv"):
        rows = merchant_table(path, "." + found.removeprefix("google-"), skip)
    else:
        return read_items(path, skip=skip, extension=f".{found}")
    items = list(unique_items(path, rows, lambda row: merchant_item(path, row, now), skip))
    if not items and skip is None:
        raise DataError("no products in it", path, mend="Expected are products of Google Merchant.")
    return items


def format_of(path: Path) -> str:
    """What the beginning of a file says of its format, else its extension. Of the delimited ones
    Google's have a column `id`, ours `item_id`."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error
    if head.startswith(b"PAR1"):
        return "parquet"
    extension = path.suffix.lower()
    if extension in _BY_EXTENSION:
        return _BY_EXTENSION[extension]
    # In UTF-16 every other byte of XML is NUL.
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if text.startswith(b"<"):
        return "google-xml"
    if text.startswith(b"{"):
        return "jsonl"
    header = text.split(b"\n", 1)[0].decode("utf-8", "replace")
    tabs = "\t" in header or (extension == ".tsv" and "," not in header)
    names = {merchant_name(name.strip().strip('"')) for name in _DELIMITER.split(header)}
    if "id" in names and "item_id" not in names:
        return "google-tsv" if tabs else "google-csv"
    return "tsv" if tabs or extension == ".tsv" else "csv"
