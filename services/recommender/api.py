"""Which endpoints are there? They translate between HTTP and the service, and decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from core.errors import InvalidInput, NotFound, NotReady
from core.inference.slot import ModelSlot
from core.web import requires
from services.recommender.event_store import EventStore
from services.recommender.ingest import add_events, put_items
from services.recommender.live import Live
from services.recommender.recommend import recommend, similar
from services.recommender.schemas import (
    DeletedOut,
    EventsOut,
    Identifier,
    ItemOut,
    OneOrManyEvents,
    OneOrManyItems,
    RecommendationsIn,
    RecommendationsOut,
    SimilarOut,
    UpsertedOut,
    item_out,
    recommendation_out,
)
from services.recommender.settings import Settings
from services.recommender.store import ItemStore

router = APIRouter(prefix="/v1")


@dataclass(frozen=True)
class Parts:
    """What the endpoints work with."""

    settings: Settings
    items: ItemStore
    events: EventStore
    models: ModelSlot[Live]
    now: Callable[[], datetime]

    def seconds(self) -> float:
        """The present moment in Unix seconds."""
        return self.now().timestamp()

    def live(self) -> Live | None:
        """The live model, None before the first."""
        try:
            return self.models.current()
        except NotReady:
            return None


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Given = Annotated[Parts, Depends(_parts)]
ItemId = Annotated[Identifier, Path()]


@router.put("/items", response_model=UpsertedOut, dependencies=[requires("items")])
async def upsert_items(body: OneOrManyItems, parts: Given) -> Any:
    """Add or replace one item or a list of them; all are in the next answer."""
    batch = [given.item() for given in (body if isinstance(body, list) else [body])]
    limit = parts.settings.max_items_per_request
    done = await put_items(parts.items, parts.live, batch, now=parts.seconds(), at_most=limit)
    return UpsertedOut(accepted=len(batch), **vars(done))


@router.get("/items/{item_id:path}", response_model=ItemOut, dependencies=[requires("items")])
def read_item(item_id: ItemId, parts: Given) -> Any:
    """One item as it is kept."""
    stored = parts.items.find(item_id)
    if stored is None:
        raise _no_such_item(item_id)
    return item_out(stored)


@router.delete("/items/{item_id:path}", response_model=DeletedOut, dependencies=[requires("items")])
def delete_item(item_id: ItemId, parts: Given) -> Any:
    """Take an item out of the shop; it is in no later answer. Its events stay."""
    if not parts.items.delete(item_id, parts.seconds()):
        raise _no_such_item(item_id)
    return DeletedOut(item_id=item_id, deleted=True)


@router.post("/events", response_model=EventsOut, dependencies=[requires("events")])
def take_events(body: OneOrManyEvents, parts: Given) -> Any:
    """Store one event or a list. A known event_id is acknowledged and left out."""
    now = parts.seconds()
    batch = [given.event_at(now) for given in (body if isinstance(body, list) else [body])]
    done = add_events(parts.events, batch, now=now, at_most=parts.settings.max_events_per_request)
    warnings = [
        f"item {item_id!r} is not in the shop; the event is kept and counts when it is"
        for item_id in done.unknown_items
    ]
    return EventsOut(accepted=done.accepted, repeated=done.repeated, warnings=warnings)


@router.post(
    "/recommendations", response_model=RecommendationsOut, dependencies=[requires("recommend")]
)
def recommendations(body: RecommendationsIn, parts: Given) -> Any:
    """The items that interest a user most, by what is known at this moment."""
    _check_count(body.n, parts.settings.max_recommendations)
    live = parts.models.current()
    shelf = live.shelf()
    history = parts.events.history(body.user_id, body.session_id)
    found = recommend(live.model, shelf, history, body.request(), parts.seconds())
    return RecommendationsOut(
        recommendation_id=uuid4().hex,
        model_version=live.model.version,
        items=[recommendation_out(one) for one in found],
    )


@router.get(
    "/similar/{item_id:path}", response_model=SimilarOut, dependencies=[requires("recommend")]
)
def similar_items(
    item_id: ItemId, parts: Given, n: Annotated[int, Query(ge=1, le=1_000)] = 10
) -> Any:
    """Items like this one, by text and by who took both."""
    _check_count(n, parts.settings.max_recommendations)
    live = parts.models.current()
    shelf = live.shelf()
    row = shelf.row(item_id)
    if row is None:
        raise _no_such_item(item_id)
    found = similar(live.model, shelf, row, n, parts.seconds())
    return {
        "item_id": item_id,
        "model_version": live.model.version,
        "items": [{"item_id": f.item_id, "rank": f.rank, "score": f.score} for f in found],
    }


def _check_count(n: int, most: int) -> None:
    if n > most:
        raise InvalidInput(f"n must be at most {most}, was: {n}", mend="Ask for fewer.")


def _no_such_item(item_id: str) -> NotFound:
    return NotFound(f"there is no item {item_id!r}", mend="Add it with PUT /v1/items.")
