"""What should be done about one message?

Pure. The model has read the message (`Reading`); where no intent is sure, the knowledge base was
searched (`Evidence`). The functions here choose one typed action, the first that applies:

    answer     the intent is sure enough: its own answer
    handoff    the intent is sure, and says that a person takes over
    ask_slot   the intent is sure, and its answer needs something that was not said (forms.py)
    call       the intent is sure, and a company's webhook gave what its answer says
    retrieve   the articles speak strongly to the question
    clarify    an intent is likely, or two are: one question back, with a button for each
    retrieve   the articles speak to the question
    handoff    the turn before did not help either, or the two before brought maybes or questions
    abstain    nothing is known: say so, and offer a person

An automatic answer is what `answer` gives: the promise about wrong answers (risk.py) is about
those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Action = Literal["answer", "clarify", "retrieve", "ask_slot", "call", "handoff", "abstain"]

# A question back costs the customer a turn: it is worth that where four times in five one of its
# buttons is what was meant.
WORTH_ASKING: Final = 0.8
# A second button for an intent that is hardly ever meant would only puzzle.
SECOND_CHOICE: Final = 0.2
# Maybes, questions back and refusals in a row; who got no help from so many gets a person.
MOST_UNHELPFUL: Final = 2
# After one of these, the next message that nothing answers goes to a person.
_UNHELPFUL: Final = frozenset({"abstain", "clarify", "handoff"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """An intent and its probability."""

    intent: str
    probability: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model says of one message.

    `ranked`: intents, most probable first. `chance`: that the first is right; `pair_chance`: that
    the first or the second is (both fitted in risk.py). `sure`: whether answering with the first
    keeps the promise.
    """

    ranked: tuple[Candidate, ...]
    chance: float
    pair_chance: float
    sure: bool


NOTHING_READ: Final = Reading((), 0.0, 0.0, sure=False)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How strongly the knowledge base speaks to the message, and from where on that means
    something (`some`) or is beyond chance (`strong`)."""

    value: float
    some: float
    strong: float


NO_EVIDENCE: Final = Evidence(0.0, math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Decision:
    """`intents`: whose answer is given (one), or what is asked back (one or two), else empty.
    `hedged`: what is said should be called a maybe."""

    action: Action
    intents: tuple[str, ...] = ()
    hedged: bool = False


def decide_by_intent(reading: Reading, hands_off: Mapping[str, bool]) -> Decision | None:
    """The answer of a sure intent; None: search the knowledge base, then `decide_unsure`.

    `hands_off`: each intent that has an answer, and whether a person takes over after it. An
    intent that the model knows and nobody has written an answer for decides nothing.
    """
    if reading.sure and reading.ranked and reading.ranked[0].intent in hands_off:
        return by_name(reading.ranked[0].intent, hands_off)
    return None


def by_name(intent: str, hands_off: Mapping[str, bool]) -> Decision:
    """What an intent that is known for certain does."""
    return Decision("handoff" if hands_off[intent] else "answer", (intent,))


def decide_unsure(
    reading: Reading,
    hands_off: Mapping[str, bool],
    evidence: Evidence,
    last_action: Action | None,
    unhelpful: int = 0,
) -> Decision:
    """What to do where no intent is sure. `last_action` is that of the turn before, `unhelpful` how
    many turns in a row helped nobody until now."""
    if evidence.value >= evidence.strong:
        return Decision("retrieve")
    if unhelpful >= MOST_UNHELPFUL:
        return Decision("handoff")
    asked = _worth_asking(reading, hands_off)
    # Asked once and still unclear: a second question back would be a loop.
    if asked and last_action != "clarify":
        return Decision("clarify", asked)
    if evidence.value >= evidence.some:
        return Decision("retrieve", hedged=True)
    return Decision("handoff" if last_action in _UNHELPFUL else "abstain")


def _worth_asking(reading: Reading, hands_off: Mapping[str, bool]) -> tuple[str, ...]:
    """The intents to ask back about, none where that is not worth a turn."""
    known = [candidate for candidate in reading.ranked[:2] if candidate.intent in hands_off]
    if len(known) == 2 and known[1].probability >= SECOND_CHOICE * known[0].probability:
        return (known[0].intent, known[1].intent) if reading.pair_chance >= WORTH_ASKING else ()
    if not known or known[0] != reading.ranked[0] or reading.chance < WORTH_ASKING:
        return ()
    return (known[0].intent,)


def continued_intent(
    new_slots: Mapping[str, str], last_intent: str | None, last_needed: Sequence[str]
) -> str | None:
    """The intent that a slot's value continues, such as an order number sent on its own.

    `last_needed`: slots that the last answer had a place for. None where the value is not one of
    those.
    """
    return last_intent if last_intent and set(new_slots) & set(last_needed) else None
