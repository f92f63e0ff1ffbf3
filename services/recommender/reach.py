"""What of the shop do shoppers get to see, and what do they take? Pure: counting.

An item is *shown* each time it stands in an answer, *seen* where a page told so (an impression),
*clicked* where an event names the answer it stood in, each once an answer. `wanted` are clicks and
stronger from anywhere, search engines and other shelves too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.recommender.attribution import NO_TOUCH
from services.recommender.domain import DAY, POSITIVE

MOST_LISTED: Final = 12


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer: when, what stood in it."""

    recommendation_id: str
    answered_at: float
    item_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Done:
    """An event that names an answer."""

    recommendation_id: str
    item_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Row:
    """One item: how often it was shown, seen, clicked (of answers), wanted and bought (at all)."""

    item_id: str
    shown: int
    seen: int
    clicked: int
    wanted: int
    bought: int


@dataclass(frozen=True, slots=True)
class Day:
    """`start` in Unix seconds; `clicked` are answers of that day with a click."""

    start: float
    answers: int
    clicked: int


@dataclass
class Tally:
    """What was counted of a period."""

    shown: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    clicked: Counter[str] = field(default_factory=Counter)
    wanted: Counter[str] = field(default_factory=Counter)
    bought: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    days: list[Day] = field(default_factory=list)

    def row(self, item_id: str) -> Row:
        """What is known of one item."""
        counters = (self.shown, self.seen, self.clicked, self.wanted, self.bought)
        return Row(item_id, *(counter[item_id] for counter in counters))


def tally(
    answers: Iterable[Shown], reactions: Iterable[Done], taken: Mapping[tuple[str, str], int]
) -> Tally:
    """Count. `taken`: (item, kind of event) → how often, of all events of the period."""
    found = Tally()
    stood: dict[str, frozenset[str]] = {}
    day_of: dict[str, float] = {}
    for answer in answers:
        items = frozenset(answer.item_ids)
        found.answers += 1
        found.shown.update(items)
        stood[answer.recommendation_id] = items
        day_of[answer.recommendation_id] = answer.answered_at // DAY * DAY
    touched: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for event in reactions:
        if event.item_id in stood.get(event.recommendation_id, ()):
            place = (event.recommendation_id, event.item_id)
            if event.kind == "impression":
                seen.add(place)
            elif event.kind not in NO_TOUCH:
                touched.add(place)
    found.seen.update(item for _, item in seen)
    found.clicked.update(item for _, item in touched)
    clicked = Counter(day_of[answer] for answer in {answer for answer, _ in touched})
    given = Counter(day_of.values())
    found.days = [Day(day, given[day], clicked[day]) for day in sorted(given)]
    for (item_id, kind), times in taken.items():
        if kind in POSITIVE:
            found.wanted[item_id] += times
        if kind == "purchase":
            found.bought[item_id] += times
    return found


def top(found: Tally) -> list[Row]:
    """What is wanted most."""
    ordered = sorted(found.wanted, key=lambda item: (-found.wanted[item], item))
    return [found.row(item) for item in ordered[:MOST_LISTED]]


def never_shown(found: Tally, item_ids: Sequence[str]) -> list[str]:
    """Of these items, those that stood in no answer."""
    return [item for item in item_ids if item not in found.shown]


def never_clicked(found: Tally, item_ids: Sequence[str]) -> list[Row]:
    """Shown and never clicked, those first that were shown most."""
    here = set(item_ids)
    passed = [item for item in found.shown if item in here and item not in found.clicked]
    passed.sort(key=lambda item: (-found.shown[item], item))
    return [found.row(item) for item in passed]


def top_tenth_share(found: Tally, items: int) -> float | None:
    """The share of all places that the tenth of the shop that is shown most takes."""
    places = sorted(found.shown.values(), reverse=True)
    if not places or items == 0:
        return None
    return sum(places[: max(1, items // 10)]) / sum(places)
