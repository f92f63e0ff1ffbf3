"""Forms, calls and kinds of slots get in only when they make sense, and come back as they were."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import InvalidInput
from services.customer_service import tables
from services.customer_service.answers import Slot
from services.customer_service.answers_reading import as_mapping, parse_intent, parse_slot
from services.customer_service.calls import Call
from services.customer_service.content import ContentStore
from services.customer_service.forms import FormField
from services.customer_service.importers.answers import read_answers
from services.customer_service.store import ConversationStore, Turn

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SLOTS = {
    "number": parse_slot("number", {"pattern": r"\d+", "ask": "Which?"}),
    "what": parse_slot("what", {"kind": "text"}),
}
SAID: dict[str, Any] = {
    "description": {},
    "answers": {"en": ["{number} is {status}: {what}."]},
    "without_slots": {},
    "quick_replies": {},
    "handoff": False,
    "cases": [],
    "form": {
        "slots": [
            {
                "slot": "number",
                "ask": {},
                "validate": "1.*",
                "invalid": {"en": "No.", "zh": "不对"},
            },
            {"slot": "what", "ask": {"en": "What?"}, "validate": ["a", "b"], "invalid": {}},
        ],
        "confirm": {"en": "{number}, {what}?"},
    },
    "call": {
        "name": "look.up",
        "url": "/orders",
        "slots": ["number"],
        "reply": ["status"],
        "timeout": 2.5,
        "cases": [{"when": {"status": "lost"}, "answers": {"en": ["Gone: {status}."]}}],
    },
}
KINDS = [
    parse_slot("p", {"pattern": "x", "synonyms": {"X Y": "xy"}}),
    parse_slot("l", {"kind": "lookup", "values": {"Glow 2": ["glow two", "g2"], "Beam": []}}),
    parse_slot("e", {"kind": "email", "ask": {"en": "Where?"}}),
    parse_slot("d", {"kind": "date", "past": True}),
    parse_slot("a", {"kind": "amount", "currency": "EUR"}),
    parse_slot("t", {"kind": "text"}),
]


def test_a_form_and_a_call_survive_being_written_and_read() -> None:
    intent = parse_intent("i", SAID, SLOTS)
    assert as_mapping(intent) == SAID
    assert parse_intent("i", as_mapping(intent), SLOTS) == intent


def test_the_valid_values_may_have_other_words() -> None:
    validate = {"yes": ["Of  course", "yep"], "no": [], "7": [8]}
    read = parse_intent("i", field(validate=validate), SLOTS)
    assert read.form is not None
    (asked,) = read.form.fields
    assert asked.one_of == ("yes", "no", "7")
    assert [asked.settle(said) for said in ("YES", "of course", "8", "maybe")] == [
        "yes",
        "yes",
        "7",
        None,
    ]
    assert [asked.chosen(said) for said in ("yep, of course", "not yep, no", "hm")] == [
        "yes",
        "no",
        None,
    ]
    kept = {"yes": ["of course", "yep"], "no": [], "7": ["8"]}
    assert as_mapping(read)["form"]["slots"][0]["validate"] == kept
    assert parse_intent("i", as_mapping(read), SLOTS) == read


def test_what_is_short_stands_for_the_whole() -> None:
    said = {"answers": {"en": ["x"]}, "form": {"slots": ["number", {"slot": "what", "ask": "?"}]}}
    intent = parse_intent("i", said, SLOTS)
    assert intent.form is not None
    assert intent.form.fields == (FormField("number"), FormField("what", {"en": "?"}))
    called = {"answers": {"en": ["x"]}, "call": {"name": "c", "url": "/c", "slots": ["number"]}}
    intent = parse_intent("i", called, SLOTS)
    assert intent.call == Call("c", "/c", ("number",))
    assert intent.asks is not None
    assert intent.asks.fields == (FormField("number"),)


def test_forms_calls_and_slots_of_every_kind_are_stored_as_they_are(engine: Engine) -> None:
    store = ContentStore(session_factory(engine), session_factory(engine, read_only=True))
    words = parse_intent("w", field(validate={"1": ["one"], "2": []}), SLOTS)
    intent = parse_intent("i", SAID, SLOTS)
    slots = [*SLOTS.values(), *KINDS]
    store.put_answers([intent, words], slots, NOW)
    assert store.book().intents == {"i": intent, "w": words}
    assert store.book().slots == {slot.name: slot for slot in slots}
    intents, of_slots = store.put_answers([intent, words], slots, NOW)
    assert {*intents.values(), *of_slots.values()} == {"unchanged"}


def test_what_a_turn_left_open_is_stored_with_it(engine: Engine) -> None:
    store = ConversationStore(session_factory(engine), session_factory(engine, read_only=True))
    form = {"intent": "i", "asked": "number", "repeats": 1, "back": False}
    for message_id, left in (("1", None), ("2", form)):
        turn = Turn("c", message_id, "Hi", "ask_slot", "i", "en", {"text": "?"}, NOW, form=left)
        store.add(turn, "web")
        last = store.before("c", "3").last
        assert last is not None
        assert last.form == left


def test_older_databases_take_forms_up(database_url: str) -> None:
    engine = make_engine(database_url)
    upgrade(engine, tables.MIGRATIONS, "0004")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO slots (name, pattern, ask, synonyms, updated_at)"
            " VALUES ('n', 'x', '{}', '{}', '2026-03-01 12:00:00')"
        )
    upgrade(engine, tables.MIGRATIONS)
    store = ContentStore(session_factory(engine), session_factory(engine, read_only=True))
    assert store.book().slots == {"n": Slot("n", "x")}
    engine.dispose()


def test_the_sample_shop_asks_for_order_and_fault_before_a_repair() -> None:
    sample = Path(__file__).parents[2] / "shared_data" / "customer_service" / "intents.yaml"
    read = read_answers(sample)
    assert read.left_out == []
    (claim,) = [intent for intent in read.intents if intent.name == "warranty_claim"]
    assert claim.form is not None
    assert [each.slot for each in claim.form.fields] == ["order_number", "fault"]
    assert set(claim.form.confirm) == {"en", "zh"}


def form(**values: Any) -> dict[str, Any]:
    return {"answers": {"en": ["x"]}, "form": {"slots": ["number"], **values}}


def field(**values: Any) -> dict[str, Any]:
    return form(slots=[{"slot": "number", **values}])


def call(**values: Any) -> dict[str, Any]:
    return {"answers": {"en": ["x"]}, "call": {"name": "c", "url": "/c", **values}}


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"form": {"slots": ["number"]}}, "needs an answer for its end"),
        (form(slots=[]), "form: asks for nothing"),
        (form(slots="number"), "form, slots: expected a list of at most 20"),
        (form(slots=["number"] * 21), "at most 20"),
        (form(slots=["number", "number"]), "asks twice for number"),
        (form(slots=["nobody"]), "form, number 1: 'nobody' is no slot"),
        (form(slots=["what"]), "form, number 1: nobody says how to ask for what"),
        (form(slots=[5]), "form, number 1: expected a mapping"),
        (form(confirm={"en": "{what}?"}), "form, confirm: an answer has a place for {what}"),
        (form(asks=[]), "form: unknown key 'asks'"),
        (field(validate="("), "`validate` is no regular expression"),
        (field(validate="(a+)+"), "without an end"),
        (field(validate=[]), "validate: the list is empty"),
        (field(validate={}), "validate: the list is empty"),
        (field(validate={"a": "b"}), "validate, a: expected a list"),
        (field(validate={str(n): [] for n in range(51)}), "expected at most 50 values"),
        (field(validate=[None]), "the value of a slot is a text"),
        (field(validate=5), "`validate` must be a text"),
        (field(invalid=5), "a text a language"),
        ({"call": {"name": "c", "url": "/c"}}, "needs an answer for its end"),
        (call(name="1 2"), "call: `name` is a letter"),
        (call(url="orders"), "call: `url` must be a path"),
        (call(url="ftp://x/"), "call: `url` must be a path"),
        (call(url="/../x"), "call: `url` must be a path"),
        (call(url="https://a@b/"), "call: `url` must be a path"),
        (call(slots=["nobody"]), "call, slots: 'nobody' is no slot"),
        (call(slots=["what"]), "call: the slot what says not how to ask for it"),
        (call(reply=["a b"]), "call, reply: a key is a letter"),
        (call(timeout=0), "`timeout` is above 0 and at most 10 seconds"),
        (call(timeout=11), "`timeout` is above 0"),
        (call(timeout=True), "`timeout` is above 0"),
        (call(cases=[{}]), "cases, number 1: `when` names no key"),
        (call(cases=[{"when": {"a": 1}}]), "cases, number 1: nothing is said"),
        (call(cases=[{"when": {"a b": 1}, "answers": {"en": ["x"]}}]), "a key is a letter"),
        (call(cases=[{"when": {"a": 1}, "answers": {"en": ["{b}"]}}]), "neither a slot nor in"),
        (call() | {"answers": {"en": ["{status}"]}}, "{status}, which is no slot"),
        (call(retries=3), "call: unknown key 'retries'"),
    ],
)
def test_a_wrong_form_or_call_is_refused_with_the_place(said: Any, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_intent("x", said, SLOTS)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"kind": "colour"}, "there is no kind 'colour'"),
        ({"kind": []}, "there is no kind"),
        ({"kind": "email", "pattern": "x"}, "a slot of kind email has no `pattern`"),
        ({"kind": "date", "currency": "EUR"}, "a slot of kind date has no `currency`"),
        ({"kind": "date", "past": "yes"}, "`past` must be true or false"),
        ({"kind": "amount", "currency": "euro"}, "`currency` is a code such as EUR"),
        ({"kind": "lookup"}, "`values` must name at least one"),
        ({"kind": "lookup", "values": "a"}, "values: expected a list"),
        ({"kind": "lookup", "values": [None]}, "the value of a slot is a text"),
        ({"kind": "lookup", "values": {"a": "b"}}, "values, a: expected a list"),
        ({"kind": "lookup", "values": {"a": ["b"] * 1 + ["c"] * 2000}}, "at most 2000"),
    ],
)
def test_a_wrong_kind_of_slot_is_refused_with_the_reason(said: Any, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_slot("s", said)
    assert part in str(caught.value)
