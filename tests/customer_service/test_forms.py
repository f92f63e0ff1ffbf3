"""What a form does with a message: the whole decision as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_service.domain import Decision
from services.customer_service.forms import (
    MAX_FREE_TEXT,
    MAX_REPEATS,
    Form,
    FormField,
    Heard,
    OpenForm,
    Step,
    next_step,
)

ASK = {"en": "?"}
REPAIR = Form(
    (
        FormField("number", ASK, pattern=r"LY-\d"),
        FormField("product", ASK, one_of=("Glow", "Beam")),
        FormField("fault", ASK),
    ),
    confirm={"en": "Right?"},
)
RETURN = Form((FormField("number", ASK),))
CHOICE = Form((FormField("reason", ASK, one_of=("Too small", "Broken")),))
FORMS = {"repair": REPAIR, "return": RETURN, "choice": CHOICE}
FREE = {"fault", "reason"}
GREET, REFUND = Decision("answer", ("greeting",)), Decision("answer", ("refund",))
PERSON, BEGIN = Decision("handoff", ("person",)), Decision("answer", ("repair",))
ALL = {"number": "LY-1", "product": "Beam", "fault": "dark"}


def step(
    text: str,
    opened: OpenForm | None = None,
    decision: Decision | None = None,
    new: Mapping[str, str] | None = None,
    known: Mapping[str, str] | None = None,
) -> Step | None:
    new = new or {}
    heard = Heard(
        text=text,
        decision=decision,
        new=new,
        known={**(known or {}), **new},
        bare=text in new.values(),
        free=FREE,
    )
    return next_step(heard, opened, FORMS)


def asked(slot: str, repeats: int = 0, back: bool = False) -> OpenForm:
    return OpenForm("repair", slot, repeats, back)


def shown(step: Step | None) -> Any:
    """(what it does, what is asked, what was wrong)."""
    return None if step is None else (step.does, step.opened and step.opened.asked, step.problem)


@pytest.mark.parametrize(
    ("decision", "new", "expected"),
    [
        (None, {}, None),
        (GREET, {"number": "LY-1"}, None),
        (BEGIN, {}, ("ask", "number", "")),
        (BEGIN, {"number": "LY-1"}, ("ask", "product", "")),
        (BEGIN, {"product": "glow"}, ("ask", "number", "")),
        (BEGIN, {"number": "LY-1", "product": "beam"}, ("ask", "fault", "")),
        (BEGIN, {"number": "XX-1"}, ("ask", "number", "invalid")),
        (Decision("answer", ("return",)), {"number": "LY-1"}, ("finish", None, "")),
    ],
)
def test_a_form_begins_with_the_first_slot_that_is_missing(
    decision: Decision | None, new: dict[str, str], expected: Any
) -> None:
    assert shown(step("I have a problem", decision=decision, new=new)) == expected


@pytest.mark.parametrize(
    ("text", "opened", "decision", "new", "expected"),
    [
        # values
        ("LY-1", asked("number"), None, {"number": "LY-1"}, ("ask", "product", "")),
        ("LY-1", asked("number"), GREET, {"number": "LY-1"}, ("ask", "product", "")),
        ("my LY-1", asked("number"), REFUND, {"number": "LY-1"}, ("ask", "product", "")),
        ("a glow", asked("number"), None, {"product": "glow"}, ("ask", "number", "nothing")),
        ("XX-1", asked("number"), None, {"number": "XX-1"}, ("ask", "number", "invalid")),
        ("hm", asked("number"), None, {}, ("ask", "number", "nothing")),
        ("repair it", asked("number"), BEGIN, {}, ("ask", "number", "nothing")),
        # free text is whatever is written
        ("hello", asked("fault"), GREET, {}, ("ask", "number", "")),
        ("a person broke it", asked("fault"), PERSON, {}, ("ask", "number", "")),
        # leaving
        ("Cancel.", asked("number"), None, {}, ("leave", None, "")),
        ("never mind!", asked("fault"), None, {}, ("leave", None, "")),
        ("算了吧", asked("number"), GREET, {}, ("leave", None, "")),
        ("cancel my order", asked("number"), None, {}, ("ask", "number", "nothing")),
        # no loops
        ("hm", asked("number", MAX_REPEATS - 1), None, {}, ("ask", "number", "nothing")),
        ("hm", asked("number", MAX_REPEATS), None, {}, ("give_up", None, "nothing")),
        (
            "XX-1",
            asked("number", MAX_REPEATS),
            None,
            {"number": "XX-1"},
            ("give_up", None, "invalid"),
        ),
        # something else
        ("hello", asked("number"), GREET, {}, ("interrupt", "number", "")),
        ("hello", asked("number", back=True), GREET, {}, None),
        ("a human", asked("number"), PERSON, {}, None),
        ("a human for LY-1", asked("number"), PERSON, {"number": "LY-1"}, None),
        ("return", asked("number"), Decision("answer", ("return",)), {}, ("ask", "number", "")),
    ],
)
def test_an_open_form_takes_repeats_yields_or_ends(
    text: str, opened: OpenForm, decision: Decision | None, new: dict[str, str], expected: Any
) -> None:
    assert shown(step(text, opened, decision, new)) == expected


@pytest.mark.parametrize(
    ("text", "repeats", "decision", "new", "expected"),
    [
        ("Yes", 0, None, {}, ("finish", None, "")),
        ("ok", 0, GREET, {}, ("finish", None, "")),
        ("是的", 0, None, {}, ("finish", None, "")),
        ("No", 0, None, {}, ("confirm", "", "no")),
        ("LY-2", 0, None, {"number": "LY-2"}, ("confirm", "", "")),
        ("no, XX-2", 0, None, {"number": "XX-2"}, ("ask", "number", "invalid")),
        ("yes but tomorrow", 0, None, {}, ("confirm", "", "nothing")),
        ("hm", MAX_REPEATS, None, {}, ("give_up", None, "nothing")),
        ("no", MAX_REPEATS, None, {}, ("give_up", None, "no")),
        ("hello", 0, GREET, {}, ("interrupt", "", "")),
    ],
)
def test_the_end_waits_for_a_plain_yes(
    text: str, repeats: int, decision: Decision | None, new: dict[str, str], expected: Any
) -> None:
    assert shown(step(text, asked("", repeats), decision, new, ALL)) == expected


def test_a_button_begins_its_form_anew_or_interrupts() -> None:
    pressed = Heard("/repair", BEGIN, pressed=True, free=FREE)
    assert shown(next_step(pressed, asked("product", 1), FORMS)) == ("ask", "number", "")
    other = Heard("/greeting", GREET, pressed=True, free=FREE)
    assert shown(next_step(other, asked("fault"), FORMS)) == ("interrupt", "fault", "")


def test_a_form_that_was_edited_away_is_forgotten() -> None:
    assert step("hm", OpenForm("gone", "number")) is None
    assert step("hm", OpenForm("repair", "colour")) is None
    assert step("hm", OpenForm("return", "")) is None


def test_a_choice_is_found_inside_a_sentence_and_else_another_intent_may_be_meant() -> None:
    opened = OpenForm("choice", "reason")
    taken = step("it was TOO SMALL for me", opened)
    assert taken is not None
    assert (taken.does, taken.values) == ("finish", {"reason": "Too small"})
    assert shown(step("hello", opened, GREET)) == ("interrupt", "reason", "")


def test_a_value_that_is_not_allowed_is_not_kept() -> None:
    wrong = step("XX-1", asked("number"), new={"number": "XX-1"})
    assert wrong is not None
    assert wrong.values == {}


def test_free_text_of_an_earlier_form_is_asked_anew() -> None:
    begun = step("repair", decision=BEGIN, known=ALL)
    assert begun is not None
    assert begun.opened == asked("fault")
    assert begun.values == {"number": "LY-1", "product": "Beam"}


def test_a_number_alone_is_no_description() -> None:
    known = {"number": "LY-1", "product": "Beam"}
    taken = step("LY-2", asked("fault"), new={"number": "LY-2"}, known=known)
    assert taken is not None
    assert taken.does == "ask"
    assert taken.values == {"number": "LY-2", "product": "Beam"}
    assert taken.opened == asked("fault", 1)


def test_free_text_is_bounded() -> None:
    taken = step("x" * 3000, asked("fault"), known={"number": "LY-1", "product": "Beam"})
    assert taken is not None
    assert taken.values["fault"] == "x" * MAX_FREE_TEXT


def test_a_value_ends_the_count_of_repeats_and_interruptions() -> None:
    taken = step("LY-1", asked("number", MAX_REPEATS, back=True), new={"number": "LY-1"})
    assert taken is not None
    assert taken.opened == asked("product")


@given(st.lists(st.text(min_size=1, max_size=20), min_size=3, max_size=8))
def test_no_form_asks_one_question_more_than_three_times_in_a_row(texts: list[str]) -> None:
    opened: OpenForm | None = asked("number")
    asks = 1
    for text in texts:
        found = step(text, opened)
        opened = None if found is None else found.opened
        if opened is None:
            break
        asks += 1
    assert asks <= 1 + MAX_REPEATS
