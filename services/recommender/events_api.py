"""How do events come in over HTTP, and how does a web page get a session to send them for?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body
from starlette.requests import Request

from core.web import Caller, requires
from core.web.auth import PUBLISHABLE
from services.recommender import ga4, segment
from services.recommender.api import Given, Parts
from services.recommender.event_schemas import (
    EventIn,
    EventsOut,
    OneOrManyEvents,
    OutsideEventsOut,
    SessionIn,
    SessionOut,
)
from services.recommender.event_store import Added, NewEvent
from services.recommender.ingest import add_events
from services.recommender.outside_events import Translated, fill_orders
from services.recommender.sessions import SESSION, SessionTokens, check_own_session

# For keys of a server, and for what stands in a web page.
router = APIRouter(prefix="/v1")
bound = APIRouter(prefix="/v1")

_MOST_WARNINGS = 50


@bound.post("/sessions", response_model=SessionOut, status_code=201)
def open_session(
    request: Request,
    caller: Annotated[Caller, requires(PUBLISHABLE)],
    body: Annotated[SessionIn | None, Body()] = None,
) -> Any:
    """A session of one's own for a visitor of a website, with the token that is good for it."""
    tokens: SessionTokens = request.app.state.tokens
    token = None if body is None else body.token
    opened = tokens.open(caller, request.headers.get("origin"), token)
    return SessionOut(token=opened.token, session_id=opened.subject, expires_at=opened.expires_at)


@bound.post("/events", response_model=EventsOut)
async def take_events(
    body: OneOrManyEvents, parts: Given, caller: Annotated[Caller, requires("events", SESSION)]
) -> Any:
    """Store one event or a list. A known event_id is acknowledged and left out."""
    return await store_events(body if isinstance(body, list) else [body], parts, caller)


async def store_events(given: Sequence[EventIn], parts: Parts, caller: Caller) -> EventsOut:
    """Store events that this caller may send."""
    now = parts.seconds()
    batch = [one.event_at(now) for one in given]
    for event in batch:
        check_own_session(caller, event.user_id, event.session_id)
    done = await _add(parts, batch, now)
    return EventsOut(
        accepted=done.accepted, repeated=done.repeated, warnings=_warnings(done.unknown_items)
    )


@router.post("/events/ga4", response_model=OutsideEventsOut, dependencies=[requires("events")])
async def take_ga4(body: ga4.Ga4In, parts: Given) -> Any:
    """A request of the Measurement Protocol of Google Analytics 4, as it is sent there."""
    now = parts.seconds()
    return await _take(parts, ga4.translate(body, now), now)


@router.post("/events/segment", response_model=OutsideEventsOut, dependencies=[requires("events")])
async def take_segment(body: segment.SegmentBatch | segment.SegmentCall, parts: Given) -> Any:
    """A track call of Segment, or a batch of calls, as it is sent there."""
    now = parts.seconds()
    calls = body.batch if isinstance(body, segment.SegmentBatch) else [body]
    return await _take(parts, segment.translate(calls, now), now)


async def _take(parts: Parts, told: Translated, now: float) -> OutsideEventsOut:
    done = await _add(parts, told.events, now)
    warnings = told.warnings()
    if told.given_back:
        # After what came with it, so that an order may be given back in the same request.
        lines, unknown = fill_orders(told.given_back, parts.events.order)
        back = await _add(parts, lines, now)
        done = Added(
            done.accepted + back.accepted, done.repeated + back.repeated, done.unknown_items
        )
        warnings += [
            f"nothing is known of order {name!r}; nothing is given back" for name in unknown
        ]
    warnings += _warnings(done.unknown_items)
    return OutsideEventsOut(
        accepted=done.accepted,
        repeated=done.repeated,
        warnings=warnings[:_MOST_WARNINGS],
        ignored=told.names(),
    )


async def _add(parts: Parts, batch: Sequence[NewEvent], now: float) -> Added:
    return await add_events(
        parts.events,
        parts.items,
        parts.live(),
        batch,
        now=now,
        at_most=parts.settings.max_events_per_request,
    )


def _warnings(unknown_items: Sequence[str]) -> list[str]:
    return [
        f"item {item_id!r} is not in the shop; the event is kept and counts when it is"
        for item_id in unknown_items
    ]
