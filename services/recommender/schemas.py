"""What do requests and answers look like on the wire?"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    StringConstraints,
    Tag,
    model_validator,
)

from core.data.records import Availability, EventKind, Item
from services.recommender.event_store import NewEvent
from services.recommender.recommend import Recommendation, Request
from services.recommender.store import StoredItem
from services.recommender.tables import ID_CHARS

# The moments that a calendar of four-digit years can name, in Unix seconds.
_EARLIEST, _LATEST = -62_135_596_800.0, 253_402_300_799.0
_MOST_TAGS = 100
_MOST_NAMED = 1_000


def _moment(value: Any) -> float:
    """Unix seconds, from a number or ISO 8601; without a zone it is UTC."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("expected a time in ISO 8601, such as 2026-03-01T09:30:00Z") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        try:
            return moment.timestamp()
        except OverflowError:
            raise ValueError("the time is out of range") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a time in ISO 8601 or Unix seconds")
    if not math.isfinite(value) or not _EARLIEST <= value <= _LATEST:
        raise ValueError("expected Unix seconds of the years 1 to 9999; not milliseconds")
    return float(value)


Identifier = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=ID_CHARS)
]
Moment = Annotated[float, BeforeValidator(_moment)]
Short = Annotated[str, Field(max_length=500)]
Amount = Annotated[FiniteFloat, Field(ge=0)]
Identifiers = Annotated[list[Identifier], Field(max_length=_MOST_NAMED)]


class _In(BaseModel):
    # What a shop sends beside these is left alone.
    model_config = ConfigDict(extra="ignore")


class ItemIn(_In):
    """A product or an article. What is left out is empty: an upsert replaces the whole item."""

    item_id: Identifier
    title: Annotated[str, Field(min_length=1, max_length=1_000)]
    description: Annotated[str, Field(max_length=20_000)] = ""
    tags: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=_MOST_TAGS)] = []
    category: Short = ""
    brand: Short = ""
    price: Amount | None = None
    currency: Annotated[str, Field(max_length=10)] = ""
    availability: Availability = "in_stock"
    created_at: Moment | None = None
    item_group_id: Annotated[str, Field(max_length=ID_CHARS)] = ""

    def item(self) -> Item:
        """As the service knows it."""
        return Item(**{**self.model_dump(), "tags": tuple(self.tags)})


class EventIn(_In):
    """What a user or an anonymous session did with an item. Without a `timestamp` it is now."""

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    item_id: Identifier
    event: EventKind
    timestamp: Moment | None = None
    value: FiniteFloat | None = None
    event_id: Identifier | None = None

    @model_validator(mode="after")
    def _somebody(self) -> EventIn:
        if self.user_id is None and self.session_id is None:
            raise ValueError("expected user_id or session_id")
        return self

    def event_at(self, now: float) -> NewEvent:
        """As the service knows it; one without an id gets one of its own."""
        return NewEvent(
            event_id=self.event_id or f"auto-{uuid4().hex}",
            user_id=self.user_id,
            session_id=self.session_id,
            item_id=self.item_id,
            kind=self.event,
            value=self.value,
            occurred_at=now if self.timestamp is None else self.timestamp,
        )


def _one_or_many(value: Any) -> str:
    return "many" if isinstance(value, list) else "one"


OneOrManyItems = Annotated[
    Annotated[ItemIn, Tag("one")] | Annotated[list[ItemIn], Tag("many")],
    Discriminator(_one_or_many),
]
OneOrManyEvents = Annotated[
    Annotated[EventIn, Tag("one")] | Annotated[list[EventIn], Tag("many")],
    Discriminator(_one_or_many),
]


class RecommendationsIn(_In):
    """For whom, and what may stand there. `scenario` names the place on the page ("home", "cart")
    for your own records; it changes nothing yet."""

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    scenario: Annotated[str, Field(max_length=100)] | None = None
    n: Annotated[int, Field(ge=1, le=1_000)] = 10
    item_ids: Identifiers | None = None
    exclude: Identifiers = []
    allow_repeats: bool = False
    include_out_of_stock: bool = False
    explain: bool = True

    @model_validator(mode="after")
    def _somebody(self) -> RecommendationsIn:
        if self.user_id is None and self.session_id is None:
            raise ValueError("expected user_id or session_id")
        return self

    def request(self) -> Request:
        """As the service knows it."""
        return Request(
            n=self.n,
            item_ids=None if self.item_ids is None else frozenset(self.item_ids),
            exclude=frozenset(self.exclude),
            allow_repeats=self.allow_repeats,
            include_out_of_stock=self.include_out_of_stock,
            explain=self.explain,
        )


class UpsertedOut(BaseModel):
    accepted: int
    created: int
    updated: int
    unchanged: int


class DeletedOut(BaseModel):
    item_id: str
    deleted: Literal[True]


class EventsOut(BaseModel):
    accepted: int
    repeated: int
    warnings: list[str]


class ReasonOut(BaseModel):
    part: str
    contribution: float
    text: str
    item_id: str | None
    title: str | None
    event: str | None
    share: float | None


class RecommendationOut(BaseModel):
    item_id: str
    rank: int
    score: float
    p_interest: float
    source: str
    reasons: list[ReasonOut]
    signals: dict[str, float]


class RecommendationsOut(BaseModel):
    recommendation_id: str
    model_version: str
    items: list[RecommendationOut]


class SimilarItemOut(BaseModel):
    item_id: str
    rank: int
    score: float


class SimilarOut(BaseModel):
    item_id: str
    model_version: str
    items: list[SimilarItemOut]


class ItemOut(BaseModel):
    item_id: str
    title: str
    description: str
    tags: list[str]
    category: str
    brand: str
    price: float | None
    currency: str
    availability: Availability
    created_at: datetime | None
    item_group_id: str
    first_seen_at: datetime


def recommendation_out(found: Recommendation) -> RecommendationOut:
    """One place of an answer; reasons and signals are empty where none were asked for."""
    why = found.explanation
    return RecommendationOut(
        item_id=found.item_id,
        rank=found.rank,
        score=found.score,
        p_interest=found.p_interest,
        source=found.source,
        reasons=[] if why is None else [ReasonOut(**vars(reason)) for reason in why.reasons],
        signals={} if why is None else dict(why.signals),
    )


def item_out(stored: StoredItem) -> ItemOut:
    """An item as it is kept."""
    item = stored.item
    return ItemOut(
        item_id=item.item_id,
        title=item.title,
        description=item.description,
        tags=list(item.tags),
        category=item.category,
        brand=item.brand,
        price=item.price,
        currency=item.currency,
        availability=item.availability,
        created_at=None if item.created_at is None else _shown(item.created_at),
        item_group_id=item.item_group_id,
        first_seen_at=_shown(stored.arrived_at),
    )


def _shown(seconds: float) -> datetime:
    # A file may number its rows instead of dating them: what no calendar holds is shown at its end.
    return datetime.fromtimestamp(min(max(seconds, _EARLIEST), _LATEST), UTC)
