"""What do the event formats of others have in common once they are read? Pure.

A translation takes a checked payload and gives our events, one an item; orders that were given
back as a whole, whose items only the database knows; and an account of what says nothing to a
recommender. Event ids are made of what the sender says, so that what is sent twice counts once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final
from uuid import uuid4

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat

from core.data.records import EventKind
from services.recommender.event_store import NewEvent
from services.recommender.tables import ID_CHARS, SCENARIO_CHARS

MOST_ITEMS: Final = 1_000
_MOST_NAMES: Final = 20


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _text(value: Any) -> Any:
    """Shops number their items and people; JSON then holds numbers where names are meant."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() or None if isinstance(value, str) else value


class Lenient(BaseModel):
    """A part of somebody else's payload: what we do not know of is left alone."""

    model_config = ConfigDict(extra="ignore")


Name = Annotated[Annotated[str, Field(max_length=ID_CHARS)] | None, BeforeValidator(_text)]
# Longer than we keep: cut, not refused.
Label = Annotated[Annotated[str, Field(max_length=10_000)] | None, BeforeValidator(_text)]
# Beyond these are mistakes; what is multiplied of them still fits.
Number = Annotated[
    Annotated[FiniteFloat, Field(ge=-1e9, le=1e9)] | None, BeforeValidator(_blank_is_none)
]
Whole = Annotated[Annotated[int, Field(le=1_000_000)] | None, BeforeValidator(_blank_is_none)]


@dataclass(frozen=True)
class GivenBack:
    """An order that was refunded as a whole: `event` for each of its items, without one yet."""

    order_id: str
    event: NewEvent


@dataclass
class Translated:
    """`ignored`: name → how many events of it say nothing to us; `nameless` items have no id."""

    events: list[NewEvent] = field(default_factory=list)
    given_back: list[GivenBack] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    nameless: int = 0

    def names(self) -> dict[str, int]:
        """The names that were ignored most often, cut to what an answer should hold."""
        return {name[:100]: times for name, times in self.ignored.most_common(_MOST_NAMES)}

    def warnings(self) -> list[str]:
        """What the sender should know."""
        if not self.nameless:
            return []
        return [f"{self.nameless} items have no id that the shop could know; they are left out"]


@dataclass(frozen=True, slots=True)
class Line:
    """One item of an event, in whatever format it came. `price` of one piece."""

    item_id: str | None
    scenario: str | None
    position: int | None
    price: float | None
    quantity: float | None
    recommendation_id: str | None = None


def add_lines(
    found: Translated,
    lines: Sequence[Line],
    common: NewEvent,
    identity: Sequence[object] | None,
    total: float | None = None,
) -> None:
    """One event an item, each with all that `common` says. `identity` is what makes the event this
    one and no other, None where nothing does. `total` is the money of all lines: that of a single
    one without a price."""
    seen: Counter[str] = Counter()
    for line in lines:
        if line.item_id is None:
            found.nameless += 1
            continue
        seen[line.item_id] += 1
        value = common.value
        if common.kind in ("purchase", "refund"):
            value = _money(line, total if len(lines) == 1 else None)
        found.events.append(
            replace(
                common,
                event_id=stable_id(identity, line.item_id, seen[line.item_id]),
                item_id=line.item_id,
                value=value,
                position=line.position if line.position and line.position > 0 else None,
                scenario=(line.scenario or common.scenario or "")[:SCENARIO_CHARS] or None,
                quantity=line.quantity if line.quantity and line.quantity > 0 else None,
                recommendation_id=line.recommendation_id or common.recommendation_id,
            )
        )


def stable_id(identity: Sequence[object] | None, item_id: str, times: int) -> str:
    """The id of an item's event: the same for the same, one of its own where nothing is told.
    `times` counts the same item within one event: two lines of it are two."""
    if identity is None:
        return f"auto-{uuid4().hex}"
    said = json.dumps([*identity, item_id, times], ensure_ascii=True)
    return f"out-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def order_identity(kind: EventKind, order_id: str) -> tuple[object, ...]:
    """What makes the lines of a purchase the same, whichever way they are told of."""
    return ("order", kind, order_id)


def fill_orders(
    given_back: Iterable[GivenBack], bought: Callable[[str], Sequence[NewEvent]]
) -> tuple[list[NewEvent], list[str]]:
    """Refunds of every item of the orders, and the ids of orders of which nothing is known."""
    found: list[NewEvent] = []
    unknown = []
    for back in given_back:
        lines = bought(back.order_id)
        if not lines:
            unknown.append(back.order_id)
        for number, line in enumerate(lines):
            identity = (*order_identity("refund", back.order_id), "whole")
            found.append(
                replace(
                    back.event,
                    event_id=stable_id(identity, line.item_id, number),
                    # Whoever bought it gives it back, whoever tells of it.
                    user_id=line.user_id,
                    session_id=line.session_id,
                    item_id=line.item_id,
                    value=line.value,
                    quantity=line.quantity,
                    currency=line.currency,
                )
            )
    return found, unknown


def _money(line: Line, total: float | None) -> float | None:
    if line.price is None:
        return total
    return line.price * (1.0 if line.quantity is None else line.quantity)
