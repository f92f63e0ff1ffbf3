"""What does a fragment of HTML from outside say to a reader, and which address may one follow?

One scan from left to right, so that no markup can cost more than its length.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

from core.text import without_hidden

# Markup that is looked at; what follows is cut off before it can cost time.
_MAX_MARKUP = 20_000
_MAX_URL = 2_000
_MARKUP = re.compile(r"<[A-Za-z/!?]|&(?:#\d|#[xX]|[A-Za-z])")
_TAG = re.compile(r"<(?P<slash>/?)(?:(?P<name>[A-Za-z][A-Za-z0-9:-]{0,40})|[!?])")
# A ">" between quotes does not end a tag. Tags that are longer than this end at the first ">", so
# that a text of many open quotes costs little.
_WHOLE_TAG = re.compile(r"""<(?:[^>"']|"[^"]*"|'[^']*')*+>""")
_MAX_TAG = 500
# Elements whose text nobody reads, with what ends them.
_SILENT = {
    name: re.compile(f"</{name}", re.IGNORECASE)
    for name in ("script", "style", "template", "noscript", "svg", "object")
}
# Inside a word these change nothing; any other element parts two words.
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "cite", "code", "em", "font", "i", "mark", "s", "small", "span"}
    | {"strong", "sub", "sup", "u", "wbr"}
)


def plain_text(markup: str, max_chars: int) -> str:
    """The text of a fragment of HTML: tags out, entities decoded, hidden characters gone, white
    space folded, at most `max_chars`. Markup that was escaped twice, as many feeds do, is undone
    as well. Full-width signs and other forms stay as they were written: this is shown to readers.
    """
    text = markup[:_MAX_MARKUP]
    for _ in range(2):
        if not _MARKUP.search(text):
            break
        text = _without_tags(text)
    return shortened(" ".join(without_hidden(text).split()), max_chars)


def shortened(text: str, max_chars: int) -> str:
    """The text, or its beginning up to the end of a word with an ellipsis."""
    if len(text) <= max_chars:
        return text
    cut = text[: max_chars - 1]
    space = cut.rfind(" ", max_chars // 2)
    return (cut[:space] if space > 0 else cut).rstrip() + "…"


def web_address(url: str) -> str:
    """The address if it is one that a reader may follow (http or https), else ""."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return ""
    clean = usable and len(url) <= _MAX_URL and not re.search(r"[\s\x00-\x1f]", url)
    return url if clean else ""


def _without_tags(markup: str) -> str:
    """One scan from left to right, so that no markup can cost more than its length.

    Text between tags stays, entities in it decoded; elements that part words leave a space. A "<"
    that begins no tag, or a tag that never ends, is text.
    """
    parts: list[str] = []
    position = 0
    while True:
        start = markup.find("<", position)
        tag = _TAG.match(markup, start) if start >= 0 else None
        if start >= 0 and markup.startswith("<!--", start) and markup.find("-->", start) < 0:
            # As browsers do: a comment without an end hides all that follows.
            return "".join([*parts, html.unescape(markup[position:start])])
        if start < 0 or (tag is not None and markup.find(">", start) < 0):
            parts.append(html.unescape(markup[position:]))
            return "".join(parts)
        parts.append(html.unescape(markup[position:start]))
        if tag is None:
            parts.append("<")
            position = start + 1
            continue
        name = (tag["name"] or "").lower()
        parts.append("" if name in _INLINE else " ")
        position = _end_of_tag(markup, start, name, closing=bool(tag["slash"]))


def _end_of_tag(markup: str, start: int, name: str, *, closing: bool) -> int:
    """Where the text goes on; behind a comment or a silent element, that is behind its end."""
    if markup.startswith("<!--", start):
        end = markup.find("-->", start + 4)
        return len(markup) if end < 0 else end + 3
    quoted = _WHOLE_TAG.match(markup, start, start + _MAX_TAG)
    if quoted is not None and name not in _SILENT:
        return quoted.end()
    if name in _SILENT and not closing:
        found = _SILENT[name].search(markup, start)
        # Left open, a script has no end but that of the document.
        start = len(markup) if found is None else found.start()
    end = markup.find(">", start)
    return len(markup) if end < 0 else end + 1
