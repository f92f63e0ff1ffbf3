"""Who is whom, what is kept of them, and that it can be forgotten, in either database."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select

from core.errors import Conflict, InvalidInput
from services.recommender.event_store import NewEvent, popularity
from services.recommender.popularity import NEVER, Popularity
from services.recommender.tables import erasures, events, item_vectors
from services.recommender.users import UserStore, page_out, without
from tests.recommender.conftest import Database
from tests.recommender.test_store import ENCODER, NOW, digest, embedding, event, item


def people(database: Database) -> UserStore:
    return UserStore(database.sessions, database.readers)


def of_session(event_id: str, item_id: str = "a", session_id: str = "s") -> NewEvent:
    return event(event_id, item_id, user_id=None, session_id=session_id)


def seen(database: Database, user_id: str | None, session_id: str | None = None) -> set[str]:
    return {one.item_id for one in database.events.history(user_id, session_id)}


# --- merging -------------------------------------------------------------------------------------


def test_a_session_and_a_user_become_one_before_and_after(database: Database) -> None:
    database.events.add([of_session("1", "a"), event("2", "b")], NOW)
    assert people(database).merge("session", "s", "u", NOW).events == 1
    database.events.add([of_session("3", "c")], NOW)
    assert seen(database, "u") == seen(database, None, "s") == {"a", "b", "c"}


def test_two_ids_of_a_user_become_one_whichever_is_asked(database: Database) -> None:
    database.events.add([event("1", "a", user_id="old"), event("2", "b")], NOW)
    people(database).merge("user", "old", "u", NOW)
    database.events.add([event("3", "c", user_id="old")], NOW)
    assert seen(database, "u") == seen(database, "old") == {"a", "b", "c"}


def test_merging_again_changes_nothing(database: Database) -> None:
    database.events.add([of_session("1")], NOW)
    store = people(database)
    assert [store.merge("session", "s", "u", NOW).already for _ in range(2)] == [False, True]
    assert store.merge("user", "old", "u", NOW).already is False
    assert store.merge("user", "old", "u", NOW).already is True
    assert store.merge("user", "u", "old", NOW).already is True


def test_merges_follow_each_other(database: Database) -> None:
    store = people(database)
    database.events.add([of_session("1", "a"), event("2", "b", user_id="v")], NOW)
    store.merge("session", "s", "u", NOW)
    store.merge("user", "u", "v", NOW)
    assert store.merge("session", "t", "u", NOW).user_id == "v"
    database.events.add([of_session("3", "c", "t"), of_session("4", "d")], NOW)
    assert seen(database, "u") == seen(database, "v") == seen(database, None, "s") == set("abcd")


def test_a_session_of_somebody_else_is_not_taken_over(database: Database) -> None:
    store = people(database)
    store.merge("session", "s", "u", NOW)
    with pytest.raises(Conflict, match="belongs to another user"):
        store.merge("session", "s", "v", NOW)
    store.merge("user", "old", "u", NOW)
    with pytest.raises(Conflict):
        store.merge("user", "old", "v", NOW)
    with pytest.raises(InvalidInput):
        store.merge("user", "u", "u", NOW)


def test_what_a_person_did_in_a_session_stays_theirs(database: Database) -> None:
    database.events.add([event("1", "a", user_id="v", session_id="s"), of_session("2", "b")], NOW)
    people(database).merge("session", "s", "u", NOW)
    assert seen(database, "u") == {"b"} and seen(database, "v") == {"a"}


# --- handing out ---------------------------------------------------------------------------------


def test_all_that_is_kept_is_handed_out_page_by_page(database: Database) -> None:
    database.events.add([of_session("0"), event("x", user_id="other")], NOW)
    people(database).merge("session", "s", "u", NOW)
    told = event("5", kind="comment", text="dry and warm", position=2, recommendation_id="r")
    database.events.add([*(event(str(n)) for n in range(1, 5)), told], NOW)
    store, after, found = people(database), 0, []
    while after is not None:
        page = store.page("u", after, limit=2)
        found += page_out(page)["events"]
        after = page.following
    assert [one["event_id"] for one in found] == [str(n) for n in range(6)]
    assert found[5]["text"] == "dry and warm" and found[5]["event"] == "comment"
    assert page_out(page)["merged"] == [{"kind": "session", "id": "s", "merged_at": NOW}]
    assert store.page("nobody").events == []


# --- forgetting ----------------------------------------------------------------------------------


def test_the_forgotten_are_gone_with_their_sessions_and_start_anew(database: Database) -> None:
    store = people(database)
    database.events.add([of_session("1"), event("2"), event("3", user_id="other")], NOW)
    store.merge("session", "s", "u", NOW)
    assert store.erase("u", NOW) == 2
    assert store.page("u").events == [] and database.events.count() == 1
    database.events.add([event("2", "b"), of_session("9", "c")], NOW)
    assert seen(database, "u") == {"b"} and seen(database, None, "s") == {"c"}


def test_that_somebody_was_forgotten_is_kept_and_not_who(database: Database) -> None:
    database.events.add([event("1"), event("2")], NOW)
    store = people(database)
    assert [store.erase("u", NOW), store.erase("u", NOW)] == [2, 0]
    with database.readers() as session:
        rows = [row._asdict() for row in session.execute(select(erasures))]
    assert [(row["erased_at"], row["events"]) for row in rows] == [(NOW, 2)]
    assert set(rows[0]) == {"erasure_id", "erased_at", "events"}


@pytest.mark.parametrize("folded", [0, 3, 6])
def test_popularity_is_what_the_others_made_it(database: Database, folded: int) -> None:
    mine = [event(f"m{n}", "ab"[n % 2], occurred_at=NOW - 1e6 * n) for n in range(3)]
    theirs = [event(f"t{n}", "a", user_id="v", occurred_at=NOW - 5e5 * n) for n in range(3)]
    database.events.add([mine[0], theirs[0], mine[1], theirs[1], mine[2], theirs[2]], NOW)
    if folded:
        database.events.fold(at_most=folded)
    people(database).erase("u", NOW)
    with database.readers() as session:
        left = popularity(session, None)
    expected = np.logaddexp2.reduce([e.occurred_at / (14 * 86_400) for e in theirs])
    assert left["a"].positives == 3
    assert left["a"].recent_log2 == pytest.approx(expected)
    assert "b" not in left or (left["b"].positives == 0 and left["b"].recent_log2 == NEVER)


def test_taking_away_nearly_all_leaves_nothing_rather_than_noise() -> None:
    kept = Popularity(2.0, 1000.0, 5.0)
    assert without(kept, Popularity(1.0, 1000.0, 5.0)) == Popularity(1.0, NEVER, 5.0)
    assert without(kept, Popularity(1.0, 999.0, 5.0)).recent_log2 == pytest.approx(999.0)
    assert without(kept, Popularity(1.0, NEVER, 5.0)).recent_log2 == 1000.0


def test_vectors_of_what_they_wrote_go_too(database: Database) -> None:
    one = item("a")
    database.items.upsert([one], NOW)
    said = [event("1", kind="comment", text="mine alone"), event("2", kind="comment", text="same")]
    others = event("3", kind="comment", text="same", user_id="v")
    quoting = event("4", kind="comment", text="title of a")
    database.events.add([*said, others, quoting], NOW)
    with database.readers() as session:
        digests = set(session.execute(select(events.c.text_digest)).scalars())
    database.items.put_vectors(ENCODER, dict.fromkeys(digests, embedding()))
    people(database).erase("u", NOW)
    with database.readers() as session:
        left = set(session.execute(select(item_vectors.c.text_digest)).scalars())
        kept = set(session.execute(select(events.c.text_digest)).scalars())
    assert left == kept | {digest(one)} and len(left) == 2
