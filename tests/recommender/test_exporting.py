"""What a training reads of the database is what is there, and readable to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.data.readers import read_events, read_items
from core.data.records import Item
from services.recommender.domain import item_text
from services.recommender.event_store import NewEvent
from services.recommender.exporting import Exported, export, write_events
from tests.recommender.conftest import AFTER, Database


def exported(database: Database, folder: Path, at_most: int = 1_000) -> Exported:
    done = Exported()
    with database.readers() as session:
        list(export(session, folder / "items.jsonl", folder / "events.jsonl", at_most, done))
    return done


ITEM = Item(
    "a|1",
    'a "tent",\nblue',
    description="Zelt für zwei",
    tags=("x, y", "z"),
    category="camping",
    brand="Ås",
    price=15.5,
    currency="EUR",
    availability="preorder",
    created_at=AFTER,
    item_group_id="g",
)


def test_items_come_back_as_they_are(database: Database, tmp_path: Path) -> None:
    database.items.upsert([ITEM, Item("gone", "a stove")], AFTER)
    database.items.delete("gone", AFTER)
    assert exported(database, tmp_path).items == 1
    [read] = read_items(tmp_path / "items.jsonl")
    assert item_text(read) == item_text(ITEM)
    for name in ("item_id", "price", "currency", "availability", "created_at", "item_group_id"):
        assert getattr(read, name) == getattr(ITEM, name)


def test_events_keep_ids_and_times_and_nobody_is_ahead_of_the_clock(
    database: Database, tmp_path: Path
) -> None:
    database.events.add(
        [
            NewEvent("1", "u", None, "a", "rating", 2.0, AFTER - 5),
            NewEvent("2", None, "s", "a", "click", None, AFTER - 9),
            NewEvent("3", "u", "s", "b", "purchase", 3.5, AFTER + 10**9),
        ],
        AFTER,
    )
    done = exported(database, tmp_path)
    read = read_events(tmp_path / "events.jsonl")
    told = [(e.event_id, e.user_id, e.item_id, e.event, e.value, e.timestamp) for e in read]
    assert told == [
        ("1", "u", "a", "rating", 2.0, AFTER - 5),
        ("2", "session:s", "a", "click", None, AFTER - 9),
        ("3", "u", "b", "purchase", 3.5, AFTER),
    ]
    assert (done.events, done.positives, done.trained_until) == (3, 2, AFTER)
    write_events(tmp_path / "again.jsonl", read)
    again = read_events(tmp_path / "again.jsonl")
    assert [(e.event_id, e.timestamp) for e in again] == [(e.event_id, e.timestamp) for e in read]


def test_of_many_events_the_newest_are_read(sqlite: Database, tmp_path: Path) -> None:
    rows = [NewEvent(str(n), "u", None, "a", "click", None, AFTER) for n in range(9)]
    sqlite.events.add(rows, AFTER)
    assert exported(sqlite, tmp_path, at_most=4).events == 4
    assert [e.event_id for e in read_events(tmp_path / "events.jsonl")] == ["5", "6", "7", "8"]


@pytest.mark.parametrize("name", ["\u200b", "\u202e", "a\0b"])
def test_no_row_can_stop_every_training(sqlite: Database, tmp_path: Path, name: str) -> None:
    items = [Item(name, "a tent"), Item("b", name.replace("a", "").replace("b", "")), ITEM]
    sqlite.items.upsert(items, AFTER)
    sqlite.events.add([NewEvent("1", name, None, "b", "click", None, AFTER)], AFTER)
    exported(sqlite, tmp_path)
    assert [item.item_id for item in read_items(tmp_path / "items.jsonl")] == ["a|1", "b"]
    assert read_events(tmp_path / "events.jsonl", allow_empty=True) == []


def test_an_empty_shop_gives_empty_files(sqlite: Database, tmp_path: Path) -> None:
    assert exported(sqlite, tmp_path) == Exported()
    assert read_events(tmp_path / "events.jsonl", allow_empty=True) == []
