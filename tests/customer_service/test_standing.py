"""What a customer hears of the person who takes over."""

from __future__ import annotations

import pytest

from services.customer_service.domain import Action
from services.customer_service.standing import (
    heard_by_a_person,
    needs_standing,
    reason_of,
    with_standing,
)
from services.customer_service.wording import Voice, Wording

EN, ZH = Voice("en", "en"), Voice("zh", "en")
BUTTONS = [{"title": "Talk to a person", "payload": "/talk_to_human"}]


@pytest.mark.parametrize(
    ("action", "new", "waiting"),
    [
        ("answer", False, False),
        ("ask_slot", False, False),
        ("call", False, False),
        ("retrieve", False, False),
        ("clarify", False, True),
        ("abstain", False, True),
        ("handoff", True, True),
    ],
)
def test_the_person_is_spoken_of_where_nothing_sure_is_said(
    action: Action, new: bool, waiting: bool
) -> None:
    wording = Wording(action, "x")
    assert needs_standing(wording, waiting=False) == new
    assert needs_standing(wording, waiting=True) == waiting


def test_a_new_hand_over_keeps_its_words_and_adds_when_somebody_comes() -> None:
    wording = Wording("handoff", "Passing it on.", intent="talk", buttons=BUTTONS)
    assert with_standing(wording, None, None, EN) == wording
    told = with_standing(wording, None, "Soon.", EN)
    assert (told.text, told.intent) == ("Passing it on. Soon.", "talk")


def test_who_is_in_line_hears_the_place_and_gets_no_button_to_a_person() -> None:
    told = with_standing(Wording("abstain", "No idea.", buttons=BUTTONS), 3, "很快。", ZH)
    assert (told.action, list(told.buttons)) == ("handoff", [])
    assert told.text == "您正在排队等候人工客服（第3位），同事能看到您写的内容。很快。"


def test_a_message_that_a_person_reads_is_acknowledged_in_its_language() -> None:
    assert heard_by_a_person(EN).text.startswith("A colleague is reading along")
    assert heard_by_a_person(ZH).text.startswith("同事")


def test_the_reason_is_what_led_to_the_person() -> None:
    hands_off = {"talk": True, "order": False}
    said = [
        reason_of(Wording("handoff", "x", intent=i), hands_off) for i in ("talk", "order", None)
    ]
    assert said == ["asked", "failed", "unsure"]
