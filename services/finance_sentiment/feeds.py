"""What does a feed answer when it is asked whether there is anything new?

One conditional request through the guarded client. Failure is data: whatever goes wrong with a feed
comes back as a `Fetched` that says so, never as an exception that could stop the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from core.errors import FetchError, InvalidInput
from core.net import Response
from core.net.retry import retry_after
from services.finance_sentiment.domain import Entry
from services.finance_sentiment.feed_formats import parse_feed

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


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one request. `wait` is what the server asked for with Retry-After."""

    outcome: Literal["fresh", "unchanged", "failed"]
    entries: tuple[Entry, ...] = ()
    etag: str | None = None
    last_modified: str | None = None
    error: str = ""
    wait: timedelta = timedelta()


def fetch_feed(client: Client, source: Source, *, now: datetime, max_entries: int) -> Fetched:
    """Ask the feed for what is new since its stored ETag and Last-Modified."""
    try:
        response = client.get(source.url, headers=_conditional(source))
    except FetchError as error:
        return _failed(str(error))
    if response.status == 304:
        return Fetched("unchanged", etag=source.etag, last_modified=source.last_modified)
    if not response.ok:
        asked = retry_after(response.headers.get("retry-after"), now)
        # Bounded before it becomes a timedelta, which holds only so many days.
        return _failed(f"the server answered {response.status}", timedelta(0, min(asked, 86_400.0)))
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
    )


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


def _failed(error: str, wait: timedelta = timedelta()) -> Fetched:
    return Fetched("failed", error=error[:_MAX_ERROR], wait=wait)
