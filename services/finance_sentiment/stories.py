"""What does an entry's text say without its markup, and is it a story that we have already?

Three keys tell: the feed's own id of the entry, the address without what only tracks readers, and
the words without case and punctuation. The first two hold for ever; words hold for three days,
since "Week ahead" may come every week.
"""

from __future__ import annotations

import hashlib
import html
import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from core.text import comparison_key, without_hidden
from services.finance_sentiment.domain import Entry, story_text

TEXT_KEY_HOLDS = timedelta(hours=72)
TEXT_PREFIX = "text:"

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
_TRACKING = frozenset(
    {"fbclid", "gclid", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid", "yclid", "ocid"}
    | {"cmpid", "ncid", "guccounter", "guce_referrer", "guce_referrer_sig"}
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


def canonical_url(url: str) -> str:
    """What two addresses of one story share: host, path and the parameters that are not tracking.

    "" where the address names no single story: a front page, or no web address at all.
    """
    url = web_address(url)
    if not url:
        return ""
    parts = urlsplit(url)
    query = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=None)
        if not name.lower().startswith("utm_") and name.lower() not in _TRACKING
    ]
    path = parts.path.rstrip("/")
    if not path and not query:
        return ""
    host = (parts.hostname or "").removeprefix("www.")
    return f"{host}{path}" + (f"?{urlencode(sorted(query))}" if query else "")


def identity_keys(entry: Entry, source: str, *, own_url: bool = True) -> list[str]:
    """The keys of an entry, strongest first. `source` sets ids of different feeds apart; with
    `own_url` false the address is shared by several entries and tells nothing."""
    text = comparison_key(story_text(entry.title, entry.summary))
    url = canonical_url(entry.url)
    keys = [f"id:{_digest(source, entry.entry_id or url or text)}"]
    if url and own_url:
        keys.append(f"url:{_digest(url)}")
    keys.append(f"{TEXT_PREFIX}{_digest(text)}")
    return keys


def shared_urls(entries: list[Entry]) -> frozenset[str]:
    """Addresses that several entries of one document have although their ids differ."""
    ids: dict[str, set[str]] = {}
    for entry in entries:
        url = canonical_url(entry.url)
        if url:
            ids.setdefault(url, set()).add(entry.entry_id or entry.title)
    return frozenset(url for url, found in ids.items() if len(found) > 1)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:40]


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
