"""Is every format read, and does a hostile document cost little and break nothing?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import InvalidInput
from services.finance_sentiment import feed_formats
from services.finance_sentiment.domain import publication
from services.finance_sentiment.feed_formats import MAX_TAGS, ParsedFeed, parse_feed

FEEDS = Path(__file__).parents[2] / "shared_data" / "finance_sentiment" / "feeds"
ITEM = b"<item><title>Oil falls</title><link>https://a.example/1</link></item>"


def rss(body: bytes) -> bytes:
    head = b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>'
    return head + body + b"</channel></rss>"


def sample(name: str) -> ParsedFeed:
    return parse_feed((FEEDS / name).read_bytes(), base_url="https://feed.example/f.xml")


@pytest.mark.parametrize(
    ("name", "entries", "title"),
    [
        ("rss20_business_wire.xml", 10, "Meridian Wire: Business"),
        ("atom_markets.xml", 9, "Northgate Markets"),
        ("rdf_world.rdf", 8, "Econ Corner: World"),
        ("rss091.xml", 8, "Quayside Daily"),
        ("jsonfeed.json", 9, "Northgate Markets in JSON"),
        ("rss_windows1252.xml", 10, "Borealis Business – €urope"),
        ("rss_gb2312.xml", 10, "远望财讯"),
        ("atom_utf16.xml", 9, "The Tallow Ledger — world"),
        ("rss_undeclared_latin1.xml", 9, "Gazette de l'Économie de Saint-Aubrée"),
    ],
)
def test_every_format_and_encoding_is_read(name: str, entries: int, title: str) -> None:
    feed = sample(name)
    assert (len(feed.entries), feed.title) == (entries, title)


def test_no_markup_reaches_the_reader() -> None:
    for entry in sample("rss_html_in_titles.xml").entries:
        assert "<script" not in f"{entry.title} {entry.summary}".lower()
        assert not entry.url.startswith("javascript:")


def test_a_feed_without_ids_and_dates_is_read() -> None:
    feed = sample("rss_no_guid_no_dates.xml")
    assert all(entry.published_at is None for entry in feed.entries)
    assert any(entry.url.startswith("https://feed.example/") for entry in feed.entries)


def test_dates_are_given_in_utc() -> None:
    feed = parse_feed(rss(b"<item><title>a</title><pubDate>Mon, 02 Mar 2026 12:00:00 +0200"
                          b"</pubDate></item>"))  # fmt: skip
    assert feed.entries[0].published_at == datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize("date", [b"", b"soon", b"1" * 50_000, b"0000-00-00", b"9999999999999"])
def test_a_date_that_cannot_be_does_not_count(date: bytes) -> None:
    feed = parse_feed(rss(b"<item><title>a</title><pubDate>" + date + b"</pubDate></item>"))
    seen = datetime(2026, 3, 2, tzinfo=UTC)
    assert publication(feed.entries[0].published_at, seen) == seen


def test_an_entry_without_title_takes_the_beginning_of_its_text() -> None:
    text = b"Oil falls. " + b"More. " * 100
    feed = parse_feed(rss(b"<item><description>" + text + b"</description></item>"))
    assert feed.entries[0].title.startswith("Oil falls. More.")
    assert len(feed.entries[0].title) <= 140


def test_an_entry_without_any_text_is_dropped_and_counted() -> None:
    feed = parse_feed(rss(b"<item><link>https://a.example/1</link></item>" + ITEM))
    assert (len(feed.entries), feed.dropped) == (1, 1)


def test_the_number_of_entries_is_bounded() -> None:
    feed = parse_feed(rss(ITEM * 30), max_entries=10)
    assert (len(feed.entries), feed.cut) == (10, True)


def test_a_broken_document_still_gives_its_entries() -> None:
    feed = parse_feed(b"<rss><channel>" + ITEM + b"<item><title>Up & more</title>")
    assert [entry.title for entry in feed.entries] == ["Oil falls", "Up & more"]
    assert feed.remark


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"hello",
        b"<html><body>Not found</body></html>",
        b"{}",
        b"[1, 2]",
        b'{"items": 3}',
        b'{"items": [',
        b"\x00" * 1000,
        bytes(range(256)) * 50,
    ],
)
def test_what_is_no_feed_is_told_so(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_feed(body)


@pytest.mark.parametrize(
    "items",
    [
        [1, "two", None, [], {}],
        [{"id": 7, "title": "Oil", "date_published": 12}],
        [{"title": ["x"], "content_text": {"a": 1}}],
        [{"title": "Oil", "date_published": "2026-13-45"}],
    ],
)
def test_json_of_the_wrong_shape_breaks_nothing(items: list[object]) -> None:
    feed = parse_feed(json.dumps({"items": items}).encode())
    assert len(feed.entries) + feed.dropped == len(items)


def test_nested_json_is_refused() -> None:
    with pytest.raises(InvalidInput):
        parse_feed(b'{"items": ' + b"[" * 50_000)


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(10))
    head = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{entities}]>'
    return f"{head}<rss><channel><item><title>&l10;</title></item></channel></rss>".encode()


@pytest.mark.parametrize("encode", [lambda b: b, lambda b: b.decode().encode("utf-16")])
def test_entities_that_unfold_are_refused(encode: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InvalidInput, match="entities"):
        parse_feed(encode(laughs()))


def test_entities_never_read_a_file() -> None:
    body = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>' + rss(
        b"<item><title>a&f;b</title></item>"
    )
    feed = parse_feed(body)
    assert feed.entries[0].title.replace("&f;", "") in ("ab", "a b")


HOSTILE = {
    "open tags": rss(b"<a " * 200_000),
    "nested tags": rss(b"<a>" * 200_000),
    "nested items": rss(b"<item>" * 100_000),
    "markup in text": rss(b"<item><title>" + b"&lt;b&gt;" * 100_000 + b"</title></item>"),
    "ampersands": rss(b"&" * 300_000),
    "comments": rss(b"<!--" * 100_000),
    "sections": rss(b"<item><title><![CDATA[" * 20_000),
    "instructions": rss(b"<?" * 200_000),
    "long title": rss(b"<item><title>" + b"x" * 1_000_000 + b"</title></item>"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_end_in_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The time is proportional to the tags that are read; a tenth of them makes a quick test.
    monkeypatch.setattr(feed_formats, "MAX_TAGS", MAX_TAGS // 10)
    start = time.process_time()
    try:
        feed = parse_feed(HOSTILE[name])
        assert all(len(entry.title) <= 500 for entry in feed.entries)
    except InvalidInput:
        pass
    assert time.process_time() - start < 3


def test_thousands_of_attributes_are_refused() -> None:
    attributes = b" ".join(b'a%d="b"' % i for i in range(20_000))
    with pytest.raises(InvalidInput, match="attributes"):
        parse_feed(rss(b"<item " + attributes + b"/>"))


def test_a_document_is_cut_after_so_many_tags_and_what_came_before_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_formats, "MAX_TAGS", 1000)
    feed = parse_feed(rss(ITEM * 3 + b"<b></b>" * 1000))
    assert [entry.title for entry in feed.entries] == ["Oil falls"] * 3
