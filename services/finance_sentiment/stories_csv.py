"""How does a page of stories look as CSV?

One row a story; several sources or companies stand in one cell with "|" between them, a company as
`name=sentiment`. Titles come from feeds and are opened in spreadsheets: a cell that would be read
as a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from services.finance_sentiment.schemas import Story

COLUMNS = tuple(Story.model_fields)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(stories: Sequence[Story]) -> str:
    """UTF-8 text with a header line, RFC 4180."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for story in stories:
        said = story.model_dump(mode="json")
        writer.writerow([_cell(name, said[name]) for name in COLUMNS])
    return file.getvalue()


def _cell(name: str, value: Any) -> Any:
    if name == "sources":
        value = "|".join(value)
    if name == "companies":
        value = "|".join(f"{one['company']}={one['sentiment'] or ''}" for one in value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
