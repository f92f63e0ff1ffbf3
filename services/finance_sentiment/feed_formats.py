"""Which entries does a document hold: RSS of any age, Atom, RDF, or JSON Feed?

Bytes come in, a bounded list of clean entries goes out. XML is read by feedparser, from bytes and
never from an address. Its time is bounded by what it is given: it needs some 0.1 ms for each tag
and the square of the attributes within one, so documents are cut after `MAX_TAGS` and refused where
attributes or entities were made to cost.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from core.errors import InvalidInput, TooLarge
from core.markup import plain_text, shortened, web_address
from services.finance_sentiment.charsets import in_utf8
from services.finance_sentiment.domain import MAX_SUMMARY, MAX_TITLE, Entry

MAX_TAGS = 25_000
# Sum over all tags of the squared number of attributes: about a second of feedparser's time.
_MAX_ATTRIBUTE_COST = 10_000_000
_TITLE_FROM_TEXT = 140
_MAX_ID = 2_000

_TAG = re.compile(rb"<[^<>]*")
# Those that name a file elsewhere are not meant: feedparser drops them and fetches nothing.
_ENTITY = re.compile(
    rb"<!ENTITY\s+(%)?(?![^>\"']*\b(?:PUBLIC|SYSTEM)\b)[^>]*?([\"'])(.*?)\2", re.DOTALL
)
_FIRST_ELEMENT = re.compile(rb"<[A-Za-z]")
_JSON_START = re.compile(rb"^(?:\xef\xbb\xbf)?\s*[{\[]")
# feedparser's remarks about how the document was sent, and none at all.
_HARMLESS = frozenset({"NoneType", "NonXMLContentType", "CharacterEncodingOverride"})
_NOT_A_FEED = "the answer is no feed"
_EXPECTED = "Expected is RSS, Atom, RDF or JSON Feed; check the address."


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """`dropped` counts the entries without any text, `cut` says that there were more than allowed;
    `remark` tells what was wrong with a document that could be read all the same."""

    title: str
    entries: tuple[Entry, ...]
    dropped: int
    cut: bool
    remark: str
    # RSS's own word on how long it may be kept, in seconds; 0 where it says nothing.
    ttl: float = 0.0


def parse_feed(
    body: bytes, *, content_type: str = "", base_url: str = "", max_entries: int = 500
) -> ParsedFeed:
    """The entries of a document, in its order. InvalidInput where it is no feed."""
    if not body.strip():
        raise InvalidInput("the answer is empty", mend=_EXPECTED)
    if _JSON_START.match(body[:200]):
        return _parse_json(body, base_url, max_entries)
    body = _bounded_xml(in_utf8(body, content_type))
    return _parse_xml(body, content_type, base_url, max_entries)


# --- XML ---------------------------------------------------------------------------------------


def _bounded_xml(body: bytes) -> bytes:
    """The document, cut after the last tag that may be read. UTF-16 is cut in the same way: its
    angle brackets are these bytes too."""
    _refuse_entities(body)
    cost = 0
    for number, tag in enumerate(_TAG.finditer(body)):
        cost += tag.group().count(b"=") ** 2
        if cost > _MAX_ATTRIBUTE_COST:
            raise TooLarge("the answer has tags with thousands of attributes")
        if number >= MAX_TAGS:
            # An even length keeps the characters of UTF-16 whole.
            return body[: tag.start() // 2 * 2]
    return body


def _refuse_entities(body: bytes) -> None:
    """Entities that hold others, or much text, are how a small document becomes a huge one."""
    # Without its NUL bytes the prologue of UTF-16 reads like ASCII.
    first = _FIRST_ELEMENT.search(body.replace(b"\0", b"")[:200_000])
    prologue = body.replace(b"\0", b"")[: first.start() if first else 200_000]
    for entity in _ENTITY.finditer(prologue):
        parameter, value = entity.group(1), entity.group(3)
        if parameter or len(value) > 100 or re.search(rb"&(?!#)", value):
            raise InvalidInput("the answer defines entities that unfold into more text")


def _parse_xml(body: bytes, content_type: str, base_url: str, max_entries: int) -> ParsedFeed:
    import feedparser

    headers = {"content-location": base_url}
    if content_type:
        headers["content-type"] = content_type
    try:
        found = feedparser.parse(
            # A stream: given bytes or text, feedparser would first try them as a file's name.
            io.BytesIO(body),
            response_headers=headers,
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception as error:  # whatever it trips over is in the document
        raise InvalidInput(
            f"the answer cannot be read as a feed ({type(error).__name__})", mend=_EXPECTED
        ) from error
    if not found.get("entries") and not found.get("version"):
        raise InvalidInput(_NOT_A_FEED, mend=_EXPECTED)
    remark = type(found.get("bozo_exception")).__name__
    remark = "" if remark in _HARMLESS else remark
    title = plain_text(_text(found.get("feed", {}).get("title")), MAX_TITLE)
    raw = found["entries"]
    entries = (_xml_entry(e, base_url) for e in raw[:max_entries])
    feed = _collected(title, entries, len(raw) > max_entries, remark)
    return replace(feed, ttl=_ttl(found.get("feed", {}).get("ttl")))


def _ttl(value: object) -> float:
    """Seconds of RSS's `<ttl>`, which counts minutes; 0 where it is no number of them."""
    text = _text(value)
    return 60.0 * int(text[:6]) if text.isascii() and text.isdigit() else 0.0


def _xml_entry(raw: Mapping[str, Any], base_url: str) -> Entry | None:
    summary = _text(raw.get("summary"))
    if not summary:
        contents = raw.get("content") or ()
        summary = _text(contents[0].get("value")) if contents else ""
    return _entry(
        entry_id=_text(raw.get("id")),
        url=_joined(base_url, _text(raw.get("link"))),
        title=_text(raw.get("title")),
        summary=summary,
        published_at=_xml_date(raw),
    )


def _xml_date(raw: Mapping[str, Any]) -> datetime | None:
    # A plain copy: feedparser's own mapping answers for one date with another, and warns of it.
    stored = dict(raw)
    for name in ("published_parsed", "created_parsed", "updated_parsed"):
        parts = stored.get(name)
        if parts is not None:
            try:
                year, month, day, hour, minute, second = parts[:6]
                return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
            except (TypeError, ValueError, OverflowError):
                continue
    return None


# --- JSON Feed ---------------------------------------------------------------------------------


def _parse_json(body: bytes, base_url: str, max_entries: int) -> ParsedFeed:
    """JSON Feed 1.0 and 1.1 (jsonfeed.org/version/1.1); always UTF-8."""
    if max(body.count(b"["), body.count(b"{")) > 4 * MAX_TAGS:
        raise TooLarge("the answer has too many parts for a feed")
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput("the answer begins as JSON but is none", mend=_EXPECTED) from error
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise InvalidInput(_NOT_A_FEED, mend=_EXPECTED)
    title = plain_text(_text(document.get("title")), MAX_TITLE)
    return _collected(
        title,
        (_json_entry(item, base_url) for item in items[:max_entries]),
        len(items) > max_entries,
        "",
    )


def _json_entry(raw: object, base_url: str) -> Entry | None:
    if not isinstance(raw, dict):
        return None
    body = next(
        (_text(raw.get(n)) for n in ("summary", "content_text", "content_html") if raw.get(n)), ""
    )
    identity = raw.get("id")
    return _entry(
        # Numbers are not allowed there, and common.
        entry_id=str(identity) if isinstance(identity, str | int) else "",
        url=_joined(base_url, _text(raw.get("url")) or _text(raw.get("external_url"))),
        title=_text(raw.get("title")),
        summary=body,
        published_at=_json_date(raw.get("date_published")) or _json_date(raw.get("date_modified")),
    )


def _json_date(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(value.strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return moment.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


# --- both --------------------------------------------------------------------------------------


def _collected(title: str, entries: Iterable[Entry | None], cut: bool, remark: str) -> ParsedFeed:
    found = list(entries)
    kept = tuple(entry for entry in found if entry is not None)
    return ParsedFeed(title, kept, len(found) - len(kept), cut, remark)


def _entry(
    *, entry_id: str, url: str, title: str, summary: str, published_at: datetime | None
) -> Entry | None:
    """An entry with its texts cleaned; None where nothing readable is left."""
    title, summary = plain_text(title, MAX_TITLE), plain_text(summary, MAX_SUMMARY)
    if not title:
        title = shortened(summary, _TITLE_FROM_TEXT)
    if not title:
        return None
    return Entry(entry_id[:_MAX_ID], web_address(url), title, summary, published_at)


def _joined(base_url: str, link: str) -> str:
    try:
        return urljoin(base_url, link) if link else ""
    except ValueError:
        return ""


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
