"""Is text cleaned, and are repeats told from news?"""

from __future__ import annotations

import time

import pytest

from core.markup import plain_text, web_address
from services.finance_sentiment.domain import Entry
from services.finance_sentiment.stories import canonical_url, identity_keys, shared_urls


def entry(title: str = "Bank fails", url: str = "", entry_id: str = "", summary: str = "") -> Entry:
    return Entry(entry_id, url, title, summary, None)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain  text\n here", "plain text here"),
        ("<p>One</p><p>Two</p>", "One Two"),
        ("pro<b>fit</b> up", "profit up"),
        ("AT&amp;T", "AT&T"),
        ("AT&amp;amp;T &amp;lt;b&amp;gt;up&amp;lt;/b&amp;gt;", "AT&T <b>up</b>"),
        ("Q&amp;lt;i&amp;gt;1&amp;lt;/i&amp;gt;", "Q<i>1</i>"),
        ("&lt;b&gt;Oil&lt;/b&gt; falls", "Oil falls"),
        ("<script>alert(1)</script>Oil", "Oil"),
        ("<style>a{}</style>Oil<!-- secret -->", "Oil"),
        ("a < b and b > c", "a < b and b > c"),
        ("R&D up 3 % & more", "R&D up 3 % & more"),
        ("\u202eevil\u202c\x00 text\ufeff", "evil text"),
        ("净利润增长，上调目标", "净利润增长，上调目标"),
        ("<img src=x onerror=alert(1)>Oil", "Oil"),
        ("<![x", "<![x"),
        ("<script>alert(1)", ""),
        ("Oil <b", "Oil <b"),
        ("5<6 and 7>6", "5<6 and 7>6"),
        ('<img alt="cat<br />dog">Oil', "Oil"),
        ('<a title="5 > 4">Oil</a> falls', "Oil falls"),
        ('Oil <b x=">falls', "Oil falls"),
        ("Oil<!-- never ends > falls", "Oil"),
    ],
)
def test_markup_becomes_the_text_a_reader_sees(markup: str, text: str) -> None:
    assert plain_text(markup, 500) == text


def test_long_text_ends_at_a_word() -> None:
    text = plain_text("word " * 200, 100)
    assert len(text) <= 100
    assert text.endswith("word…")


@pytest.mark.parametrize(
    "piece",
    [
        *("<", "<!--", "<a ", "&", "&#", "<![CDATA[", "<script>", "]]>", '<a b="', "<p>", "</"),
        *("<a '\">", '<a "', "<a '>"),
    ],
)
def test_hostile_markup_costs_little_time(piece: str) -> None:
    start = time.process_time()
    assert len(plain_text(piece * 300_000, 500)) <= 500
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/x", "http://www.a.example/x/"),
        ("https://a.example/x?utm_source=rss&id=3", "https://a.example/x?id=3#lead"),
        ("https://A.example/x?b=1&a=2", "https://a.example/x?a=2&b=1&fbclid=z"),
    ],
)
def test_addresses_of_one_story_are_the_same(one: str, other: str) -> None:
    assert canonical_url(one) == canonical_url(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/x?id=3", "https://a.example/x?id=4"),
        ("https://a.example/x", "https://b.example/x"),
        ("https://a.example/X", "https://a.example/x"),
    ],
)
def test_addresses_of_two_stories_differ(one: str, other: str) -> None:
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "ftp://a.example/x",
        "https://",
        "http://[",
        "/x",
        "data:,x",
        "https://a.example/a b",
        "https://a.example/" + "x" * 3000,
    ],
)
def test_what_no_reader_should_follow_is_no_address(url: str) -> None:
    assert web_address(url) == ""


def test_a_front_page_tells_no_story() -> None:
    assert canonical_url("https://a.example/") == ""


def test_words_are_compared_without_case_and_punctuation() -> None:
    one = identity_keys(entry("Bank fails!"), "A")
    other = identity_keys(entry("BANK  fails"), "B")
    assert one[-1] == other[-1]
    assert one[0] != other[0]


def test_figures_and_signs_keep_stories_apart() -> None:
    up, down = entry("Profit +5 %"), entry("Profit 5 %")
    assert identity_keys(up, "A")[-1] != identity_keys(down, "A")[-1]


def test_an_address_that_several_entries_share_tells_nothing() -> None:
    page = "https://a.example/news"
    entries = [entry("One", page, "1"), entry("Two", page, "2"), entry("Three", page + "/3", "3")]
    assert shared_urls(entries) == {canonical_url(page)}
