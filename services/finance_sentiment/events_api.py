"""How does a caller listen to /v1/events, and what does each event say?

A stream of server-sent events: `story` and `alert` with what changed and the whole story or alert
as /v1/stories and /v1/alerts show it, `reset` where something was missed that can no longer be
told. It ends after a quarter of an hour, with the server, or when its reader takes nothing for half
a minute; who comes back with the last id goes on from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.errors import InvalidInput
from core.web import requires
from core.web.auth import Caller
from services.finance_sentiment.api import shown_alert, shown_story
from services.finance_sentiment.changes import Noted
from services.finance_sentiment.company_store import companies_by_story
from services.finance_sentiment.domain import PENDING
from services.finance_sentiment.entities import CompanySentiment
from services.finance_sentiment.events import Hub, Places, Told, event_block, json_block
from services.finance_sentiment.schemas import EventsQuery
from services.finance_sentiment.series import series_labels
from services.finance_sentiment.store import carried_by
from services.finance_sentiment.tables import alerts, stories

MEDIA_TYPE = "text/event-stream"
# What a browser waits before it comes back.
RETRY_MILLISECONDS = 3_000
# A key that was revoked is looked at again when its stream comes back.
STREAM_SECONDS = 900.0
SEND_SECONDS = 30.0
_LARGEST_ID = 2**63 - 1
_DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events", "content": {MEDIA_TYPE: {}}}
}


@dataclass(frozen=True)
class EventParts:
    """What the endpoint calls. `heartbeat`: seconds of silence after which a line is sent."""

    hub: Hub
    places: Places
    heartbeat: float


def make_events_router(parts: EventParts) -> APIRouter:
    """The stream of events."""
    router = APIRouter(prefix="/v1")

    @router.get("/events", response_class=Response, responses=_DESCRIBED)
    async def events(
        query: Annotated[EventsQuery, Query()],
        caller: Annotated[Caller, requires("read")],
        last_event_id: Annotated[str, Header()] = "",
    ) -> Response:
        """New and changed stories and alerts as server-sent events."""
        last = known_id(last_event_id or query.last_event_id or "")
        return EventStream(parts, caller.name, query, last)

    return router


def known_id(text: str) -> int | None:
    """The id that a caller has seen last, None for "". InvalidInput: it is none of ours."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _LARGEST_ID):
        raise InvalidInput(
            "Last-Event-ID is not one of ours", mend="Send the last id received, or none."
        )
    return int(text)


def wants(query: EventsQuery, event: Told) -> bool:
    """Whether the stream of this query tells of the event."""
    if query.kind is not None and event.kind != query.kind:
        return False
    if query.topic and event.topic != query.topic:
        return False
    if query.company and query.company not in event.companies:
        return False
    return event.kind == "alert" or query.sentiment in (None, event.sentiment)


def tell(session: Session, rows: Sequence[Noted]) -> list[Told]:
    """Events of these changes, as things stand now. A story that changed several times is told of
    once, at the last of them; one that waits for its label is told of when it has it."""
    last = {row.subject: row.id for row in rows if row.kind == "story"}
    query = select(stories).where(stories.c.id.in_(last), stories.c.state != PENDING)
    found = {row.id: row for row in session.execute(query)}
    carried, named = carried_by(session, list(found)), companies_by_story(session, list(found))
    raised = {row.subject for row in rows if row.kind == "alert"}
    known = {r.id: r for r in session.execute(select(alerts).where(alerts.c.id.in_(raised)))}
    told = []
    for row in rows:
        if row.kind == "alert" and row.subject in known:
            alert = known[row.subject]
            content = {"change": row.change, "alert": shown_alert(alert).model_dump(mode="json")}
            watched = series_labels(alert.topic)
            of = frozenset(filter(None, [watched["company"]]))
            block = json_block(row.id, "alert", content)
            told.append(Told(row.id, "alert", block, watched["topic"], companies=of))
        elif row.kind == "story" and last[row.subject] == row.id and row.subject in found:
            story = found[row.subject]
            told.append(_told_story(row, story, carried[story.id], named[story.id]))
    return told


def _told_story(
    row: Noted, story: Any, carried: list[str], named: Sequence[CompanySentiment]
) -> Told:
    shown = shown_story(story, carried, named).model_dump(mode="json")
    content = {"change": row.change, "story": shown}
    block = json_block(row.id, "story", content)
    companies = frozenset(one.company for one in named)
    return Told(row.id, "story", block, story.topic, story.sentiment, companies)


class EventStream(Response):
    """One open stream. It keeps how far it has read, and never more than a page of events."""

    media_type = MEDIA_TYPE

    def __init__(
        self, parts: EventParts, caller: str, query: EventsQuery, last: int | None
    ) -> None:
        # No proxy on the way is to hold events back.
        super().__init__(headers={"X-Accel-Buffering": "no"})
        # There is no end that could be counted to.
        del self.headers["content-length"]
        self._parts = parts
        self._caller = caller
        self._query = query
        self._last = last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the caller goes or the stream is over."""
        hub = self._parts.hub
        with self._parts.places.one(self._caller):
            async with hub.following(self._last) as (position, missed):
                telling = asyncio.create_task(self._told(send, position, missed))
                leaving = asyncio.create_task(_left(receive))
                try:
                    await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (telling, leaving):
                        task.cancel()
                    await asyncio.gather(telling, leaving, return_exceptions=True)
        if not telling.cancelled() and (error := telling.exception()) is not None:
            raise error

    async def _told(self, send: Send, position: int, missed: bool) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            await self._tell(send, position, missed)
        except TimeoutError:
            # It takes nothing: broken off, and it may come back.
            return
        await _sent(send, b"", more=False)

    async def _tell(self, send: Send, position: int, missed: bool) -> None:
        hub = self._parts.hub
        until = time.monotonic() + STREAM_SECONDS
        # Without data nothing is told, but the id is remembered: who is cut off before the first
        # event comes back with it.
        await _sent(send, f"retry: {RETRY_MILLISECONDS}\nid: {position}\n\n".encode())
        if missed:
            await _sent(send, event_block(position, "reset", '{"reason": "too long ago"}'))
        remembered = position
        while not hub.ended and time.monotonic() < until:
            news = hub.news
            found, reached = await hub.after(position)
            for event in found:
                if wants(self._query, event):
                    await _sent(send, event.block)
                    remembered = event.id
            moved, position = reached > position, reached
            if moved or await _within(news, self._parts.heartbeat):
                continue
            passed = f"id: {position}\n\n" if position > remembered else "\n"
            remembered = position
            await _sent(send, f": still here\n{passed}".encode())


async def _sent(send: Send, body: bytes, *, more: bool = True) -> None:
    """Send, or TimeoutError where the reader's buffers stay full."""
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _within(news: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    return True
