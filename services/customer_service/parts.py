"""How do the answers to several questions of one message become one?

Pure. In the order of the questions, with an empty line between them; the first one's intent and
action are those of the whole, but a hand-over is one for the whole message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.customer_service.compose import Composed
from services.customer_service.conversations import asks
from services.customer_service.domain import Decision, Evidence
from services.customer_service.phrases import phrase
from services.customer_service.several import MOST_ANSWERS
from services.customer_service.wording import Button, Voice, Wording, article_wording

_LONGEST_QUOTE: Final = 100  # characters of a question that is left open
_MOST_BUTTONS: Final = 5


@dataclass(frozen=True)
class PartSaid:
    """A question in the customer's words, and what is said to it."""

    text: str
    wording: Wording


def left_over(
    text: str, composed: Composed | None, evidence: Evidence, voice: Voice
) -> Wording | None:
    """What is said to a part that no intent is sure of: what the articles say, else that it is left
    open; None for one that asks nothing."""
    asked = asks(text)
    strong = evidence.value >= evidence.strong
    if composed is not None and (strong or (asked and evidence.value >= evidence.some)):
        return article_wording(Decision("retrieve", hedged=not strong), composed, voice)
    if not asked:
        return None
    quote = text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"
    said = phrase("left_open", voice.language, voice.fallback).replace("{question}", quote)
    return Wording("abstain", said)


def merged(said: Sequence[PartSaid]) -> Wording:
    """One answer of several, at least one of them an intent's, in order."""
    kept = _fitting(said)
    wordings = [each.wording for each in kept]
    first = next(w for w in wordings if w.intent is not None)
    asking = next((w for w in wordings if w.action == "ask_slot"), first)
    handed = any(w.action == "handoff" for w in wordings)
    buttons: list[Button] = []
    for button in (button for w in wordings for button in w.buttons):
        if button not in buttons and len(buttons) < _MOST_BUTTONS:
            buttons.append(button)
    return Wording(
        "handoff" if handed else first.action,
        "\n\n".join(w.text for w in wordings),
        intent=first.intent,
        buttons=buttons,
        sources=[source for w in wordings for source in w.sources],
        needed=asking.needed,
        parts=tuple(_part(each) for each in kept),
    )


def _fitting(said: Sequence[PartSaid]) -> list[PartSaid]:
    """At most MOST_ANSWERS; what is sure comes before what is not, the order stays."""
    sure = [each for each in said if each.wording.intent is not None][:MOST_ANSWERS]
    rest = [each for each in said if each.wording.intent is None]
    chosen = [*sure, *rest[: MOST_ANSWERS - len(sure)]]
    return [each for each in said if each in chosen]


def _part(said: PartSaid) -> Mapping[str, Any]:
    return {"text": said.text, "action": said.wording.action, "intent": said.wording.intent}
