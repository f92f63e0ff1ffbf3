"""What is one row of the company's data, once read and checked?

Frozen records with the column names of the contract. `line` is the line in the file (for Parquet
the row number), `extra` the columns nobody asked for, kept as they came. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Sentiment = Literal["positive", "neutral", "negative"]
EventKind = Literal[
    "impression",
    "view",
    "click",
    "comment",
    "share",
    "wishlist",
    "add_to_cart",
    "remove_from_cart",
    "purchase",
    "refund",
    "rating",
]
Availability = Literal["in_stock", "out_of_stock", "preorder", "backorder"]
# A further field of an item: a text, a number, yes or no, or a list of texts.
Attribute = str | int | float | bool | list[str]

SENTIMENTS: Final[tuple[Sentiment, ...]] = get_args(Sentiment)
EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
AVAILABILITIES: Final[tuple[Availability, ...]] = get_args(Availability)
OUT_OF_SCOPE: Final = "oos"


@dataclass(frozen=True, slots=True)
class LabeledText:
    """A text with a label per head ("intent"; "sentiment", "topic"); no labels for plain texts."""

    text: str
    labels: Mapping[str, str]
    line: int
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """A product or article. `price` is in units of `currency` (ISO 4217, "" when not given).

    `image` is an http(s) address or "". `attributes` are whatever else the shop says of it. A
    `hidden` item is kept and shown to nobody; None says nothing: a new item is shown, and one that
    is kept already stays as it is."""

    item_id: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    category: str = ""
    brand: str = ""
    price: float | None = None
    currency: str = ""
    availability: Availability = "in_stock"
    created_at: float | None = None
    item_group_id: str = ""
    image: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    hidden: bool | None = None
    line: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """What a user did with an item, and when. `value` is a rating or an amount of money."""

    user_id: str
    item_id: str
    event: EventKind
    timestamp: float
    value: float | None = None
    event_id: str | None = None
    line: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """A labelled story of the past, for replaying alert rules."""

    published_at: float
    topic: str
    sentiment: Sentiment
    title: str = ""
    source: str = ""
    story_id: str = ""
    line: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)
