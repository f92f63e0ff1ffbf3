"""How do the shop's items and events leave the database for a training?

As files in the contract's columns, row by row, so that a large shop is never in memory. Ids stay as
they are. Who was merged counts as the one they became, an anonymous session as a user of its own;
who was erased has no rows. An event of the future counts when it came, as in popularity.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import RowMapping, func, select
from sqlalchemy.orm import Session

from core.data.records import Event
from core.text import normalize
from services.recommender.domain import is_positive
from services.recommender.event_rows import counted_kind
from services.recommender.event_store import last_numbers
from services.recommender.tables import events, items

# Rows between two words to the caller.
_BATCH: Final = 5_000
# No user id of the shop begins so by accident.
_SESSION: Final = "session:"
_CURRENCY: Final = re.compile("[A-Z]{3}", re.ASCII)
_EVENT_COLUMNS: Final = ("event_id", "item_id", "value", "occurred_at", "received_at")
_ITEM_COLUMNS: Final = (
    "item_id",
    "title",
    "description",
    "tags",
    "category",
    "brand",
    "price",
    "currency",
    "availability",
    "created_at",
    "item_group_id",
)


@dataclass
class Exported:
    """What was written; `trained_until` is the time of the newest event in Unix seconds."""

    items: int = 0
    events: int = 0
    positives: int = 0
    trained_until: float | None = None

    def counts(self) -> dict[str, int]:
        """For the table of trainings."""
        return {"items": self.items, "events": self.events, "positives": self.positives}


def export(
    session: Session, items_path: Path, events_path: Path, at_most: int, done: Exported
) -> Generator[int, None, None]:
    """Write both files as JSON lines, of the events the newest `at_most` by arrival. Gives the
    rows of each batch, so that the caller can do something between; `done` counts up."""
    with items_path.open("w", encoding="utf-8", errors="replace") as file:
        columns = [items.c[name] for name in _ITEM_COLUMNS]
        query = select(*columns).where(items.c.deleted.is_(False)).order_by(items.c.item_id)
        for rows in session.execute(query.execution_options(yield_per=_BATCH)).partitions():
            taken = [_item(row._mapping) for row in rows if _readable(row.item_id)]
            file.writelines(map(_line, taken))
            done.items += len(taken)
            yield len(rows)
    last = last_numbers(session)["events"]
    with events_path.open("w", encoding="utf-8", errors="replace") as file:
        who = func.coalesce(events.c.user_id, _SESSION + events.c.session_id).label("who")
        # A comment in words alone is a look at the item here too.
        columns = [events.c[name] for name in _EVENT_COLUMNS]
        query = select(who, counted_kind(), *columns)
        query = query.where(events.c.seq > last - at_most, events.c.seq <= last)
        query = query.order_by(events.c.seq).execution_options(yield_per=_BATCH)
        for rows in session.execute(query).partitions():
            kept = [row for row in rows if _readable(row.item_id) and _readable(row.who)]
            file.writelines(_line(_counted(row, done)) for row in kept)
            yield len(rows)


def write_events(path: Path, records: list[Event]) -> None:
    """Some events in the same form."""
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for event in records:
            names = ("user_id", "item_id", "event", "timestamp", "value", "event_id")
            file.write(_line({name: getattr(event, name) for name in names}))


def _readable(text: str) -> bool:
    """Whether a reader of the files takes the id: one row that it refuses would stop a training."""
    plain = "\0" not in text and text.strip() == text
    return plain and bool(text) and (text.isprintable() or bool(normalize(text)))


def _item(row: RowMapping) -> dict[str, Any]:
    values = {name: _clean(row[name]) for name in _ITEM_COLUMNS if name != "currency"}
    if not _readable(values["title"].strip()):
        values["title"] = row["item_id"]
    if row["price"] is not None and _CURRENCY.fullmatch(row["currency"]):
        values["price"] = f"{row['price']:f} {row['currency']}"
    return values


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return value.replace("\0", " ") if isinstance(value, str) else value


def _counted(row: Any, done: Exported) -> dict[str, Any]:
    timestamp = min(row.occurred_at, row.received_at)
    done.events += 1
    done.positives += is_positive(row.kind, row.value)
    done.trained_until = max(timestamp, done.trained_until or timestamp)
    return {
        "user_id": row.who,
        "item_id": row.item_id,
        "event": row.kind,
        "timestamp": timestamp,
        "value": row.value,
        "event_id": row.event_id,
    }


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"
