"""Which products does a feed in XML hold: RSS 2.0 or Atom with Google's `g:` fields?

The file is read as a stream, and nothing of it is kept but the fields of one product at a time.
Document types and with them entities are refused; depth, fields and texts are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from core.data.tables import Row
from core.errors import DataError
from services.recommender.importers.merchant import merchant_name

_PIECE_BYTES = 65_536
_MAX_BYTES = 2_000_000_000
_MAX_DEPTH = 30
_MAX_FIELDS = 500
_MAX_TEXT = 100_000
# Elements that hold one product: of RSS and of Atom.
_PRODUCTS: Final = frozenset({"item", "entry"})
# Atom's words for what RSS calls a description.
_DESCRIPTIONS: Final = frozenset({"summary", "content"})
_GOOGLE: Final = "base.google.com/"


def merchant_feed(path: Path) -> Iterator[Row]:
    """The products of a feed, under the specification's names; a field that stands several times
    is a list. DataError where it is no feed, or is made to do harm."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser, ParseError

    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"expected at most {_MAX_BYTES} bytes", path, mend="Split the feed.")
    feed = _Feed(path, lambda: int(parser.parser.CurrentLineNumber))
    parser = DefusedXMLParser(target=feed, forbid_dtd=True)
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                parser.feed(piece)
                yield from feed.taken()
        parser.close()
    except ParseError as error:
        line = error.position[0]
        raise DataError(f"not well-formed XML: {error}", path, line) from error
    except DefusedXmlException as error:
        mend = "Remove the DOCTYPE and its entities."
        raise DataError("a document type is not taken", path, feed.line(), mend=mend) from error
    except (LookupError, ValueError) as error:
        raise DataError(f"not readable: {error}", path, mend="Save it as UTF-8.") from error


class _Feed:
    """What the parser tells, collected into rows."""

    def __init__(self, path: Path, line: Callable[[], int]) -> None:
        self.line = line
        self._path = path
        self._rows: list[Row] = []
        self._depth = 0
        # Depth of the product that is open, 0 where none is.
        self._product = 0
        self._begun = 0
        # What Google's names say, and what RSS's or Atom's own say.
        self._google: dict[str, list[str]] = {}
        self._plain: dict[str, list[str]] = {}
        self._text: list[str] = []
        self._length = 0
        self._nested = False

    def taken(self) -> list[Row]:
        """The rows that were completed since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise DataError(f"nested deeper than {_MAX_DEPTH} levels", self._path, self.line())
        if not self._product:
            if _local(tag) in _PRODUCTS:
                self._product, self._begun = self._depth, self.line()
                self._google, self._plain = {}, {}
        elif self._depth == self._product + 1:
            self._text, self._length, self._nested = [], 0, False
            if _local(tag) == "link" and attributes.get("rel", "alternate") == "alternate":
                self.data(attributes.get("href", ""))
        else:
            self._nested = True

    def data(self, text: str) -> None:
        """Text between tags."""
        if self._product and self._depth == self._product + 1 and self._length < _MAX_TEXT:
            self._text.append(text[: _MAX_TEXT - self._length])
            self._length += len(text)

    def end(self, tag: str) -> None:
        """A tag closes."""
        if self._product and self._depth == self._product:
            self._product = 0
            self._rows.append(self._row())
        elif self._product and self._depth == self._product + 1:
            self._take_field(tag)
        self._depth -= 1

    def close(self) -> None:
        """The document is over."""

    def _take_field(self, tag: str) -> None:
        text = "".join(self._text).strip()
        # Fields of fields, such as the parts of `shipping`, are no attribute of a product.
        if not text or self._nested:
            return
        fields = self._google if _GOOGLE in tag else self._plain
        fields.setdefault(merchant_name(_local(tag)), []).append(text)
        if sum(map(len, fields.values())) > _MAX_FIELDS:
            raise DataError(f"more than {_MAX_FIELDS} fields", self._path, self.line())

    def _row(self) -> Row:
        for name in _DESCRIPTIONS & self._plain.keys():
            self._plain.setdefault("description", self._plain.pop(name))
        values = self._plain | self._google
        one_or_many = {n: v[0] if len(v) == 1 else v for n, v in values.items()}
        return Row(one_or_many, self._begun)


def _local(tag: str) -> str:
    """The name without its namespace, which stands before it in braces."""
    return tag.rpartition("}")[2]
