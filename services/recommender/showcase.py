"""What may a shopper see of the items? The queries behind pages that show products.

Hidden and deleted items are in none of them. Every answer is bounded: by the ids asked for, by a
page, by a number of categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, sessionmaker

from services.recommender.store import StoredItem, stored_item
from services.recommender.tables import items

MOST_CARDS: Final = 100
MOST_CATEGORIES: Final = 200


@dataclass(frozen=True, slots=True)
class CategorySize:
    """A category and how many items it has; "" are those without one."""

    category: str
    items: int


class Showcase:
    """`readers` are read-only and wait for nobody."""

    def __init__(self, readers: sessionmaker[Session]) -> None:
        self._readers = readers

    def cards(self, item_ids: Sequence[str]) -> list[StoredItem]:
        """Those of at most MOST_CARDS items that may be seen, in the order asked for."""
        wanted = list(dict.fromkeys(item_ids))[:MOST_CARDS]
        query = select(items).where(items.c.item_id.in_(wanted), *_visible())
        with self._readers() as session:
            found = {row.item_id: stored_item(row) for row in session.execute(query)}
        return [found[item_id] for item_id in wanted if item_id in found]

    def page(self, limit: int, after: str = "", category: str | None = None) -> list[StoredItem]:
        """At most `limit` items behind `after`, in the order of their ids."""
        query = select(items).where(items.c.item_id > after, *_visible())
        if category is not None:
            query = query.where(items.c.category == category)
        with self._readers() as session:
            rows = session.execute(query.order_by(items.c.item_id).limit(limit))
            return [stored_item(row) for row in rows]

    def categories(self) -> list[CategorySize]:
        """The largest categories, the largest first."""
        size = func.count().label("size")
        query = (
            select(items.c.category, size)
            .where(*_visible())
            .group_by(items.c.category)
            .order_by(size.desc(), items.c.category)
            .limit(MOST_CATEGORIES)
        )
        with self._readers() as session:
            return [CategorySize(row.category, int(row.size)) for row in session.execute(query)]


def _visible() -> tuple[ColumnElement[bool], ...]:
    return items.c.deleted.is_(False), items.c.hidden.is_(False)
