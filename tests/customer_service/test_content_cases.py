"""Cases, buttons and synonyms are stored as they are, and older databases take them up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.customer_service import tables
from services.customer_service.answers import Intent, Slot
from services.customer_service.answers_reading import parse_intent, parse_slot
from services.customer_service.content import ContentStore

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SLOT = parse_slot("n", {"pattern": "x" * 3000, "synonyms": {"Seven": 7}})
INTENT = parse_intent(
    "i",
    {
        "answers": {"en": ["Plain {n}."]},
        "quick_replies": {"en": ["a", {"title": "b", "payload": "/c"}]},
        "cases": [{"when": {"channel": "sms", "slots": {"n": 7}}, "answers": {"en": ["Short."]}}],
    },
    {"n": SLOT},
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def content(engine: Engine) -> ContentStore:
    return ContentStore(session_factory(engine), session_factory(engine, read_only=True))


def test_what_depends_on_a_case_comes_back_as_it_was_stored(engine: Engine) -> None:
    upgrade(engine, tables.MIGRATIONS)
    store = content(engine)
    store.put_answers([INTENT], [SLOT], NOW)
    assert store.book().intents == {"i": INTENT}
    assert store.book().slots == {"n": SLOT}
    assert store.put_answers([INTENT], [SLOT], NOW) == ({"i": "unchanged"}, {"n": "unchanged"})


def test_what_was_taught_before_there_were_cases_stays(engine: Engine) -> None:
    upgrade(engine, tables.MIGRATIONS, "0002")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO intents (name, description, answers, without_slots, quick_replies,"
                " handoff, updated_at) VALUES ('hi', '{}', :answers, '{}', :replies, :no, :now)"
            ),
            {"answers": '{"en": ["Hi"]}', "replies": '{"en": ["Bye"]}', "no": False, "now": NOW},
        )
        connection.execute(
            text(
                "INSERT INTO slots (name, pattern, ask, updated_at) VALUES ('n', 'x', '{}', :now)"
            ),
            {"now": NOW},
        )
    upgrade(engine, tables.MIGRATIONS)
    said = {"answers": {"en": ["Hi"]}, "quick_replies": {"en": ["Bye"]}}
    assert content(engine).book().intents == {"hi": parse_intent("hi", said, {})}
    assert content(engine).book().slots == {"n": Slot("n", "x")}
    assert content(engine).book().intents["hi"] == Intent(
        "hi",
        answers={"en": ("Hi",)},
        quick_replies=parse_intent("hi", said, {}).quick_replies,
    )
