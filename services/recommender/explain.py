"""Why does this item stand here, in numbers and in words? Pure.

The numbers are the parts that the score is the sum of. The words name the largest of them; where
that is the text or the behaviour, also the item of the user's history that made up most of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.data.records import EventKind
from services.recommender.catalogue import Shelf
from services.recommender.domain import strength
from services.recommender.interests import Interaction, Interests
from services.recommender.model import Model
from services.recommender.rankers import PARTS
from services.recommender.signals import behaviour_interests

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_SOURCE: Final = {
    "text": "text",
    "behaviour": "behaviour",
    "popularity": "popular",
    "recency": "popular",
    "freshness": "new",
}
_DID: Final[dict[EventKind, str]] = {
    "view": "viewed",
    "click": "looked at",
    "comment": "commented on",
    "share": "shared",
    "wishlist": "put on your wish list",
    "add_to_cart": "put into your cart",
    "purchase": "bought",
    "rating": "rated",
}
_OF_THE_SHOP: Final = {
    "popularity": "popular with other shoppers",
    "recency": "popular these days",
    "freshness": "new in the shop",
}
_MOST_REASONS = 3
# A part below this, in units of the score, is not worth a word.
_SMALLEST = 0.05


@dataclass(frozen=True)
class Reason:
    """`contribution`: what the part adds to the score. Where an item of the history stands behind
    it, `share` is that item's part of the match, 0 to 1, and `event` the strongest event on it."""

    part: str
    contribution: float
    text: str
    item_id: str | None = None
    title: str | None = None
    event: EventKind | None = None
    share: float | None = None


@dataclass(frozen=True)
class Explanation:
    """`signals`: part → what it adds to the score, all of PARTS."""

    source: str
    signals: Mapping[str, float]
    reasons: Sequence[Reason]


def explain(
    model: Model,
    shelf: Shelf,
    rows: IntArray,
    signals: FloatArray,
    interests: Interests,
    history: Sequence[Interaction],
) -> list[Explanation]:
    """One explanation for each of `rows`; `signals` (rows, signals) are theirs."""
    parts = model.ranker.parts(signals)
    shares = {
        "text": model.tower.learnt.shares(shelf.learnt, rows, interests),
        "behaviour": behaviour_shares(model, shelf, rows, interests),
    }
    strongest = _strongest_events(history)
    explanations = []
    for number in range(len(rows)):
        ranked = sorted(zip(PARTS, parts[number].tolist(), strict=True), key=lambda p: -p[1])
        reasons = []
        for part, value in ranked[:_MOST_REASONS]:
            if value >= _SMALLEST:
                own = shares[part][number] if part in shares else None
                reasons.append(_reason(part, value, own, shelf, interests, strongest))
        explanations.append(
            Explanation(
                _SOURCE[ranked[0][0]],
                dict(zip(PARTS, parts[number].tolist(), strict=True)),
                [reason for reason in reasons if reason is not None],
            )
        )
    return explanations


def behaviour_shares(
    model: Model, shelf: Shelf, rows: IntArray, interests: Interests
) -> FloatArray:
    """(rows, interests): the part of what speaks for each row that each interest brings."""
    result = np.zeros((len(rows), len(interests)), dtype=np.float32)
    known, model_rows = behaviour_interests(shelf, interests)
    added = model.neighbours.parts(model_rows, interests.weights[known], shelf.model_row[rows])
    for_it = np.maximum(added, 0.0)
    result[:, known] = for_it / np.maximum(for_it.sum(axis=1, keepdims=True), 1e-9)
    return result


def _reason(
    part: str,
    contribution: float,
    shares: FloatArray | None,
    shelf: Shelf,
    interests: Interests,
    strongest: Mapping[str, EventKind],
) -> Reason | None:
    if shares is None:
        return Reason(part, contribution, _OF_THE_SHOP[part])
    if len(shares) == 0 or float(shares.max()) <= 0.0:
        return None
    best = int(np.argmax(shares))
    row = int(interests.rows[best])
    event = strongest.get(shelf.ids[row])
    if event is None:
        return None
    words = f"because you {_DID[event]} {shelf.titles[row]}"
    return Reason(
        part, contribution, words, shelf.ids[row], shelf.titles[row], event, float(shares[best])
    )


def _strongest_events(history: Sequence[Interaction]) -> dict[str, EventKind]:
    """The strongest event on each item, among those that show interest."""
    best: dict[str, tuple[float, EventKind]] = {}
    for event in history:
        if event.kind in _DID:
            now = (strength(event.kind, event.value), event.kind)
            best[event.item_id] = max(best.get(event.item_id, now), now)
    return {item_id: kind for item_id, (_, kind) in best.items()}
