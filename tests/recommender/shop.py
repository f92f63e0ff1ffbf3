"""A made-up shop with two kinds of customers, for tests that need a log with something to learn.

Hikers take hiking things and bakers baking things, in an order drawn from a seeded generator, with
a little noise. Titles share words within a kind.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.data.records import Event, Item

START = 1_760_000_000.0
DAY = 86_400.0
_THINGS = {
    "hiking": ("boots", "jacket", "tent", "map", "stove", "poles", "socks", "lamp", "rope", "pack"),
    "baking": ("oven", "flour", "bowl", "whisk", "scale", "tin", "yeast", "mitt", "peel", "rack"),
}
_PLACES = ("rain", "sun")


def make_items() -> list[Item]:
    """40 items, half of each kind; the last of each kind is new and never sold."""
    items = []
    for kind, things in _THINGS.items():
        for place in _PLACES:
            for number, thing in enumerate(things):
                items.append(
                    Item(
                        item_id=f"{kind}-{place}-{thing}",
                        title=f"{thing} for {kind} in the {place}",
                        tags=(kind,),
                        category=kind,
                        price=10.0 + number,
                        currency="EUR",
                        item_group_id=f"{kind}-{thing}" if thing in ("boots", "oven") else "",
                    )
                )
    return items


def make_events(users: int = 80, each: int = 12, seed: int = 0) -> list[Event]:
    """`users` people of either kind in turn, `each` clicks or purchases, nine of ten in kind."""
    rng = np.random.default_rng(seed)
    items = [item for item in make_items() if item.item_id not in NEVER_SOLD]
    of_kind = {kind: [i for i in items if i.category == kind] for kind in _THINGS}
    events = []
    for user in range(users):
        kind = list(_THINGS)[user % 2]
        for moment in np.sort(rng.uniform(0, 30 * DAY, each)):
            pool = of_kind[kind] if rng.random() < 0.9 else items
            item = pool[int(rng.integers(len(pool)))]
            happened = "purchase" if rng.random() < 0.2 else "click"
            seen = Event(f"u{user}", item.item_id, "view", START + moment - 5)
            events.append(seen)
            if rng.random() < 0.7:
                events.append(Event(f"u{user}", item.item_id, happened, START + moment))
    return sorted(events, key=lambda event: event.timestamp)


NEVER_SOLD = frozenset({"hiking-sun-pack", "baking-sun-rack"})


def write_items(path: Path, items: Sequence[Item]) -> Path:
    """The items as the contract's CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "title", "tags", "category", "price", "item_group_id"])
        for item in items:
            tags = "|".join(item.tags)
            row = [item.item_id, item.title, tags, item.category, item.price, item.item_group_id]
            writer.writerow(row)
    return path


def write_events(path: Path, events: Sequence[Event]) -> Path:
    """The events as the contract's CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event", "timestamp"])
        for event in events:
            writer.writerow([event.user_id, event.item_id, event.event, event.timestamp])
    return path
