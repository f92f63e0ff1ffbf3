"""Conversations and what a company taught, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import NotFound
from services.customer_service import app, tables
from services.customer_service.answers import Intent, Slot
from services.customer_service.articles import make_article
from services.customer_service.content import ContentStore
from services.customer_service.store import ConversationStore, Turn

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    upgrade(engine, app.MIGRATIONS)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> ConversationStore:
    return ConversationStore(session_factory(engine), session_factory(engine, read_only=True))


@pytest.fixture
def content(engine: Engine) -> ContentStore:
    return ContentStore(session_factory(engine), session_factory(engine, read_only=True))


def turn(message_id: str, text: str = "Hi", conversation_id: str = "c") -> Turn:
    return Turn(
        conversation_id=conversation_id,
        message_id=message_id,
        message="我的订单 🙂 " + text,
        action="answer",
        intent="greeting",
        locale="en",
        reply={"text": text, "slots": {"n": "1"}},
        created_at=NOW,
        needed_slots=("n",),
        metadata={"page": "/cart"},
    )


# --- conversations -----------------------------------------------------------------------------


def test_a_turn_comes_back_as_it_was_stored(store: ConversationStore) -> None:
    store.add(turn("m1"), "web")
    found = store.conversation("c", limit=10, cursor=0)
    assert found.turns == (turn("m1"),)
    assert (found.channel, found.created_at, found.next_cursor) == ("web", NOW, None)


def test_a_repeated_message_gets_the_stored_answer(store: ConversationStore) -> None:
    first = store.add(turn("m1", "first"), "web")
    second = store.add(turn("m1", "second"), "web")
    assert first == second == {"text": "first", "slots": {"n": "1"}}
    assert len(store.conversation("c", limit=10, cursor=0).turns) == 1


def test_the_same_message_id_in_another_conversation_is_another_message(
    store: ConversationStore,
) -> None:
    store.add(turn("m1", "first"), "web")
    assert store.add(turn("m1", "second", "d"), "web")["text"] == "second"


def test_of_messages_that_come_at_once_one_is_stored_and_all_get_its_answer(
    store: ConversationStore,
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: store.add(turn("m1", str(n)), "web")["text"], range(8)))
    assert len(set(answers)) == 1
    assert len(store.conversation("c", limit=10, cursor=0).turns) == 1


def test_what_came_before_is_the_latest_turn_and_this_messages_answer(
    store: ConversationStore,
) -> None:
    assert store.before("c", "m1").last is None
    store.add(turn("m1", "first"), "web")
    store.add(turn("m2", "second"), "web")
    before = store.before("c", "m1")
    assert before.answer is not None
    assert before.answer["text"] == "first"
    assert before.last == turn("m2", "second")
    assert store.before("c", "m3").answer is None


def test_pages_follow_one_another_without_gap_or_repeat(store: ConversationStore) -> None:
    for number in range(5):
        store.add(turn(f"m{number}"), "web")
    seen, cursor = [], 0
    while True:
        page = store.conversation("c", limit=2, cursor=cursor)
        seen += [t.message_id for t in page.turns]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == ["m0", "m1", "m2", "m3", "m4"]


def test_an_unknown_conversation_is_not_found(store: ConversationStore) -> None:
    with pytest.raises(NotFound):
        store.conversation("nobody", limit=10, cursor=0)


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


def test_the_migration_makes_the_tables_that_the_code_uses(engine: Engine) -> None:
    from sqlalchemy import inspect

    found = inspect(engine)
    for table in tables.metadata.tables.values():
        columns = {column["name"] for column in found.get_columns(table.name)}
        assert columns == set(table.columns.keys()), table.name


def test_the_migrations_folder_is_found() -> None:
    assert (Path(app.MIGRATIONS) / "env.py").is_file()
