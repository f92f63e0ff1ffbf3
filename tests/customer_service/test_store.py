"""Conversations and what a company taught, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, Table, delete, insert, inspect, select
from sqlalchemy.orm import Session

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import NotFound
from services.customer_service import store, tables
from services.customer_service.answers import Intent, Slot
from services.customer_service.articles import make_article
from services.customer_service.content import ContentStore
from services.customer_service.store import ConversationStore, Turn

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def conversations(engine: Engine) -> ConversationStore:
    return ConversationStore(session_factory(engine), session_factory(engine, read_only=True))


@pytest.fixture
def content(engine: Engine) -> ContentStore:
    return ContentStore(session_factory(engine), session_factory(engine, read_only=True))


def turn(message_id: str, text: str = "Hi", conversation_id: str = "c", at: datetime = NOW) -> Turn:
    return Turn(
        conversation_id=conversation_id,
        message_id=message_id,
        message="我的订单 🙂 " + text,
        action="answer",
        intent="greeting",
        locale="en",
        reply={"text": text, "slots": {"n": "1"}},
        created_at=at,
        needed_slots=("n",),
        metadata={"page": "/cart"},
    )


# --- conversations -----------------------------------------------------------------------------


def test_a_turn_comes_back_as_it_was_stored(conversations: ConversationStore) -> None:
    conversations.add(turn("m1"), "web")
    found = conversations.conversation("c", limit=10, cursor=0)
    assert found.turns == (turn("m1"),)
    assert (found.channel, found.created_at, found.next_cursor) == ("web", NOW, None)


def test_a_repeated_message_gets_the_stored_answer(conversations: ConversationStore) -> None:
    first = conversations.add(turn("m1", "first"), "web")
    second = conversations.add(turn("m1", "second"), "web")
    assert first == second == {"text": "first", "slots": {"n": "1"}}
    assert len(conversations.conversation("c", limit=10, cursor=0).turns) == 1


def test_the_same_message_id_in_another_conversation_is_another_message(
    conversations: ConversationStore,
) -> None:
    conversations.add(turn("m1", "first"), "web")
    assert conversations.add(turn("m1", "second", "d"), "web")["text"] == "second"


def test_of_messages_that_come_at_once_one_is_stored_and_all_get_its_answer(
    conversations: ConversationStore,
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: conversations.add(turn("m1", str(n)), "web")["text"], range(8))
        )
    assert len(set(answers)) == 1
    assert len(conversations.conversation("c", limit=10, cursor=0).turns) == 1


def test_what_came_before_is_the_latest_turn_and_this_messages_answer(
    conversations: ConversationStore,
) -> None:
    assert conversations.before("c", "m1").last is None
    conversations.add(turn("m1", "first"), "web")
    conversations.add(turn("m2", "second"), "web")
    before = conversations.before("c", "m1")
    assert before.answer is not None
    assert before.answer["text"] == "first"
    assert before.last == turn("m2", "second")
    assert conversations.before("c", "m3").answer is None


def test_pages_follow_one_another_without_gap_or_repeat(conversations: ConversationStore) -> None:
    for number in range(5):
        conversations.add(turn(f"m{number}"), "web")
    seen, cursor = [], 0
    while True:
        page = conversations.conversation("c", limit=2, cursor=cursor)
        seen += [t.message_id for t in page.turns]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == ["m0", "m1", "m2", "m3", "m4"]


def test_an_unknown_conversation_is_not_found(conversations: ConversationStore) -> None:
    with pytest.raises(NotFound):
        conversations.conversation("nobody", limit=10, cursor=0)


def test_a_conversation_is_deleted_with_its_turns_when_the_last_one_is_too_old(
    conversations: ConversationStore, engine: Engine
) -> None:
    old, fresh = NOW - timedelta(days=9), NOW - timedelta(days=1)
    conversations.add(turn("m1", conversation_id="silent", at=old), "web")
    conversations.add(turn("m2", conversation_id="silent", at=old), "web")
    conversations.add(turn("m1", conversation_id="taken up again", at=old), "web")
    conversations.add(turn("m2", conversation_id="taken up again", at=fresh), "web")
    conversations.add(turn("m1", conversation_id="new", at=fresh), "web")
    since = NOW - timedelta(days=7)
    assert conversations.delete_silent(since, 10) == 1
    assert conversations.delete_silent(since, 10) == 0
    with session_factory(engine)() as session:
        left = session.scalars(select(tables.turns.c.conversation_id)).all()
    assert sorted(left) == ["new", "taken up again", "taken up again"]


def test_what_is_deleted_at_once_is_bounded_and_the_oldest_goes_first(
    conversations: ConversationStore,
) -> None:
    for days in (8, 9, 10):
        at = NOW - timedelta(days=days)
        conversations.add(turn("m1", conversation_id=f"{days} days", at=at), "web")
    since = NOW - timedelta(days=7)
    assert conversations.delete_silent(since, 2) == 2
    assert conversations.conversation("8 days", limit=1, cursor=0).turns
    assert conversations.delete_silent(since, 2) == 1


# SQLite lets one write at a time, so that this cannot happen there.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_conversation_that_is_taken_up_again_this_moment_is_left_alone(
    conversations: ConversationStore, engine: Engine
) -> None:
    conversations.add(turn("m1", at=NOW - timedelta(days=9)), "web")
    with session_factory(engine).begin() as session:
        session.execute(insert(tables.turns).values(store._values(turn("m2"))))
        # The turn is not committed yet, so nobody else sees it.
        assert conversations.delete_silent(NOW - timedelta(days=7), 10) == 0
    assert len(conversations.conversation("c", limit=10, cursor=0).turns) == 2


def test_a_repeated_message_of_a_deleted_conversation_is_a_new_one(
    conversations: ConversationStore,
) -> None:
    conversations.add(turn("m1", "first"), "web")
    conversations.delete_silent(NOW + timedelta(days=1), 10)
    assert conversations.before("c", "m1").last is None
    assert conversations.add(turn("m1", "second"), "web")["text"] == "second"


def test_a_turn_whose_conversation_is_deleted_under_its_hands_is_stored(
    conversations: ConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_or_ignore, deleted = store.insert_or_ignore, []

    def delete_before_the_first_turn(session: Session, table: Table, values: Any) -> bool:
        if table is tables.turns and not deleted:
            deleted.append(session.execute(delete(tables.conversations)))
        return insert_or_ignore(session, table, values)

    conversations.add(turn("m1"), "web")
    monkeypatch.setattr(store, "insert_or_ignore", delete_before_the_first_turn)
    assert conversations.add(turn("m2", "second"), "web")["text"] == "second"
    assert deleted
    assert conversations.before("c", "m2").last == turn("m2", "second")


# --- content -----------------------------------------------------------------------------------

INTENT = Intent("greeting", {"en": "Hello"}, {"en": ("Hi!", "Hello {n}!")}, handoff=True)
SLOT = Slot("n", r"\d+", {"en": "Which?"})
ARTICLE = make_article("a", title="T", body="Body", url="/a", tags=["x"])


def test_what_was_taught_comes_back_as_it_was_stored(content: ContentStore) -> None:
    content.put_answers([INTENT], [SLOT], NOW)
    content.put_articles([ARTICLE], NOW)
    taught = content.read()
    assert taught.book.intents == {"greeting": INTENT}
    assert taught.book.slots == {"n": SLOT}
    assert taught.articles == (ARTICLE,)
    assert content.intent("greeting") == INTENT
    assert content.article("a") == ARTICLE


def test_repeating_an_import_changes_nothing(content: ContentStore) -> None:
    assert content.put_answers([INTENT], [SLOT], NOW) == ({"greeting": "new"}, {"n": "new"})
    version = content.version()
    again = content.put_answers([INTENT], [SLOT], NOW)
    assert again == ({"greeting": "unchanged"}, {"n": "unchanged"})
    assert content.version() == version


def test_each_change_raises_the_version(content: ContentStore) -> None:
    assert content.version() == 0
    content.put_articles([ARTICLE], NOW)
    changed = make_article("a", title="T", body="Other")
    assert content.put_articles([changed], NOW) == {"a": "changed"}
    assert content.version() == 2
    assert content.article("a").body == "Other"


def test_writers_at_once_lose_nothing(content: ContentStore) -> None:
    articles = [make_article(f"a{n}", title="T", body="B") for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda a: content.put_articles([a, ARTICLE], NOW), articles))
    assert len(content.read().articles) == 9
    assert content.version() == 8


def test_unknown_names_are_not_found(content: ContentStore) -> None:
    with pytest.raises(NotFound):
        content.intent("nobody")
    with pytest.raises(NotFound):
        content.article("nobody")


def test_vectors_are_kept_for_each_encoder(content: ContentStore) -> None:
    vector = np.array([0.6, -0.8], dtype=np.float32)
    content.put_vectors("one", {"d": vector})
    content.put_vectors("one", {"d": vector})
    found = content.vectors("one", ["d", "unknown"])
    assert list(found) == ["d"]
    assert np.allclose(found["d"], vector, atol=1e-3)
    assert content.vectors("other", ["d"]) == {}


def test_the_migrations_make_just_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []


def test_what_an_earlier_version_stored_outlives_the_upgrade(database_url: str) -> None:
    engine = make_engine(database_url)
    upgrade(engine, tables.MIGRATIONS, "0001")
    head = {"conversation_id": "c", "channel": "web", "locale": "en", "created_at": NOW}
    with engine.begin() as connection:
        known = inspect(connection).get_columns("turns")
        old = {column["name"] for column in known}
        values = {n: v for n, v in store._values(turn("m1")).items() if n in old}
        connection.execute(insert(tables.conversations).values(head))
        connection.execute(insert(tables.turns).values(values))
    conversations = ConversationStore(session_factory(engine), session_factory(engine))
    upgrade(engine, tables.MIGRATIONS)
    assert conversations.before("c", "m1").last == turn("m1")
    engine.dispose()


def test_the_migrations_folder_is_found() -> None:
    assert (Path(tables.MIGRATIONS) / "env.py").is_file()
