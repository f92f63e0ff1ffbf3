"""What is done about a message: the whole decision as a table."""

from __future__ import annotations

import pytest

from services.customer_service.domain import (
    Action,
    Candidate,
    Decision,
    Evidence,
    Reading,
    continued_intent,
    decide_by_intent,
    decide_unsure,
)

HANDS_OFF = {"order": False, "refund": False, "person": True}
NONE, SOME, STRONG = Evidence(0.1, 0.5, 0.8), Evidence(0.6, 0.5, 0.8), Evidence(0.9, 0.5, 0.8)


def reading(
    *ranked: tuple[str, float], chance: float = 0.5, pair: float = 0.5, sure: bool = False
) -> Reading:
    return Reading(tuple(Candidate(*each) for each in ranked), chance, pair, sure)


SURE_ORDER = reading(("order", 0.99), ("refund", 0.01), chance=0.99, pair=0.99, sure=True)
SURE_PERSON = reading(("person", 0.99), ("refund", 0.01), chance=0.99, pair=0.99, sure=True)
SURE_UNANSWERED = reading(("unknown", 0.99), ("refund", 0.01), chance=0.99, pair=0.99, sure=True)
CLOSE = reading(("order", 0.5), ("refund", 0.45), chance=0.5, pair=0.9)
LIKELY = reading(("order", 0.9), ("refund", 0.03), chance=0.85, pair=0.88)
VAGUE = reading(("order", 0.4), ("refund", 0.3), chance=0.3, pair=0.5)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(SURE_ORDER, Decision("answer", ("order",)), id="a sure intent answers"),
        pytest.param(SURE_PERSON, Decision("handoff", ("person",)), id="or hands over"),
        pytest.param(SURE_UNANSWERED, None, id="unless nobody wrote an answer"),
        pytest.param(LIKELY, None, id="a likely one does not"),
        pytest.param(reading(sure=True), None, id="nor does a model without intents"),
    ],
)
def test_a_sure_intent_decides_alone(said: Reading, expected: Decision | None) -> None:
    assert decide_by_intent(said, HANDS_OFF) == expected


RETRIEVE, MAYBE = Decision("retrieve"), Decision("retrieve", hedged=True)
ASK_BOTH, ASK_ONE = Decision("clarify", ("order", "refund")), Decision("clarify", ("order",))
ABSTAIN, HANDOFF = Decision("abstain"), Decision("handoff")


@pytest.mark.parametrize(
    ("said", "evidence", "last", "expected"),
    [
        # strong articles come before a question back, weak ones after it
        (CLOSE, STRONG, None, RETRIEVE),
        (CLOSE, SOME, None, ASK_BOTH),
        (CLOSE, NONE, None, ASK_BOTH),
        (LIKELY, NONE, None, ASK_ONE),
        (LIKELY, SOME, "answer", ASK_ONE),
        (VAGUE, STRONG, None, RETRIEVE),
        (VAGUE, SOME, None, MAYBE),
        (VAGUE, NONE, None, ABSTAIN),
        # no loops: a question back is asked once, and what does not help twice goes to a person
        (CLOSE, SOME, "clarify", MAYBE),
        (CLOSE, NONE, "clarify", HANDOFF),
        (VAGUE, NONE, "answer", ABSTAIN),
        (VAGUE, NONE, "abstain", HANDOFF),
        (VAGUE, NONE, "handoff", HANDOFF),
        (VAGUE, SOME, "abstain", MAYBE),
        (CLOSE, NONE, "abstain", ASK_BOTH),
        # an intent without an answer is never offered
        (SURE_UNANSWERED, NONE, None, ABSTAIN),
        (reading(("unknown", 0.5), ("refund", 0.45), chance=0.9, pair=0.9), NONE, None, ABSTAIN),
        (reading(("order", 0.5), ("unknown", 0.45), chance=0.9, pair=0.9), NONE, None, ASK_ONE),
        (reading(), NONE, None, ABSTAIN),
    ],
)
def test_what_is_done_where_no_intent_is_sure(
    said: Reading, evidence: Evidence, last: Action | None, expected: Decision
) -> None:
    assert decide_unsure(said, HANDS_OFF, evidence, last) == expected


def test_a_second_button_needs_an_intent_that_may_be_meant() -> None:
    far = reading(("order", 0.9), ("refund", 0.1), chance=0.85, pair=0.95)
    near = reading(("order", 0.8), ("refund", 0.17), chance=0.7, pair=0.95)
    assert decide_unsure(far, HANDS_OFF, NONE, None) == ASK_ONE
    assert decide_unsure(near, HANDS_OFF, NONE, None) == ASK_BOTH


@pytest.mark.parametrize(
    ("new", "last_intent", "needed", "expected"),
    [
        ({"number": "1"}, "order", ("number",), "order"),
        ({"number": "1"}, "order", ("email",), None),
        ({"number": "1"}, None, ("number",), None),
        ({}, "order", ("number",), None),
    ],
)
def test_a_bare_value_continues_the_intent_that_had_a_place_for_it(
    new: dict[str, str], last_intent: str | None, needed: tuple[str, ...], expected: str | None
) -> None:
    assert continued_intent(new, last_intent, needed) == expected
