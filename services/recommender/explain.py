"""Why does this item stand here, in numbers and in words? Pure.

The numbers are the parts that the score is the sum of. The words name the largest of them; where
that is the text or the behaviour, also the item of the user's history that made up most of it.
What the shop or the request added to the score is a part too (`boost`), and an item that does not
stand there for its score alone says so: pinned, to be learnt about, for variety.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    "price": "text",
    "category": "text",
    "brand": "text",
    "seen": "popular",
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
    "price": "near the prices of what you look at",
    "category": "of a category that you look at",
    "brand": "of a brand that you look at",
    "seen": "you may have seen it before",
}
_MOST_REASONS = 3
# A part below this, in units of the score, is not worth a word.
_SMALLEST = 0.05


@dataclass(frozen=True)
class Reason:
    """`contribution`: what the part adds to the score, 0 for what changes the place alone. Where
    an item of the history stands behind it, `share` is that item's part of the match, 0 to 1, and
    `event` the strongest event on it; for variety, the item named is the one it stands there for.
    """

    part: str
    contribution: float
    text: str
    item_id: str | None = None
    title: str | None = None
    event: EventKind | None = None
    share: float | None = None


@dataclass(frozen=True)
class Explanation:
    """`signals`: part → what it adds to the score: all of PARTS, and `boost` where there is one."""

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


@dataclass(frozen=True, slots=True)
class Standing:
    """What beside the signals put an item where it stands. `boost` in units of the score;
    `instead_of` is the row that would stand there without variety."""

    boost: float = 0.0
    pinned: bool = False
    explored: bool = False
    instead_of: int | None = None


def told(explanation: Explanation, standing: Standing, shelf: Shelf) -> Explanation:
    """The explanation with what else put the item there."""
    signals, reasons = dict(explanation.signals), list(explanation.reasons)
    source = explanation.source
    if standing.boost:
        signals["boost"] = standing.boost
    if standing.boost >= _SMALLEST:
        reasons.append(Reason("boost", standing.boost, "preferred by the shop"))
        reasons.sort(key=lambda reason: -reason.contribution)
    if standing.pinned:
        source = "pinned"
        reasons.insert(0, Reason("pin", 0.0, "put here by the shop"))
    if standing.explored:
        source = "exploration"
        reasons.insert(0, Reason("exploration", 0.0, "little is known of it yet"))
    if standing.instead_of is not None:
        row = standing.instead_of
        reasons.append(Reason("variety", 0.0, "for variety", shelf.ids[row], shelf.titles[row]))
    return replace(explanation, source=source, signals=signals, reasons=reasons)


def behaviour_shares(
    model: Model, shelf: Shelf, rows: IntArray, interests: Interests
) -> FloatArray:
    """(rows, interests): the part of what speaks for each row that each interest brings, as taken
    together with it, as taken after it, and by factors; each counts as its weight in the score."""
    result = np.zeros((len(rows), len(interests)), dtype=np.float32)
    known, model_rows = behaviour_interests(shelf, interests)
    weights, targets = interests.weights[known], shelf.model_row[rows]
    tables = [("behaviour", model.neighbours, weights)]
    if model.neighbours.sequel is not None:
        steps = None if interests.steps is None else interests.steps[known]
        faded = model.neighbours.sequel.faded(weights, steps)
        tables.append(("sequence", model.neighbours.following, faded))
    spoken = [(name, table.parts(model_rows, counted, targets)) for name, table, counted in tables]
    if model.neighbours.factors is not None:
        spoken.append(("ials", model.neighbours.factors.parts(model_rows, targets)))
    for name, parts in spoken:
        for_it = np.maximum(parts, 0.0)
        shares = for_it / np.maximum(for_it.sum(axis=1, keepdims=True), 1e-9)
        result[:, known] += max(model.ranker.weight(name), 0.0) * shares
    return np.asarray(result / np.maximum(result.sum(axis=1, keepdims=True), 1e-9))


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
