"""Do lists of feeds come from other readers and go back to them unharmed?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError, InvalidInput
from services.finance_sentiment.opml import MAX_OPML_BYTES, Outline, read_opml, write_opml
from services.finance_sentiment.source_lists import Listed, listed_in_opml, read_sources

NESTED = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
<opml version="1.0"><head><title>x</title></head><body>
<outline text="Markets">
  <outline text="A &amp; B" xmlUrl="https://a.example/f"/>
  <outline title="A &amp; B" text="other" type="rss" xmlurl="https://b.example/f"/>
</outline>
<outline text="again" xmlUrl="https://a.example/f"/>
<outline text="no feed" htmlUrl="https://c.example/"/>
<outline text="no web" xmlUrl="file:///etc/passwd"/>
<outline xmlUrl="https://d.example/f"/>
</body></opml>"""

STARTER = Path(__file__).parents[2] / "shared_data" / "finance_sentiment" / "starter_feeds.yaml"


def test_feeds_are_read_through_folders_each_once(tmp_path: Path) -> None:
    listed = [
        Listed("A & B", "https://a.example/f"),
        Listed("A & B (2)", "https://b.example/f"),
        Listed("https://d.example/f", "https://d.example/f"),
    ]
    assert listed_in_opml(NESTED) == listed
    path = tmp_path / "feeds.opml"
    path.write_bytes(NESTED)
    assert read_sources(path) == listed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"words",
        b"<rss/>",
        b"<opml version='2.0'><body/></opml>",
        b"<!DOCTYPE opml [<!ENTITY a 'aaaa'>]><opml><body><outline xmlUrl='&a;'/></body></opml>",
        b"<!DOCTYPE opml SYSTEM 'http://a.example/x.dtd'><opml><body/></opml>",
        b"<opml>" + b" " * MAX_OPML_BYTES + b"</opml>",
        b"<?xml version='1.0' encoding='nonsense'?><opml/>",
    ],
)
def test_what_is_no_list_of_feeds_is_refused(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        listed_in_opml(body)
    path = tmp_path / "feeds.opml"
    path.write_bytes(body)
    with pytest.raises(DataError, match=r"feeds\.opml"):
        read_sources(path)


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1)


@given(st.lists(NAMES))
def test_what_is_written_is_read_back(names: list[str]) -> None:
    feeds = [Outline(name, f"https://a.example/{number}") for number, name in enumerate(names)]
    body = write_opml(feeds, "x").encode()
    assert [feed.url for feed in read_opml(body, 1000)] == [feed.url for feed in feeds]
    assert read_opml(body, 1000)[:1] == feeds[:1]


def test_the_starter_list_can_be_imported() -> None:
    feeds = read_sources(STARTER)
    assert 5 <= len(feeds) <= 30
    assert all(feed.url.startswith("https://") for feed in feeds)
