"""What a company wrote gets in only when it makes sense, and slots are found in messages."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from services.customer_service.answers import AnswerBook, Case, QuickReply, Slot, placeholders
from services.customer_service.answers_reading import as_mapping, parse_intent, parse_slot

NUMBER = Slot("number", r"LY-\d{6}", {"en": "Which one?"})
SLOTS = {"number": NUMBER}


def test_an_intent_survives_being_written_and_read() -> None:
    said = {
        "description": {"en": "Where is it", "zh": "在哪"},
        "answers": {"en": ["{number} is on its way."]},
        "without_slots": {"en": ["It is on its way."]},
        "quick_replies": {"en": ["Cancel it", {"title": "A person", "payload": "/human"}]},
        "handoff": True,
        "cases": [
            {
                "when": {"channel": "sms", "slots": {"number": "LY-000001"}},
                "answers": {"en": ["{number}: on its way"]},
                "without_slots": {},
                "quick_replies": {"en": [{"title": "A person", "payload": "/human"}]},
            }
        ],
    }
    intent = parse_intent("status", said, SLOTS)
    assert as_mapping(intent) == said
    assert parse_intent("status", as_mapping(intent), SLOTS) == intent


def test_a_bare_text_is_one_variant_and_stands_for_english_where_no_language_is_named() -> None:
    intent = parse_intent("hi", {"description": "Hello", "answers": {"en": "Hi!"}}, {})
    assert intent.answers == {"en": ("Hi!",)}
    assert intent.description == {"en": "Hello"}


@pytest.mark.parametrize(
    ("name", "said", "part"),
    [
        ("x", [], "expected a mapping"),
        ("x", {"answer": {}}, "unknown key 'answer'"),
        ("x", {"name": "y"}, "unknown key 'name'"),
        ("x", {"answers": ["Hi"]}, "a list of texts a language"),
        ("x", {"answers": {"en": [5]}}, "a text of 1 to"),
        ("x", {"answers": {"en": ["  "]}}, "a text of 1 to"),
        ("x", {"answers": {"en": ["a"] * 51}}, "at most 50"),
        ("x", {"answers": {"English": ["a"]}}, "a language is a tag"),
        ("x", {"answers": {"en": ["{nobody}"]}}, "{nobody}, which is no slot"),
        ("x", {"without_slots": {"en": ["{number}"]}}, "said without slots"),
        ("x", {"quick_replies": {"en": ["{number}"]}}, "said without slots"),
        ("x", {"quick_replies": {"en": [{"title": "{number}"}]}}, "said without slots"),
        ("x", {"quick_replies": {"en": [{"payload": "/x"}]}}, "a text of 1 to"),
        ("x", {"quick_replies": {"en": [{"title": "a", "url": "b"}]}}, "unknown key 'url'"),
        ("x", {"quick_replies": {"en": ["a"] * 51}}, "at most 50"),
        ("x", {"cases": {}}, "each with `when`"),
        ("x", {"cases": [{"answers": {"en": ["a"]}}]}, "expected a mapping with channel, slots"),
        ("x", {"cases": [{"when": {}, "answers": {"en": ["a"]}}]}, "names no condition"),
        ("x", {"cases": [{"when": {"channel": "web"}}]}, "nothing is said"),
        ("x", {"cases": [{"when": {"channel": "w" * 51}}]}, "at most 50"),
        ("x", {"cases": [{"when": {"slots": {"plan": "gold"}}}]}, "'plan', which is no slot"),
        ("x", {"cases": [{"when": {"slots": {"number": True}}}]}, "the value of a slot is a text"),
        (
            "x",
            {"cases": [{"when": {"channel": "web"}, "answers": {"en": ["{nobody}"]}}]},
            "{nobody}, which is no slot",
        ),
        ("x", {"handoff": "yes"}, "true or false"),
        ("", {}, "printable characters"),
        ("a\nb", {}, "printable characters"),
        ("x" * 101, {}, "printable characters"),
        (5, {}, "printable characters"),
        ("oos", {}, "kept for questions out of scope"),
    ],
)
def test_a_wrong_intent_is_refused_with_the_reason(name: Any, said: Any, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_intent(name, said, SLOTS)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said", "part"),
    [
        ("n", {}, "`pattern` must be a text"),
        ("n", {"pattern": "("}, "no regular expression"),
        ("n", {"pattern": "a*"}, "must not match an empty text"),
        ("n", {"pattern": "a" * 4001}, "`pattern` must be a text"),
        ("n", {"pattern": "(a+)+$"}, "repeats a repetition without an end"),
        ("n", {"pattern": "a", "synonyms": ["b"]}, "lines `word: value`"),
        ("n", {"pattern": "a", "synonyms": {"b": None}}, "the value of a slot is a text"),
        ("n", {"pattern": "a", "ask": 5}, "a text a language"),
        ("order number", {"pattern": "a"}, "a name is a letter"),
    ],
)
def test_a_wrong_slot_is_refused_with_the_reason(name: str, said: Any, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_slot(name, said)
    assert part in str(caught.value)


def test_of_two_values_the_later_corrects_the_earlier() -> None:
    assert NUMBER.find("not LY-111111 but LY-222222") == "LY-222222"
    assert NUMBER.find("no number") is None


def test_the_rest_of_a_message_is_what_is_no_slot_value() -> None:
    book = AnswerBook(slots=SLOTS)
    assert book.find_slots("LY-123456!") == {"number": "LY-123456"}
    assert book.without_values("LY-123456!").strip() == "!"


def test_a_title_falls_back_to_another_language_and_then_to_the_name() -> None:
    intent = parse_intent("order_status", {"description": {"zh": "在哪"}}, {})
    assert intent.title("en") == "在哪"
    assert parse_intent("order_status", {}, {}).title("en") == "Order status"


def test_placeholders_are_named_once_and_in_order() -> None:
    assert placeholders("{b} {a} {b} {} { c }") == ("b", "a")


def test_a_synonym_stands_for_its_value_in_any_case_and_spacing() -> None:
    slot = parse_slot(
        "city",
        {"pattern": "(?i:new\\s+york|big\\s+apple)", "synonyms": {"Big Apple": "New York"}},
    )
    assert slot.find("to the big  APPLE") == "New York"
    assert slot.find("to new york") == "new york"


CASES = {
    "answers": {"en": ["Plain."], "zh": ["普通。"]},
    "quick_replies": {"en": ["Cancel it"]},
    "cases": [
        {"when": {"channel": "sms", "slots": {"number": "LY-1"}}, "answers": {"en": ["Both."]}},
        {"when": {"channel": "sms"}, "answers": {"en": ["Short."]}},
        {
            "when": {"slots": {"number": "LY-1"}},
            "answers": {"en": ["First!"]},
            "quick_replies": {"en": [{"title": "Person", "payload": "/human"}]},
        },
    ],
}


@pytest.mark.parametrize(
    ("channel", "values", "said"),
    [
        ("web", {}, "Plain."),
        ("sms", {}, "Short."),
        ("sms", {"number": "ly-1"}, "Both."),
        ("web", {"number": "LY-1"}, "First!"),
        ("web", {"number": "LY-2"}, "Plain."),
        ("SMS", {}, "Plain."),
    ],
)
def test_the_first_case_that_holds_is_said(channel: str, values: dict[str, str], said: str) -> None:
    intent = parse_intent("x", CASES, SLOTS)
    assert intent.in_case(channel, values).answers["en"] == (said,)


def test_what_a_case_does_not_say_stays() -> None:
    intent = parse_intent("x", CASES, SLOTS)
    on_sms = intent.in_case("sms", {})
    assert on_sms.answers["zh"] == ("普通。",)
    assert on_sms.quick_replies == {"en": (QuickReply("Cancel it", "Cancel it"),)}
    first = intent.in_case("web", {"number": "LY-1"})
    assert first.quick_replies == {"en": (QuickReply("Person", "/human"),)}


def test_an_intent_that_speaks_in_one_case_alone_can_be_answered() -> None:
    said = {"cases": [{"when": {"channel": "sms"}, "answers": {"en": ["Hi"]}}]}
    intent = parse_intent("x", said, {})
    assert intent.cases == (Case("sms", {}, {"en": ("Hi",)}),)
    assert AnswerBook({"x": intent}).hands_off == {"x": False}
    assert intent.in_case("web", {}).answers == {}
