"""What do events, sessions and people look like on the wire?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Discriminator, Field, FiniteFloat, Tag, model_validator

from core.data.records import EventKind
from services.recommender.event_store import NewEvent
from services.recommender.schemas import Identifier, Moment
from services.recommender.tables import SCENARIO_CHARS

# Characters of a comment that are taken; the encoder reads the first few hundred words.
COMMENT_CHARS: Final = 4_000
# Money and counts beyond this are mistakes.
_MOST: Final = 1e15

Money = Annotated[FiniteFloat, Field(ge=-_MOST, le=_MOST)]


class _In(BaseModel):
    # What a shop sends beside these is left alone.
    model_config = ConfigDict(extra="ignore")


class EventIn(_In):
    """What a user or an anonymous session did with an item. Without a `timestamp` it is now.

    `value`: the stars of a rating or comment, else the money of the whole line in `currency`.
    `recommendation_id` and `position` (from 1) are those of the answer that the item stood in,
    `scenario` the place on the page; `text` is what a comment says.
    """

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    item_id: Identifier
    event: EventKind
    timestamp: Moment | None = None
    value: Money | None = None
    event_id: Identifier | None = None
    recommendation_id: Identifier | None = None
    position: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    scenario: Annotated[str, Field(max_length=SCENARIO_CHARS)] | None = None
    text: Annotated[str, Field(max_length=COMMENT_CHARS)] | None = None
    quantity: Annotated[FiniteFloat, Field(gt=0, le=_MOST)] | None = None
    currency: Annotated[str, Field(max_length=10)] | None = None
    order_id: Identifier | None = None

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
            recommendation_id=self.recommendation_id,
            position=self.position,
            scenario=self.scenario,
            text=self.text,
            quantity=self.quantity,
            currency=self.currency,
            order_id=self.order_id,
        )


def _one_or_many(value: Any) -> str:
    return "many" if isinstance(value, list) else "one"


OneOrManyEvents = Annotated[
    Annotated[EventIn, Tag("one")] | Annotated[list[EventIn], Tag("many")],
    Discriminator(_one_or_many),
]


class EventsOut(BaseModel):
    accepted: int
    repeated: int
    warnings: list[str]


class OutsideEventsOut(EventsOut):
    """`ignored`: events that say nothing to a recommender, by name; the most frequent names."""

    ignored: dict[str, int]


class SessionIn(_In):
    """`token`: a session that is not over yet and should last longer."""

    token: Annotated[str, Field(max_length=2500)] | None = None


class SessionOut(BaseModel):
    """`token` recommends and sends events for this one session until `expires_at`."""

    token: str
    session_id: str
    expires_at: datetime


class MergeIn(_In):
    """Who turned out to be `user_id`: a session, or another id of theirs."""

    user_id: Identifier
    session_id: Identifier | None = None
    from_user_id: Identifier | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> MergeIn:
        if (self.session_id is None) is (self.from_user_id is None):
            raise ValueError("expected either session_id or from_user_id")
        return self


class MergedOut(BaseModel):
    """`events` that are the user's from now on; `already`: the two were one before. `user_id` is
    the one that all of it is kept under."""

    user_id: str
    events: int
    already: bool


class ErasedOut(BaseModel):
    user_id: str
    events: int
