"""How are feeds listed, added, changed and removed over HTTP, one by one or as OPML?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Row
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from core.markup import web_address
from core.net.policy import redact
from core.web import requires
from services.finance_sentiment.opml import Outline, write_opml
from services.finance_sentiment.source_edits import add_source, change_source, remove_source
from services.finance_sentiment.source_lists import Listed, listed_in_opml
from services.finance_sentiment.sources import all_sources, one_source, save_sources
from services.finance_sentiment.watch_store import brought_by_day

_OPML = "text/x-opml"
_MOST_MINUTES = 7 * 24 * 60
NEWS_DAYS = 14


def _address(text: str) -> str:
    url = web_address(text)
    if not url:
        raise ValueError("expected an http or https address, as in https://example.com/feed.xml")
    return url


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_address)]
Minutes = Annotated[float, Field(ge=1 / 60, le=_MOST_MINUTES)]
SourceId = Annotated[int, Path(ge=1, le=2**53)]


class NewSource(BaseModel):
    """A feed to watch; without an interval it is asked as often as it has news."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    url: Url
    interval_minutes: Minutes | None = None
    enabled: bool = True


class SourceChange(BaseModel):
    """What is to change; what is left out stays, and an interval of null is no interval."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    url: Url = ""
    interval_minutes: Minutes | None = None
    enabled: bool = True


class SourceState(BaseModel):
    """A feed and how it is doing; secrets in its addresses are masked.

    `learned_seconds` is the pace it is held to where it states no interval; `moved_from` the
    address before the server moved it for good; `host_rests_until` is set while its server is in
    trouble, and all feeds of it wait.
    """

    id: int
    name: str
    url: str
    enabled: bool
    interval_seconds: float | None
    learned_seconds: float | None
    ttl_seconds: float
    etag: str | None
    last_modified: str | None
    next_check_at: datetime
    checked_at: datetime | None
    changed_at: datetime | None
    error_count: int
    last_error: str | None
    moved_from: str | None
    moved_at: datetime | None
    host_rests_until: datetime | None


class SourcesResponse(BaseModel):
    """All feeds, by name."""

    sources: list[SourceState]


class SourcesTaken(BaseModel):
    """What an OPML document brought: feeds `added`, and feeds `known` already."""

    added: int
    known: int


class SourceNews(BaseModel):
    """Stories that a feed brought on each of the days."""

    source_id: int
    stories: list[int]


class SourcesNews(BaseModel):
    """What each feed brought on the last days, which end now; feeds that brought nothing are left
    out."""

    since: datetime
    days: int
    sources: list[SourceNews]


@dataclass(frozen=True)
class SourceParts:
    """Sessions that do not write, sessions that do, and the clock."""

    read: sessionmaker[Session]
    write: sessionmaker[Session]
    now: Callable[[], datetime]


def make_sources_router(parts: SourceParts) -> APIRouter:
    """All endpoints of /v1/sources. Reading takes the scope `read`; whatever changes the list, or
    shows addresses with their secrets, takes `sources`."""
    router = APIRouter(prefix="/v1/sources")
    writes = [requires("sources")]

    @router.get("", dependencies=[requires("read")])
    def sources() -> SourcesResponse:
        """Every feed and how it is doing."""
        with parts.read() as session:
            return SourcesResponse(sources=[_state(row) for row in all_sources(session)])

    @router.get("/news", dependencies=[requires("read")])
    def news() -> SourcesNews:
        """How many stories each feed brought on each of the last fourteen days."""
        now = parts.now()
        with parts.read() as session:
            found = brought_by_day(session, now, NEWS_DAYS)
        listed = [SourceNews(source_id=i, stories=days) for i, days in found.items()]
        since = now - timedelta(days=NEWS_DAYS)
        return SourcesNews(since=since, days=NEWS_DAYS, sources=listed)

    @router.post("", status_code=201, dependencies=writes)
    def add(body: NewSource) -> SourceState:
        """Watch one more feed."""
        with parts.write.begin() as session:
            listed = Listed(body.name, body.url, body.enabled, _seconds(body.interval_minutes))
            return _state(one_source(session, add_source(session, listed, parts.now())))

    @router.get("/opml", dependencies=writes)
    def opml() -> Response:
        """All feeds as OPML, with their whole addresses."""
        with parts.read() as session:
            feeds = [Outline(row.name, row.url) for row in all_sources(session)]
        return Response(write_opml(feeds, "Feeds of the news monitor"), media_type=_OPML)

    @router.post("/opml", dependencies=writes)
    async def take_opml(request: Request) -> SourcesTaken:
        """Add the feeds of an OPML document, which is the body itself."""
        return await run_in_threadpool(_take, await request.body())

    def _take(body: bytes) -> SourcesTaken:
        listed = listed_in_opml(body)
        with parts.write.begin() as session:
            added, known = save_sources(session, listed, parts.now(), only_new=True)
        return SourcesTaken(added=added, known=known)

    @router.patch("/{source_id}", dependencies=writes)
    def change(source_id: SourceId, body: SourceChange) -> SourceState:
        """Change a feed; another address forgets what the old one said of itself."""
        given = body.model_dump(exclude_unset=True)
        if "interval_minutes" in given:
            given["interval_seconds"] = _seconds(given.pop("interval_minutes"))
        with parts.write.begin() as session:
            change_source(session, source_id, given, parts.now())
            return _state(one_source(session, source_id))

    @router.delete("/{source_id}", status_code=204, dependencies=writes)
    def remove(source_id: SourceId) -> None:
        """Watch a feed no longer; its stories stay."""
        with parts.write.begin() as session:
            remove_source(session, source_id)

    return router


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else minutes * 60


def _state(row: Row[Any]) -> SourceState:
    values = {name: getattr(row, name) for name in SourceState.model_fields}
    shown = {"url": redact(row.url), "moved_from": row.moved_from and redact(row.moved_from)}
    return SourceState(**values | shown)
