"""Two processes on one database: what one commits, the other shows at once."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.records import Item
from services.recommender.catalogue import Catalogue, Shelf
from services.recommender.domain import item_text, text_digest
from services.recommender.event_store import NewEvent
from services.recommender.follow import Follower
from services.recommender.learning.adapter import plain_tower
from services.recommender.model import Embedding
from services.recommender.users import UserStore
from tests.recommender.conftest import Database

NOW = 1_800_000_000.0
TOWER = plain_tower(np.eye(3, 4, dtype=np.float32), np.ones(3, bool), ["a", "b", "c"])


@pytest.fixture
def follower(database: Database) -> Follower:
    return new_follower(database)


def new_follower(database: Database) -> Follower:
    return Follower(database.readers, Catalogue(TOWER, {}), "e1", {})


def put(database: Database, *ids: str, **values: object) -> None:
    batch = [Item(item_id=i, title=f"title of {i}", **values) for i in ids]  # type: ignore[arg-type]
    database.items.upsert(batch, NOW)


def click(database: Database, *pairs: tuple[str, str]) -> None:
    batch = [NewEvent(e, "u", None, item, "click", None, NOW) for e, item in pairs]
    database.events.add(batch, NOW)


def counts(shelf: Shelf) -> dict[str, float]:
    return {item_id: float(n) for item_id, n in zip(shelf.ids, shelf.positives, strict=False)}


def test_an_empty_database_is_an_empty_shelf(follower: Follower) -> None:
    assert len(follower.shelf()) == 0


def test_items_and_events_are_on_the_next_shelf(database: Database, follower: Follower) -> None:
    follower.shelf()
    put(database, "a", "b")
    click(database, ("1", "a"), ("2", "a"), ("3", "b"))
    assert counts(follower.shelf()) == {"a": 2, "b": 1}
    click(database, ("4", "b"), ("1", "a"))
    assert counts(follower.shelf()) == {"a": 2, "b": 2}


def test_a_hidden_item_is_on_no_shelf_and_comes_back_with_its_popularity(
    database: Database, follower: Follower
) -> None:
    put(database, "a", "b")
    put(database, "c", hidden=True)
    click(database, ("1", "a"), ("2", "c"))
    assert follower.shelf().row("c") is None
    put(database, "a", hidden=True)
    put(database, "c", hidden=False)
    click(database, ("3", "a"))
    for shelf in (follower.shelf(), new_follower(database).shelf()):
        assert shelf.row("a") is None and shelf.row("b") is not None
        assert counts(shelf)["c"] == 1
    put(database, "a", hidden=False)
    assert counts(follower.shelf())["a"] == 2


def test_a_deleted_item_leaves_the_shelf_and_comes_back_with_its_popularity(
    database: Database, follower: Follower
) -> None:
    put(database, "a")
    click(database, ("1", "a"))
    follower.shelf()
    database.items.delete("a", NOW)
    assert follower.shelf().row("a") is None
    click(database, ("2", "a"))
    put(database, "a")
    assert follower.shelf().row("a") == 0
    assert counts(follower.shelf()) == {"a": 2}


@pytest.mark.parametrize("folded", [False, True])
def test_who_is_forgotten_is_in_no_popularity_that_a_process_holds(
    database: Database, follower: Follower, folded: bool
) -> None:
    put(database, "a", "b", "gone")
    click(database, ("1", "a"), ("2", "b"), ("3", "gone"))
    others = [NewEvent(f"v{n}", "v", None, "a", "click", None, NOW - n) for n in range(3)]
    database.events.add(others, NOW)
    before = follower.shelf()
    if folded:
        database.events.fold()
    database.items.delete("gone", NOW)
    UserStore(database.sessions, database.readers).erase("u", NOW)
    click(database, ("4", "b"))
    expected = new_follower(database).shelf()
    assert counts(follower.shelf()) | {"gone": 0} == {"a": 3, "b": 1, "gone": 0}
    for item_id in "ab":
        held, fresh = (one.recent_log2[one.row_of[item_id]] for one in (follower.shelf(), expected))
        assert held == pytest.approx(fresh)
    assert counts(before) == {"a": 4, "b": 1, "gone": 1}
    put(database, "gone")
    assert counts(follower.shelf())["gone"] == 0


def test_events_before_their_item_count_once_it_comes(
    database: Database, follower: Follower
) -> None:
    click(database, ("1", "late"))
    follower.shelf()
    click(database, ("2", "late"))
    put(database, "late")
    click(database, ("3", "late"))
    assert counts(follower.shelf()) == {"late": 3}


def test_a_process_that_starts_later_sees_what_the_first_one_sees(
    database: Database, follower: Follower
) -> None:
    follower.shelf()
    put(database, "a", "b", "c")
    click(database, ("1", "a"), ("2", "b"))
    database.events.fold()
    click(database, ("3", "b"), ("4", "zz"))
    database.items.delete("c", NOW)
    first, second = follower.shelf(), new_follower(database).shelf()
    assert counts(second) == {"a": 1, "b": 2}
    assert {i: counts(first)[i] for i in "ab"} == counts(second)
    assert first.row("c") is None and second.row("c") is None


def test_a_vector_that_comes_later_is_taken_in(database: Database, follower: Follower) -> None:
    put(database, "a")
    assert not follower.shelf().has_text.any()
    text = item_text(Item(item_id="a", title="title of a"))
    vector = Embedding(np.full(4, 0.5, dtype=np.float16), 0.0)
    database.items.put_vectors("e1", {text_digest(text): vector})
    assert follower.shelf().has_text.all()


def test_what_the_model_brought_along_needs_no_stored_vector(database: Database) -> None:
    put(database, "a")
    text = item_text(Item(item_id="a", title="title of a"))
    vector = Embedding(np.full(4, 0.5, dtype=np.float16), 0.0)
    follower = Follower(database.readers, Catalogue(TOWER, {}), "e1", {text_digest(text): vector})
    assert follower.shelf().has_text.all()


def test_nothing_new_reads_nothing_but_the_numbers(
    database: Database, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database, "a")
    follower.shelf()
    monkeypatch.setattr(follower, "_catch_up", lambda: pytest.fail("there was nothing new"))
    assert len(follower.shelf()) == 1
