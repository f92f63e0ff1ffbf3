"""Is an entry a story that we have already?

Three keys tell: the feed's own id of the entry, the address without what only tracks readers, and
the words without case and punctuation. The first two hold for ever; words hold for three days,
since "Week ahead" may come every week.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit

from core.markup import web_address
from core.text import comparison_key
from services.finance_sentiment.domain import Entry, story_text

TEXT_KEY_HOLDS = timedelta(hours=72)
TEXT_PREFIX = "text:"

_TRACKING = frozenset(
    {"fbclid", "gclid", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid", "yclid", "ocid"}
    | {"cmpid", "ncid", "guccounter", "guce_referrer", "guce_referrer_sig"}
)


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
    text = words_of(entry)
    url = canonical_url(entry.url)
    keys = [f"id:{_digest(source, entry.entry_id or url or text)}"]
    if url and own_url:
        keys.append(f"url:{_digest(url)}")
    keys.append(f"{TEXT_PREFIX}{_digest(text)}")
    return keys


@lru_cache(maxsize=1_000)
def words_of(entry: Entry) -> str:
    """An entry's words without case and punctuation; asked for twice of each that is new."""
    return comparison_key(story_text(entry.title, entry.summary))


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
