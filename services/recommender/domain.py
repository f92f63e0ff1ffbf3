"""What do an event and an item mean to this service? Pure rules, no I/O.

The strength of an event is in clicks: a purchase says as much as five of them. A refund takes
back the purchase and the cart before it, a removal the cart. Impressions say nothing yet.
"""

from __future__ import annotations

import hashlib
from typing import Final

from core.data.records import EventKind, Item
from core.text import normalize

DAY: Final = 86_400.0  # seconds

STRENGTH: Final[dict[EventKind, float]] = {
    "impression": 0.0,
    "view": 0.2,
    "click": 1.0,
    "comment": 1.5,
    "share": 2.0,
    "wishlist": 2.0,
    "add_to_cart": 3.0,
    "purchase": 5.0,
    "rating": 2.0,
    "remove_from_cart": -3.0,
    "refund": -8.0,
}
# "Click and stronger": what counts as a success in training and evaluation.
POSITIVE: Final[frozenset[EventKind]] = frozenset(
    kind for kind, strength in STRENGTH.items() if strength >= 1.0
)
# That the user had the item before their eyes.
SHOWN: Final[frozenset[EventKind]] = frozenset({"impression", "view"})
# Kinds whose value, where there is one, is a number of stars; below this of five it is no success
# and no interest.
_WITH_STARS: Final[frozenset[EventKind]] = frozenset({"rating", "comment"})
LIKED_FROM: Final = 3.0

# Half-life of "popular of late". Fixed, since the counters in the database are kept in it.
RECENT_HALF_LIFE: Final = 14 * DAY
# Days in which an item's novelty falls to 1/e.
FRESH_DAYS: Final = 14.0
# Positive events at which an item's behaviour is believed as much as its text.
EVIDENCE_HALF: Final = 10.0

# Newest events of a user that are looked at.
HISTORY_EVENTS: Final = 500
MAX_TEXT_CHARS: Final = 4_000


def strength(kind: EventKind, value: float | None) -> float:
    """How much an event says of interest, in clicks; negative where it takes something back. The
    value of a rating is its stars, and that of a comment too, where it came with any."""
    if kind in _WITH_STARS and value is not None:
        # 3 stars say a little, 5 as much as a cart; below is dislike.
        return value - 2.0 if value >= LIKED_FROM else -2.0
    return STRENGTH[kind]


def is_positive(kind: EventKind, value: float | None) -> bool:
    """Whether the event is a success: a click or stronger; a rating of 3 stars or more."""
    if kind in _WITH_STARS and value is not None and value < LIKED_FROM:
        return False
    return kind in POSITIVE


def item_text(item: Item) -> str:
    """What the encoder reads of an item."""
    about = ", ".join(part for part in (item.category, item.brand) if part)
    tags = ", ".join(item.tags)
    parts = (item.title, about, tags, item.description)
    return normalize(". ".join(part for part in parts if part))[:MAX_TEXT_CHARS]


def text_digest(text: str) -> str:
    """32 hex digits: the same text has the same vector, whichever item carries it."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
