"""What does a feed answer when it is asked whether there is anything new?

One conditional request through the guarded client. Failure is data: whatever goes wrong with a feed
comes back as a `Fetched` that says so, never as an exception that could stop the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from urllib.parse import urlsplit

from core.errors import FetchError, FetchTimeout, InvalidInput
from core.markup import web_address
from core.net import Response
from core.net.retry import retry_after
from services.finance_sentiment.domain import Entry
from services.finance_sentiment.feed_formats import parse_feed
from services.finance_sentiment.pacing import LONGEST_ASKED, fresh_for

ACCEPT = (
    "application/rss+xml, application/atom+xml, application/rdf+xml, application/feed+json, "
    "application/xml;q=0.9, application/json;q=0.8, text/xml;q=0.8, */*;q=0.1"
)
_MAX_VALIDATOR = 500
_MAX_ERROR = 500


class Client(Protocol):
    """What is needed of `core.net.GuardedClient`."""

    def get(self, url: str, *, headers: dict[str, str] | None = None) -> Response:
        """One GET, redirects followed; FetchError where there is no answer."""


@dataclass(frozen=True, slots=True)
class Source:
    """A feed as the database knows it. `etag` and `last_modified` are what it sent last time."""

    id: int
    name: str
    url: str
    etag: str | None = None
    last_modified: str | None = None
    interval_seconds: float | None = None
    error_count: int = 0
    # What its own pace has become, and what RSS's <ttl> said last.
    learned_seconds: float | None = None
    ttl_seconds: float = 0.0

    @property
    def host(self) -> str:
        """Whom it shares its rests with: host and port."""
        return host_of(self.url)


def host_of(url: str) -> str:
    """Host and port of an address, as feeds of one server share them."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    return f"{parts.hostname or ''}:{port}"[:255]


# fine: it answered · trouble: no connection, no answer in time, or a gateway's error · busy: it
# asks to be left alone for a while
HostState = Literal["fine", "trouble", "busy"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one request.

    `wait` is what the server asked for with Retry-After, `fresh` how long it calls its answer
    fresh. `moved_to` is the feed's new address where the old one said that it moved for good.
    """

    outcome: Literal["fresh", "unchanged", "failed"]
    entries: tuple[Entry, ...] = ()
    etag: str | None = None
    last_modified: str | None = None
    error: str = ""
    wait: timedelta = timedelta()
    title: str = ""
    fresh: timedelta = timedelta()
    ttl_seconds: float = 0.0
    moved_to: str = ""
    host: HostState = "fine"


def fetch_feed(client: Client, source: Source, *, now: datetime, max_entries: int) -> Fetched:
    """Ask the feed for what is new since its stored ETag and Last-Modified."""
    try:
        response = client.get(source.url, headers=_conditional(source))
    except FetchError as error:
        # Only these two say that the host did not answer; the others are about what it answered.
        silent = type(error) in (FetchError, FetchTimeout)
        return _failed(str(error), host="trouble" if silent else "fine")
    if response.status == 304:
        return Fetched(
            "unchanged",
            etag=source.etag,
            last_modified=source.last_modified,
            fresh=_freshness(response, source.ttl_seconds, now),
            ttl_seconds=source.ttl_seconds,
            moved_to=permanent_address(response),
        )
    if not response.ok:
        return _refused(response, now)
    try:
        feed = parse_feed(
            response.body,
            content_type=response.headers.get("content-type", ""),
            base_url=response.url,
            max_entries=max_entries,
        )
    except InvalidInput as error:
        return _failed(str(error))
    return Fetched(
        "fresh",
        feed.entries,
        _validator(response.headers.get("etag")),
        _validator(response.headers.get("last-modified")),
        title=feed.title,
        fresh=_freshness(response, feed.ttl, now),
        ttl_seconds=feed.ttl,
        moved_to=permanent_address(response),
    )


def permanent_address(response: Response) -> str:
    """Where a chain of redirects moved the feed for good: behind its first run of 301 and 308; ""
    where it did not. A step from https down to http is followed and never recorded."""
    stops = [url for _, url in response.redirects] + [response.url]
    moved = ""
    for (status, url), following in zip(response.redirects, stops[1:], strict=True):
        downgrade = url.startswith("https:") and not following.startswith("https:")
        if status not in (301, 308) or downgrade or not web_address(following):
            break
        moved = following
    return moved


def _freshness(response: Response, ttl_seconds: float, now: datetime) -> timedelta:
    return max(fresh_for(response.headers, now), timedelta(seconds=ttl_seconds))


def _refused(response: Response, now: datetime) -> Fetched:
    asked = retry_after(response.headers.get("retry-after"), now)
    # Bounded before it becomes a timedelta, which holds only so many days.
    wait = timedelta(seconds=min(asked, LONGEST_ASKED.total_seconds()))
    state: HostState = "fine"
    if response.status == 429 or (response.status == 503 and wait):
        state = "busy"
    elif response.status in (502, 503, 504):
        state = "trouble"
    return _failed(f"the server answered {response.status}", wait, host=state)


def _conditional(source: Source) -> dict[str, str]:
    headers = {"Accept": ACCEPT}
    if source.etag:
        headers["If-None-Match"] = source.etag
    if source.last_modified:
        headers["If-Modified-Since"] = source.last_modified
    return headers


def _validator(value: str | None) -> str | None:
    """A header that is sent back next time, if it is one that can be."""
    if not value or len(value) > _MAX_VALIDATOR or not value.isprintable() or not value.isascii():
        return None
    return value


def _failed(error: str, wait: timedelta = timedelta(), *, host: HostState = "fine") -> Fetched:
    return Fetched("failed", error=error[:_MAX_ERROR], wait=wait, host=host)
