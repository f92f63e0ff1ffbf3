"""How is it seen over HTTP what was told to whom, and a message sent after all?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session, sessionmaker

from core.web import requires
from services.finance_sentiment.delivery_store import page_of_deliveries, retry, shown_delivery

RowId = Annotated[int, Path(ge=1, le=2**53)]


class DeliveriesQuery(BaseModel):
    """Which messages: by how far they have come, and by channel."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["pending", "sent", "dead"] | None = None
    channel: str | None = Field(default=None, max_length=100)
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=200)


@dataclass(frozen=True)
class DeliveryParts:
    """What the endpoints call. `read`: sessions that do not write."""

    read: sessionmaker[Session]
    write: sessionmaker[Session]
    now: Callable[[], datetime]


def make_deliveries_router(parts: DeliveryParts) -> APIRouter:
    """Messages to the outside. Errors of receivers stand in them, so both need `alerts`."""
    router = APIRouter(prefix="/v1/deliveries")

    @router.get("", dependencies=[requires("alerts")])
    def deliveries(query: Annotated[DeliveriesQuery, Query()]) -> dict[str, Any]:
        """Messages, newest first; `state=dead` are those that were given up."""
        with parts.read() as session:
            page, following = page_of_deliveries(session, **query.model_dump())
            shown = [shown_delivery(row) for row in page]
        return {"deliveries": shown, "next_cursor": following}

    @router.post("/{delivery_id}/retry", dependencies=[requires("alerts")])
    def retry_delivery(delivery_id: RowId) -> dict[str, Any]:
        """Send a message that was given up, with all its attempts before it."""
        with parts.write.begin() as session:
            retry(session, delivery_id, parts.now())
        return {"id": delivery_id, "state": "pending"}

    return router
