"""Items, vectors and events in either database."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from core.data.records import Item
from services.recommender.domain import HISTORY_EVENTS, item_text, text_digest
from services.recommender.event_store import NewEvent, events_after, last_numbers, popularity
from services.recommender.model import Embedding
from services.recommender.store import items_after
from tests.recommender.conftest import Database

NOW = 1_800_000_000.0
ENCODER = "e1"


def item(item_id: str = "a", **values: object) -> Item:
    return Item(**{"item_id": item_id, "title": f"title of {item_id}", **values})  # type: ignore[arg-type]


def event(event_id: str, item_id: str = "a", **values: object) -> NewEvent:
    given = {"user_id": "u", "session_id": None, "kind": "click", "value": None}
    given |= {"occurred_at": NOW} | values
    return NewEvent(event_id=event_id, item_id=item_id, **given)  # type: ignore[arg-type]


def embedding(fill: float = 0.5) -> Embedding:
    return Embedding(np.full(4, fill, dtype=np.float16), 0.25)


def digest(one: Item) -> str:
    return text_digest(item_text(one))


# --- items -------------------------------------------------------------------------------------


def test_an_item_comes_back_as_it_went_in(database: Database) -> None:
    given = item(
        description="für \u200f🙂 'quotes'",
        tags=("x", "y"),
        category="c",
        brand="b",
        price=9.5,
        currency="EUR",
        availability="preorder",
        created_at=5.25,
        item_group_id="g",
        image="https://shop.example/a.jpg",
        attributes={"colour": "röt", "size": 42, "kg": 0.1, "new": True, "for": ["x", "y"]},
        hidden=True,
    )
    database.items.upsert([given], NOW)
    found = database.items.find("a")
    assert found is not None and found.item == given and found.arrived_at == NOW


def test_a_second_upsert_replaces_and_one_that_says_nothing_new_changes_nothing(
    database: Database,
) -> None:
    database.items.upsert([item(), item("b")], NOW)
    done = database.items.upsert([item(title="new"), item("b"), item("c")], NOW + 5)
    assert (done.created, done.updated, done.unchanged) == (1, 1, 1)
    found = database.items.find("a")
    assert found is not None and found.item.title == "new" and found.arrived_at == NOW


def test_a_deleted_item_is_gone_until_it_comes_again(database: Database) -> None:
    database.items.upsert([item()], NOW)
    assert database.items.delete("a", NOW) is True
    assert database.items.delete("a", NOW) is False
    assert database.items.find("a") is None and database.items.count() == 0
    assert database.items.upsert([item()], NOW).updated == 1
    assert database.items.find("a") is not None


def test_hidden_stays_as_it_is_where_nothing_is_said_of_it(database: Database) -> None:
    database.items.upsert([item("a", hidden=True), item("b")], NOW)
    assert database.items.upsert([item("a"), item("b", hidden=False)], NOW).unchanged == 2
    database.items.upsert([item("a", title="new")], NOW)
    hidden = [stored.item.hidden for stored in database.items.page(9)]
    assert hidden == [True, False]


def test_a_change_is_stored_only_on_what_it_was_made_from(database: Database) -> None:
    database.items.upsert([item("a")], NOW)
    seen = database.items.find("a")
    assert seen is not None
    assert database.items.replace(item("a", price=1.0), seen.revision, NOW)
    assert not database.items.replace(item("a", price=2.0), seen.revision, NOW)
    assert not database.items.replace(item("b"), 0, NOW)
    found = database.items.find("a")
    assert found is not None and found.item.price == 1.0
    database.items.delete("a", NOW)
    assert not database.items.replace(item("a"), found.revision, NOW)


def test_pages_follow_the_ids(database: Database) -> None:
    database.items.upsert([item(i) for i in ("c", "a", "d", "b")], NOW)
    database.items.delete("b", NOW)
    assert [s.item.item_id for s in database.items.page(2)] == ["a", "c"]
    assert [s.item.item_id for s in database.items.page(2, "c")] == ["d"]


def test_readers_see_what_changed_after_a_revision(database: Database) -> None:
    database.items.upsert([item("a"), item("b")], NOW)
    with database.readers() as session:
        seen = last_numbers(session)["items"]
    database.items.upsert([item("a"), item("b", title="new"), item("c")], NOW)
    database.items.delete("a", NOW)
    with database.readers() as session:
        later = [s for batch in items_after(session, seen, ENCODER) for s in batch]
    assert [(s.item.item_id, s.deleted) for s in later] == [("b", False), ("c", False), ("a", True)]


def test_more_items_than_one_statement_takes_are_stored(database: Database) -> None:
    many = [item(f"i{n}") for n in range(1_234)]
    assert database.items.upsert(many, NOW).created == 1_234
    assert database.items.upsert(many, NOW).unchanged == 1_234
    assert database.items.count() == 1_234


# --- vectors -----------------------------------------------------------------------------------


def test_vectors_belong_to_an_encoder_and_a_text(database: Database) -> None:
    one, two = item("a"), item("b", title="title of a")  # the same text
    database.items.upsert([one, two], NOW, ENCODER, {digest(one): embedding()})
    with database.readers() as session:
        mine = [s.embedding for batch in items_after(session, 0, ENCODER) for s in batch]
        other = [s.embedding for batch in items_after(session, 0, "e2") for s in batch]
    assert other == [None, None]
    assert all(e is not None and e.values.tolist() == [0.5] * 4 for e in mine)
    assert all(e is not None and e.unknown_share == 0.25 for e in mine)


def test_texts_without_a_vector_are_named_until_they_have_one(database: Database) -> None:
    database.items.upsert([item("a"), item("b")], NOW)
    assert set(database.items.without_vector(ENCODER, 9)) == {digest(item("a")), digest(item("b"))}
    assert len(database.items.without_vector(ENCODER, 1)) == 1
    database.items.put_vectors(ENCODER, {digest(item("a")): embedding()})
    assert set(database.items.without_vector(ENCODER, 9)) == {digest(item("b"))}
    assert database.items.encoded(ENCODER, [digest(item("a")), "?"]) == {digest(item("a"))}


def test_a_vector_that_comes_later_is_news_for_readers(database: Database) -> None:
    database.items.upsert([item("a"), item("b")], NOW)
    with database.readers() as session:
        seen = last_numbers(session)["items"]
    database.items.put_vectors(ENCODER, {digest(item("a")): embedding()})
    with database.readers() as session:
        later = [s for batch in items_after(session, seen, ENCODER) for s in batch]
    assert [s.item.item_id for s in later] == ["a"]


def test_the_same_vector_may_come_twice(database: Database) -> None:
    for _ in range(2):
        database.items.upsert([item()], NOW, ENCODER, {digest(item()): embedding()})


# --- events ------------------------------------------------------------------------------------


def test_a_repeated_event_id_is_acknowledged_and_left_out(database: Database) -> None:
    first = database.events.add([event("1"), event("1"), event("2")], NOW)
    second = database.events.add([event("2"), event("3")], NOW)
    assert (first.accepted, first.repeated) == (2, 1)
    assert (second.accepted, second.repeated) == (1, 1)
    assert database.events.count() == 3


def test_events_of_items_that_the_shop_lacks_are_kept_and_named(database: Database) -> None:
    database.items.upsert([item("a")], NOW)
    done = database.events.add([event("1", "a"), event("2", "z"), event("3", "y")], NOW)
    assert done.accepted == 3 and done.unknown_items == ("y", "z")


def test_a_history_is_in_order_of_time_whatever_the_order_of_arrival(database: Database) -> None:
    batch = [event("late", "a", occurred_at=NOW), event("early", "b", occurred_at=NOW - 60)]
    database.events.add(batch, NOW)
    assert [e.item_id for e in database.events.history("u", None)] == ["b", "a"]


def test_a_history_joins_the_user_and_the_session_and_counts_nothing_twice(
    database: Database,
) -> None:
    database.events.add(
        [
            event("1", "a"),
            event("2", "b", user_id=None, session_id="s"),
            event("3", "c", session_id="s"),
            event("4", "d", user_id="other"),
        ],
        NOW,
    )
    assert {e.item_id for e in database.events.history("u", None)} == {"a", "c"}
    assert {e.item_id for e in database.events.history(None, "s")} == {"b", "c"}
    assert sorted(e.item_id for e in database.events.history("u", "s")) == ["a", "b", "c"]


def test_a_history_is_as_long_as_is_looked_at(database: Database) -> None:
    many = [event(str(n), occurred_at=NOW + n) for n in range(HISTORY_EVENTS + 20)]
    database.events.add(many, NOW)
    found = database.events.history("u", None)
    assert len(found) == HISTORY_EVENTS and found[-1].timestamp == many[-1].occurred_at


def test_numbers_of_events_have_no_gaps_and_follow_commits(database: Database) -> None:
    """Two writers at once: what a reader sees never has a hole below its highest number."""

    def write(name: str) -> None:
        for n in range(10):
            database.events.add([event(f"{name}{n}"), event(f"{name}{n}b")], NOW)

    threads = [threading.Thread(target=write, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with database.readers() as session:
            seen = [seq for seq, _ in events_after(session, 0)]
        assert seen == list(range(1, len(seen) + 1))
    for thread in threads:
        thread.join()
    assert database.events.count() == 60


def test_popularity_is_the_same_before_during_and_after_folding(database: Database) -> None:
    batch = [
        event(str(n), "ab"[n % 2], occurred_at=NOW - 1e5 * n, kind="view" if n == 5 else "click")
        for n in range(9)
    ]
    database.events.add(batch, NOW)

    def state():
        with database.readers() as session:
            everything = popularity(session, None)
            assert popularity(session, ["a", "none"]) == {"a": everything["a"]}
        return {
            i: (p.positives, pytest.approx(p.recent_log2), p.first_at)
            for i, p in everything.items()
        }

    before = state()
    assert before["a"][0] == 5 and before["b"][0] == 3
    assert database.events.fold(at_most=4) == 4
    assert state() == before
    assert database.events.fold() == 5 and database.events.fold() == 0
    assert state() == before


def test_an_item_that_was_only_viewed_is_folded_too(database: Database) -> None:
    database.events.add([event("1", kind="view")], NOW)
    database.events.fold()
    with database.readers() as session:
        found = popularity(session, None)["a"]
    assert found.positives == 0 and found.recent_log2 == -np.inf and found.first_at == NOW
