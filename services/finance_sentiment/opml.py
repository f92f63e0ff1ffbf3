"""How do lists of feeds come from, and go to, other feed readers (OPML 1.0 and 2.0)?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from core.errors import InvalidInput, TooLarge
from core.text import without_hidden

MAX_OPML_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Outline:
    """A feed as OPML names it; both texts as they stand there."""

    name: str
    url: str


def read_opml(body: bytes, most: int) -> list[Outline]:
    """The feeds of a document in its order, folders walked through. InvalidInput where it is no
    OPML or holds entities, TooLarge above MAX_OPML_BYTES or `most` feeds."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if len(body) > MAX_OPML_BYTES:
        raise TooLarge(f"expected at most {MAX_OPML_BYTES} bytes of OPML, found {len(body)}")
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InvalidInput(f"this is no OPML: {type(error).__name__} {error}") from error
    if root.tag.lower() != "opml":
        raise InvalidInput(
            f"expected a document of OPML, found one of <{root.tag[:40]}>",
            mend="Export the list of feeds from your reader as OPML.",
        )
    found = []
    for element in root.iter():
        named = {name.lower(): value for name, value in element.attrib.items()}
        if str(element.tag).lower() == "outline" and named.get("xmlurl"):
            name = named.get("title") or named.get("text") or ""
            found.append(Outline(" ".join(without_hidden(name).split()), named["xmlurl"]))
        if len(found) > most:
            raise TooLarge(f"expected at most {most} feeds in one OPML document")
    return found


def write_opml(feeds: Iterable[Outline], title: str) -> str:
    """A document of OPML 2.0 with these feeds."""
    lines = [
        f'  <outline type="rss" text={quoteattr(f.name)} title={quoteattr(f.name)} '
        f"xmlUrl={quoteattr(f.url)}/>"
        for f in feeds
    ]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<opml version="2.0">',
            f"<head><title>{escape(title)}</title></head>",
            "<body>",
            *lines,
            "</body>",
            "</opml>\n",
        ]
    )
