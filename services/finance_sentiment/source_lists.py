"""How is a list of feeds read: YAML (CSV, JSONL), or OPML as every feed reader writes it?

A YAML file:

    - name: Meridian Wire
      url: https://meridianwire.example/feeds/business.xml
      interval_minutes: 5     # optional
      enabled: true           # optional
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.tables import read_table
from core.errors import DataError, InvalidInput
from core.markup import web_address
from services.finance_sentiment.opml import read_opml

MAX_SOURCES = 10_000
_MOST_MINUTES = 7 * 24 * 60
OPML_ENDINGS = (".opml", ".xml")


@dataclass(frozen=True, slots=True)
class Listed:
    """A feed as it stands in the file."""

    name: str
    url: str
    enabled: bool = True
    interval_seconds: float | None = None


def read_sources(path: Path) -> list[Listed]:
    """The feeds of a YAML (or CSV, JSONL) list, or of an OPML file. DataError names the line that
    is wrong."""
    if path.suffix.lower() in OPML_ENDINGS:
        return _of_opml_file(path)
    rows = read_table(path, ["name", "url"], ["interval_minutes", "enabled"])
    if len(rows) > MAX_SOURCES:
        raise DataError(f"expected at most {MAX_SOURCES} feeds, found {len(rows)}", path)
    listed = [_listed(path, row, row.line) for row in rows]
    for column in ("name", "url"):
        first: dict[str, int] = {}
        for row, feed in zip(rows, listed, strict=True):
            value = getattr(feed, column)
            if value in first:
                raise DataError(
                    f"the {column} {value!r} stands already on line {first[value]}", path, row.line
                )
            first[value] = row.line
    return listed


def _listed(path: Path, row: Mapping[str, Any], line: int) -> Listed:
    name, url = row["name"], row["url"]
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 200:
        raise DataError("`name`: expected a text of 1 to 200 characters", path, line)
    if not isinstance(url, str) or not web_address(url):
        raise DataError(
            f"`url`: expected an http or https address, found {str(url)[:80]!r}", path, line
        )
    enabled = row["enabled"] if row["enabled"] not in (None, "") else True
    if enabled in ("true", "false"):
        enabled = enabled == "true"
    if not isinstance(enabled, bool):
        raise DataError(f"`enabled`: expected true or false, found {enabled!r}", path, line)
    return Listed(name.strip(), web_address(url), enabled, _interval(path, row, line))


def _interval(path: Path, row: Mapping[str, Any], line: int) -> float | None:
    value = row["interval_minutes"]
    if value in (None, ""):
        return None
    try:
        minutes = float(value)
    except (TypeError, ValueError):
        minutes = -1.0
    if isinstance(value, bool) or not 1 / 60 <= minutes <= _MOST_MINUTES:
        raise DataError(
            f"`interval_minutes`: expected a number up to {_MOST_MINUTES}, found {value!r}",
            path,
            line,
        )
    return minutes * 60


def _of_opml_file(path: Path) -> list[Listed]:
    try:
        return listed_in_opml(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error
    except DataError:
        raise
    except InvalidInput as error:
        raise DataError(error.message, path, mend=error.mend) from error


def listed_in_opml(body: bytes) -> list[Listed]:
    """The feeds of an OPML document, each address once; two of one name get a number behind it.
    InvalidInput where it is no OPML, or names no feed."""
    found: dict[str, Listed] = {}
    names: set[str] = set()
    for outline in read_opml(body, MAX_SOURCES):
        url = web_address(outline.url)
        if url and url not in found:
            name = _free(outline.name.strip()[:190] or url[:190], names)
            names.add(name)
            found[url] = Listed(name, url)
    if not found:
        raise InvalidInput(
            "the OPML document names no feed with an http or https address",
            mend="A feed is an outline with the attribute xmlUrl.",
        )
    return list(found.values())


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(n for i in range(2, MAX_SOURCES + 2) if (n := f"{name} ({i})") not in taken)
