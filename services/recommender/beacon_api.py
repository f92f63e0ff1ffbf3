"""How do a page's last events come in, while it is being left?

`navigator.sendBeacon` sets no header, and a page that goes has no time for the question that a
browser asks before a request with one. So the token travels in the body, which is plain text for
the browser's sake and JSON for ours:

    {"token": "ts_…", "events": [{"item_id": "t1", "event": "impression", …}]}

What the token opens is what it opens everywhere: events of its own session.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import Unauthorized
from services.recommender.api import Given
from services.recommender.event_schemas import EventIn, EventsOut
from services.recommender.events_api import store_events
from services.recommender.sessions import SessionTokens

# Without a key in a header: the token in the body is what is checked.
public = APIRouter(prefix="/v1")


class BeaconIn(BaseModel):
    """`token`: of the session that the events are of."""

    model_config = ConfigDict(extra="ignore")

    token: Annotated[str, Field(max_length=2500)]
    events: Annotated[list[EventIn], Field(min_length=1)]


@public.post("/events/beacon", response_model=EventsOut)
async def take_beacon(
    request: Request,
    parts: Given,
    body: Annotated[str, Body(media_type="text/plain")],
) -> Any:
    """Events of a page that is being left: a text that is JSON, with the token in it."""
    given = _read(body)
    tokens: SessionTokens = request.app.state.tokens
    caller = tokens.verify(given.token, request.headers.get("origin"))
    if caller is None:
        raise Unauthorized(
            "this session token is not valid here, or its time is over", mend="Open a new session."
        )
    return await store_events(given.events, parts, caller)


def _read(body: str) -> BeaconIn:
    try:
        return BeaconIn.model_validate(json.loads(body))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        told = [{**one, "loc": ("body", *one["loc"])} for one in found]
        raise RequestValidationError(told) from error
    except (ValueError, RecursionError) as error:
        told = [{"type": "json_invalid", "loc": ("body",), "msg": "expected a text that is JSON"}]
        raise RequestValidationError(told) from error
