"""What does a fixture of a feed parser state of titles and dates, and where do we differ?"""

from __future__ import annotations

import ast
import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_EXPECT = re.compile(r"^Expect:[ \t]*(.*)$", re.MULTILINE)
_HEADER = re.compile(r"^Header:[ \t]*([\w-]+):[ \t]*(.*)$", re.MULTILINE)
# Which date of an entry we take, in this order.
_DATES = ("published_parsed", "created_parsed", "updated_parsed")
_GOFEED_DATES = ("publishedParsed", "pubDateParsed", "updatedParsed")


@dataclass(frozen=True, slots=True)
class Stated:
    """One statement: `index` of the entry (None for the feed), and the value as it was written."""

    what: Literal["title", "date"]
    index: int | None
    value: object


def opening_text(body: bytes) -> str:
    """The beginning of a file as text, whatever its encoding: for the comment in it."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body.decode(name, "replace")[:4000]
    if body[:1] == b"L":  # "<" in EBCDIC
        return body.decode("cp037", "replace")[:4000]
    return body[:16_000].replace(b"\0", b"").decode("latin-1")[:4000]


def response_headers(body: bytes) -> dict[str, str]:
    """The headers that a fixture wants to be served with, those that a server may send."""
    found = {name.lower(): value.strip() for name, value in _HEADER.findall(opening_text(body))}
    return {name: value for name, value in found.items() if value.isascii()}


def stated_by(path: Path, body: bytes) -> list[Stated]:
    """All that this file states of what we read."""
    if "gofeed" in path.parts:
        beside = path.with_suffix(".json")
        if path.suffix != ".xml" or not beside.exists():
            return []
        expected = json.loads(beside.read_text(encoding="utf-8"))
        return list(_of_gofeed(expected if isinstance(expected, dict) else {}))
    return list(_of_feedparser(opening_text(body)))


def _of_gofeed(expected: Mapping[str, Any]) -> Iterator[Stated]:
    title = expected.get("title")
    if isinstance(title, str):
        yield Stated("title", None, title)
    for index, item in enumerate(expected.get("items") or expected.get("entries") or ()):
        if isinstance(item.get("title"), str) and item["title"].strip():
            yield Stated("title", index, item["title"])
        date = next((item[name] for name in _GOFEED_DATES if item.get(name)), None)
        if date:
            moment = datetime.fromisoformat(date).replace(microsecond=0)
            yield Stated("date", index, moment.astimezone(UTC))


def _of_feedparser(comment: str) -> Iterator[Stated]:
    found = _EXPECT.search(comment)
    if found is None:
        return
    try:
        tree = ast.parse(found[1].strip(), mode="eval").body
    except SyntaxError:
        return
    dates: dict[int, dict[str, object]] = {}
    for way, value in _equalities(tree):
        match way:
            case ("feed", "title") | ("feed", "title_detail", "value") if isinstance(value, str):
                yield Stated("title", None, value)
            case ("entries", int(index), "title") | (
                "entries",
                int(index),
                "title_detail",
                "value",
            ) if isinstance(value, str):
                yield Stated("title", index, value)
            case ("entries", int(index), str(name)) if name in _DATES:
                dates.setdefault(index, {})[name] = value
    for index, named in dates.items():
        parts = next(named[name] for name in _DATES if name in named)
        yield Stated("date", index, _moment(parts))


def _equalities(node: ast.expr) -> Iterator[tuple[tuple[object, ...], object]]:
    """The `path == literal` parts of an expression in which all parts have to hold."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for part in node.values:
            yield from _equalities(part)
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        try:
            yield _way(node.left), ast.literal_eval(node.comparators[0])
        except ValueError:
            return


def _way(node: ast.expr) -> tuple[object, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (*_way(node.value), node.attr)
    if isinstance(node, ast.Subscript):
        return (*_way(node.value), ast.literal_eval(node.slice))
    raise ValueError("a call or a sum")


def _moment(parts: object) -> datetime | None:
    if not isinstance(parts, tuple):
        return None
    year, month, day, hour, minute, second = parts[:6]
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)


def with_titles(body: bytes) -> bytes:
    """The document with a title in each of its entries."""
    return re.sub(rb"<((?i:entry|item))(\s[^<>]*)?>", rb"\g<0><title>words</title>", body)


# By the end of a file's name: why what we read is another thing than what the fixture states.
_REASONS = {
    "sanitize/entry_title_object.xml": "the text inside an <object> is shown to no reader",
    "sanitize/feed_title_object.xml": "the text inside an <object> is shown to no reader",
    "sanitize/xml_malicious_comment.xml": (
        "a comment without an end hides all that follows, as it does in browsers"
    ),
    "cdf/channel_title.xml": "CDF (1997) is none of the formats that are read",
    "cdf/item_lastmod_parsed.xml": "CDF (1997) is none of the formats that are read",
    "atom10_feed_title_xhtml_escaped_markup.xml": (
        "the file is not well-formed: its <title> is closed by </subtitle>"
    ),
    "atom10_feed_title_xhtml_inline_markup.xml": (
        "the file is not well-formed: its <title> is closed by </subtitle>"
    ),
}


def reason_of(name: str) -> str:
    """Why ours is another; "" where no reason is known, which counts as a fault."""
    return next((why for end, why in _REASONS.items() if name.endswith(end)), "")
