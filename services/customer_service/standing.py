"""What is a customer told about the person who takes over?

Pure. `position` is the customer's place in line, None where the conversation is in none;
`expected` says when somebody comes, None where the company has set no business hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from services.customer_service.compose import join_sentences
from services.customer_service.handoff import ASKED, FAILED, UNSURE
from services.customer_service.phrases import phrase
from services.customer_service.wording import Voice, Wording

# What the bot says where it is not sure; to somebody in line it says where they stand instead.
_UNSURE: Final = frozenset({"clarify", "abstain", "handoff"})


def needs_standing(wording: Wording, waiting: bool) -> bool:
    """Whether anything is to be said of the person who takes over."""
    return wording.action == "handoff" or (waiting and wording.action in _UNSURE)


def with_standing(
    wording: Wording, position: int | None, expected: str | None, voice: Voice
) -> Wording:
    """The words of a turn that `needs_standing`."""
    more = [] if expected is None else [expected]
    if position is None:
        return replace(wording, text=join_sentences([wording.text, *more])) if more else wording
    said = phrase("in_line", voice.language, voice.fallback).format(position=position)
    return Wording("handoff", join_sentences([said, *more]))


def heard_by_a_person(voice: Voice) -> Wording:
    """To a message that a person will answer; whoever stores it sees to it that this is said once
    (`Turn.tells`)."""
    return Wording("handoff", phrase("reading_along", voice.language, voice.fallback))


def reason_of(wording: Wording, hands_off: Mapping[str, bool]) -> str:
    """Why a person is needed, where one is. `hands_off`: as `AnswerBook.hands_off`."""
    if wording.intent is None:
        return UNSURE
    return ASKED if hands_off.get(wording.intent) else FAILED
