"""What does a Google Analytics 4 payload say to a recommender? Pure.

The body of the Measurement Protocol: client_id and user_id, timestamp_micros, and events with
`name` and `params`. The client is the anonymous session. An item's index counts from 0 there, our
positions from 1; its list, else the event's, is the scenario; its price is of one piece, discounts
taken off. Events that carry no item, and those of other names, are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, model_validator

from core.data.records import EventKind
from services.recommender.event_store import NewEvent
from services.recommender.outside_events import (
    MOST_ITEMS,
    GivenBack,
    Label,
    Lenient,
    Line,
    Name,
    Number,
    Translated,
    Whole,
    add_lines,
    order_identity,
)

KINDS: Final[dict[str, EventKind]] = {
    "view_item_list": "impression",
    "view_item": "view",
    "select_item": "click",
    "share": "share",
    "add_to_wishlist": "wishlist",
    "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "purchase": "purchase",
    "refund": "refund",
}
# Microseconds between the years 1970 and 9999.
Micros = Annotated[int, Field(ge=0, le=253_402_300_799_000_000)]


class Ga4Item(Lenient):
    """One of `params.items`."""

    item_id: Name = None
    item_list_id: Label = None
    item_list_name: Label = None
    index: Whole = None
    price: Number = None
    quantity: Number = None
    recommendation_id: Name = None


class Ga4Params(Lenient):
    """`params` of an event. `item_id` is that of a share."""

    items: list[Ga4Item] = Field(default_factory=list, max_length=MOST_ITEMS)
    item_id: Name = None
    item_list_id: Label = None
    item_list_name: Label = None
    transaction_id: Name = None
    value: Number = None
    currency: Annotated[str, Field(max_length=10)] | None = None
    recommendation_id: Name = None


class Ga4Event(Lenient):
    """One event of a request."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    params: Ga4Params = Ga4Params()
    timestamp_micros: Micros | None = None


class Ga4In(Lenient):
    """A request of the Measurement Protocol."""

    client_id: Name = None
    user_id: Name = None
    timestamp_micros: Micros | None = None
    events: Annotated[list[Ga4Event], Field(max_length=1_000)]

    @model_validator(mode="after")
    def _somebody(self) -> Ga4In:
        if self.user_id is None and self.client_id is None:
            raise ValueError("expected client_id or user_id")
        return self


def translate(body: Ga4In, now: float) -> Translated:
    """The request as our events; what has no time of its own happened `now` (Unix seconds)."""
    found = Translated()
    for number, event in enumerate(body.events):
        kind = KINDS.get(event.name)
        if kind is None:
            found.ignored[event.name] += 1
            continue
        micros = event.timestamp_micros or body.timestamp_micros
        params, lines = event.params, _lines(event.params)
        common = NewEvent(
            event_id="",
            user_id=body.user_id,
            session_id=body.client_id,
            item_id="",
            kind=kind,
            value=None,
            occurred_at=now if micros is None else micros / 1e6,
            recommendation_id=params.recommendation_id,
            scenario=params.item_list_id or params.item_list_name,
            currency=params.currency,
            order_id=params.transaction_id,
        )
        if lines:
            identity = _identity(kind, body, event, micros, number)
            add_lines(found, lines, common, identity, params.value)
        elif kind == "refund" and params.transaction_id is not None:
            found.given_back.append(GivenBack(params.transaction_id, common))
        else:
            found.ignored[event.name] += 1
    return found


def _lines(params: Ga4Params) -> Sequence[Line]:
    if not params.items and params.item_id is not None:
        return [Line(params.item_id, None, None, None, None)]
    return [
        Line(
            item_id=item.item_id,
            scenario=item.item_list_id or item.item_list_name,
            position=None if item.index is None else item.index + 1,
            price=item.price,
            quantity=item.quantity,
            recommendation_id=item.recommendation_id,
        )
        for item in params.items
    ]


def _identity(
    kind: EventKind, body: Ga4In, event: Ga4Event, micros: int | None, number: int
) -> tuple[object, ...] | None:
    """A purchase is its transaction, however often the page with the thanks is loaded. Of one order
    things may be given back twice, at different moments. All else is told apart by its moment and
    its place in the request; without a moment, nothing tells a second view from a resent one."""
    order_id = event.params.transaction_id
    if kind == "purchase" and order_id is not None:
        return order_identity(kind, order_id)
    if kind == "refund" and order_id is not None:
        return (*order_identity(kind, order_id), micros)
    if micros is None:
        return None
    return ("ga4", body.client_id, body.user_id, event.name, micros, number)
