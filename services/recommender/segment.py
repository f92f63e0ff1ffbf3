"""What does a Segment call say to a recommender? Pure.

`track` calls of the ecommerce specification, one or a batch. The anonymousId is the session;
`products` become one event each; `list_id` is the scenario; a review is a comment with its stars.
Other calls (identify, page) and other names are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, model_validator

from core.data.records import EventKind
from services.recommender.event_schemas import COMMENT_CHARS
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
from services.recommender.schemas import Moment

KINDS: Final[dict[str, EventKind]] = {
    "product list viewed": "impression",
    "product clicked": "click",
    "product viewed": "view",
    "product added": "add_to_cart",
    "product removed": "remove_from_cart",
    "product added to wishlist": "wishlist",
    "product reviewed": "comment",
    "product shared": "share",
    "order completed": "purchase",
    "order refunded": "refund",
}


class SegmentProduct(Lenient):
    """A product, in `products` or in the properties themselves."""

    product_id: Name = None
    sku: Name = None
    position: Whole = None
    price: Number = None
    quantity: Number = None
    recommendation_id: Name = None

    @property
    def item_id(self) -> str | None:
        """The shop's id of it."""
        return self.product_id or self.sku


class SegmentProperties(SegmentProduct):
    """`properties` of a track call."""

    products: list[SegmentProduct] = Field(default_factory=list, max_length=MOST_ITEMS)
    list_id: Label = None
    order_id: Name = None
    total: Number = None
    revenue: Number = None
    currency: Annotated[str, Field(max_length=10)] | None = None
    rating: Number = None
    review_body: Annotated[str, Field(max_length=20_000)] | None = None


class SegmentCall(Lenient):
    """One call; `type` may be left out where there is an `event`."""

    type: Annotated[str, Field(max_length=50)] = "track"
    event: Annotated[str, Field(max_length=200)] | None = None
    userId: Name = None
    anonymousId: Name = None
    messageId: Name = None
    timestamp: Moment | None = None
    originalTimestamp: Moment | None = None
    properties: SegmentProperties = SegmentProperties()

    @model_validator(mode="after")
    def _somebody(self) -> SegmentCall:
        if self.userId is None and self.anonymousId is None:
            raise ValueError("expected userId or anonymousId")
        return self


class SegmentBatch(Lenient):
    """Many calls."""

    batch: Annotated[list[SegmentCall], Field(max_length=1_000)]


def translate(calls: Sequence[SegmentCall], now: float) -> Translated:
    """The calls as our events; what has no time of its own happened `now` (Unix seconds)."""
    found = Translated()
    for call in calls:
        kind = KINDS.get((call.event or "").strip().lower()) if call.type == "track" else None
        if kind is None:
            found.ignored[call.event or call.type] += 1
            continue
        said, lines = call.properties, _lines(call.properties)
        common = _common(call, kind, now)
        if lines:
            add_lines(found, lines, common, _identity(kind, call), _total(said))
        elif kind == "refund" and said.order_id is not None:
            found.given_back.append(GivenBack(said.order_id, common))
        else:
            found.ignored[call.event or call.type] += 1
    return found


def _common(call: SegmentCall, kind: EventKind, now: float) -> NewEvent:
    said = call.properties
    moment = call.timestamp if call.timestamp is not None else call.originalTimestamp
    reviewed = kind == "comment"
    words = (said.review_body or "").strip()[:COMMENT_CHARS] if reviewed else ""
    return NewEvent(
        event_id="",
        user_id=call.userId,
        session_id=call.anonymousId,
        item_id="",
        # Stars without a word are a rating.
        kind="rating" if reviewed and not words and said.rating is not None else kind,
        value=said.rating if reviewed else None,
        occurred_at=now if moment is None else moment,
        recommendation_id=said.recommendation_id,
        scenario=said.list_id,
        text=words or None,
        currency=said.currency,
        order_id=said.order_id,
    )


def _lines(said: SegmentProperties) -> Sequence[Line]:
    products = said.products or ([said] if said.item_id is not None else [])
    return [
        Line(
            item_id=product.item_id,
            scenario=None,
            position=product.position,
            price=product.price,
            quantity=product.quantity,
            recommendation_id=product.recommendation_id,
        )
        for product in products
    ]


def _total(said: SegmentProperties) -> float | None:
    return said.revenue if said.revenue is not None else said.total


def _identity(kind: EventKind, call: SegmentCall) -> tuple[object, ...] | None:
    """A purchase is its order, told by the browser or by the server; all else is its message, or,
    without a message id, its moment."""
    order_id = call.properties.order_id
    if kind == "purchase" and order_id is not None:
        return order_identity(kind, order_id)
    if call.messageId is not None:
        return ("segment", call.messageId)
    moment = call.timestamp if call.timestamp is not None else call.originalTimestamp
    if moment is None:
        return None
    return ("segment", call.anonymousId, call.userId, call.event, moment)
