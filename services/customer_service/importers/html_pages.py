"""What does an HTML page say, as the Markdown of an article?

Text only: headings become `#` lines, lists and tables lines, everything else paragraphs.
Navigation, scripts and what a reader does not see are dropped. Where the page has a <main> or an
<article>, what stands outside it is dropped too.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from core.errors import InvalidInput
from services.customer_service.articles import MAX_TAGS, MAX_TITLE

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.I)
_CHARSET_WITHIN = 4096
# As browsers do: pages that name the left one are written in the right one.
_BROADER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_DROPPED = {
    *(
        "script",
        "style",
        "nav",
        "noscript",
        "template",
        "iframe",
        "svg",
        "math",
        "object",
        "canvas",
    ),
    *("form", "button", "select", "textarea", "footer", "aside", "dialog", "audio", "video"),
}
# Elements that may stand without their end, so that nothing tells where a hidden one ends.
_VOID = {
    *(
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
    ),
    *("wbr", "p", "li", "dt", "dd", "tr", "td", "th", "option", "html", "body"),
}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = {
    *("p", "div", "section", "article", "main", "header", "blockquote", "figure", "figcaption"),
    *("dl", "dt", "dd", "address", "details", "summary", "table", "caption", "ul", "ol", "body"),
}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
# What Markdown would take for a heading or a fence.
_MARKUP_LIKE = re.compile(r"^(#{1,6}(?=\s|$)|`{3,}|~{3,})")
_MAX_INDENT = 5
_LINK = re.compile(r"https?://[^\s<>\"']{1,1900}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*")


@dataclass
class Page:
    """`body` is Markdown. Empty is what the page does not say."""

    title: str = ""
    body: str = ""
    url: str = ""
    language: str = ""
    tags: list[str] = field(default_factory=list)


def read_page(content: bytes) -> Page:
    """The page of an HTML file. InvalidInput where its characters or its title cannot be read."""
    reader = _Reader()
    reader.feed(_closed(_decoded(content)))
    reader.close()
    return reader.page()


def _decoded(content: bytes) -> str:
    """By its byte order mark, else by the charset that it names, else as UTF-8."""
    named = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if named is None:
        found = _CHARSET.search(content[:_CHARSET_WITHIN])
        named = found[1].decode("ascii") if found else "utf-8"
    try:
        codec = codecs.lookup(named).name
        text = content.decode(_BROADER.get(codec, codec))
    except LookupError as error:
        raise InvalidInput(f"the charset {named!r} is unknown", mend="Save it as UTF-8.") from error
    except UnicodeError as error:
        raise InvalidInput(f"not {named}", mend="Save it as UTF-8, and say so.") from error
    if "\0" in text:
        raise InvalidInput("a NUL character in the text")
    return text.removeprefix("\ufeff")


def _closed(text: str) -> str:
    """Without starts of comments, sections and tags that never end: for each of them the parser
    would look through the rest of the page."""
    text = text.replace("<![", "<!-[")  # a section, such as CDATA, is a remark that ends with >
    shown, end, rest = text.rpartition("-->")
    text = shown + end + rest.replace("<!--", "")
    shown, end, rest = text.rpartition(">")
    return shown + end + rest.replace("<", "")


class _Reader(HTMLParser):
    """Collects lines; `_dropping` holds the tag that is being passed over, and how deep."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._found = Page()
        self._title: list[str] = []
        self._in_title = False
        self._dropping = ""
        self._depth = 0
        self._main = 0
        self._lines: list[tuple[str, bool]] = []  # (line, whether it stands in the main part)
        self._text: list[str] = []
        self._prefix = ""
        self._lists: list[int | None] = []  # the number of the last item; None in a <ul>
        self._cells = 0
        self._row = 0
        self._pre = 0
        self._first_heading = ""

    # --- what the parser calls ---

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if self._dropping:
            self._depth += tag == self._dropping
        elif tag in _DROPPED or (tag not in _VOID and _is_hidden(values, dict(attrs))):
            self._dropping, self._depth = tag, 1
        elif tag in ("html", "meta", "link"):
            self._read_head(tag, values)
        elif tag == "title":
            self._in_title = not self._title
        else:
            self._open(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            self._depth -= tag == self._dropping
            if self._depth == 0:
                self._dropping = ""
        elif tag == "title":
            self._in_title = False
        else:
            self._close(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif not self._dropping:
            self._text.append(data)
            if self._pre and "\n" in data:
                self._break_lines()

    # --- head ---

    def _read_head(self, tag: str, values: dict[str, str]) -> None:
        page = self._found
        if tag == "html" and _LANGUAGE.fullmatch(values.get("lang", "")):
            page.language = values["lang"]
        elif tag == "link" and values.get("rel", "").lower() == "canonical":
            if _LINK.fullmatch(values.get("href", "").strip()):
                page.url = values["href"].strip()
        elif tag == "meta" and values.get("name", "").lower() == "keywords":
            page.tags = values.get("content", "").split(",")[:MAX_TAGS]

    # --- blocks ---

    def _open(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._lists.clear()  # a list that was never closed ends here
        if tag in _HEADINGS or tag in _BLOCKS or tag == "pre":
            self._end_block(tag)
        if tag in ("main", "article"):
            self._main += 1
        elif tag in _HEADINGS:
            self._prefix = "#" * _HEADINGS[tag] + " "
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._open_item()
        elif tag == "tr":
            self._end_line()
            self._row, self._cells = 1, 0
        elif tag in ("td", "th"):
            self._text.append(" | " if self._cells else " ")
            self._cells += 1
        elif tag in ("br", "hr"):
            self._text.append(" ") if self._row else self._end_line()
        elif tag == "pre":
            self._pre += 1

    def _open_item(self) -> None:
        self._end_line()
        indent = "  " * min(max(0, len(self._lists) - 1), _MAX_INDENT)
        number = self._lists[-1] if self._lists else None
        if number is not None:
            self._lists[-1] = number + 1
        self._prefix = indent + ("- " if number is None else f"{number + 1}. ")

    def _close(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._end_heading()
        elif tag in ("ul", "ol"):
            self._end_line()
            if self._lists:
                self._lists.pop()
            if not self._lists:
                self._gap()
        elif tag == "li":
            self._end_line()
        elif tag == "tr":
            self._row = 0
            self._end_line()
        elif tag in _BLOCKS or tag == "pre":
            self._row = 0 if tag == "table" else self._row
            self._end_block(tag)
        if tag in ("main", "article"):
            self._main = max(0, self._main - 1)
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)

    def _end_block(self, tag: str) -> None:
        if not self._lists:
            self._end_line(gap=not self._row)
        elif tag in ("ul", "ol", "table", "pre"):
            self._end_line()
        else:
            self._text.append(" ")  # a paragraph of a list item belongs to its line

    def _end_heading(self) -> None:
        text = " ".join("".join(self._text).split())
        self._first_heading = self._first_heading or text
        self._end_line(gap=True)

    def _break_lines(self) -> None:
        *whole, rest = "".join(self._text).split("\n")
        for line in whole:
            self._text = [line]
            self._end_line()
        self._text = [rest]

    def _end_line(self, gap: bool = False) -> None:
        if self._row and not gap:
            # A block inside a cell, as mail programs write them: the row goes on.
            if self._text and self._text[-1] != " ":
                self._text.append(" ")
            return
        text = " ".join("".join(self._text).split())
        self._text = []
        if text:
            if not self._prefix:
                text = _MARKUP_LIKE.sub(r"\\\1", text)
            self._lines.append((self._prefix + text, self._main > 0))
            self._prefix = ""
        if gap:
            self._prefix = ""
            self._gap()

    def _gap(self) -> None:
        self._lines.append(("", self._main > 0))

    # --- the end ---

    def page(self) -> Page:
        """What was found; the first heading is a better title than the browser's, which often
        names the shop as well."""
        self._row = 0
        self._end_line(gap=True)
        lines = [line for line, main in self._lines if main]
        if not any(lines):
            lines = [line for line, _ in self._lines]
        self._found.body = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
        title = self._first_heading or " ".join("".join(self._title).split())
        self._found.title = title[:MAX_TITLE]
        if not title:
            raise InvalidInput("no title", mend="Give the page an <h1> or a <title>.")
        return self._found


def _is_hidden(values: dict[str, str], given: dict[str, str | None]) -> bool:
    return (
        "hidden" in given
        or values.get("aria-hidden", "").lower() == "true"
        or _HIDDEN_STYLE.search(values.get("style", "")) is not None
    )
