"""What do articles say to a message, and what is said where no intent is sure of it?

Pure. The articles are searched with it; what they say, what the message means together with the
ones before it, and what the model guesses are weighed in domain.py and together.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.customer_service.answers import AnswerBook
from services.customer_service.compose import Composed, compose
from services.customer_service.context import unhelpful_run
from services.customer_service.domain import Decision, Evidence, Reading, decide_unsure
from services.customer_service.knowledge import Knowledge
from services.customer_service.store import Turn
from services.customer_service.together import Together
from services.customer_service.understanding import FloatArray
from services.customer_service.wording import (
    Voice,
    Wording,
    article_wording,
    own_wording,
    question_wording,
)


@dataclass(frozen=True)
class Look:
    """What the articles say to a text; `composed` None where there is nothing to quote."""

    composed: Composed | None
    evidence: Evidence


def look(knowledge: Knowledge, text: str, embedding: FloatArray | None, language: str) -> Look:
    """Search with a normalised text; `embedding` as `Knowledge.search` wants it."""
    found = knowledge.search(text, embedding)
    composed = compose(found.words, found.passages, found.bars.some, language)
    # Passages without a sentence to quote are no evidence.
    value = found.evidence if composed is not None else 0.0
    return Look(composed, Evidence(value, found.bars.some, found.bars.strong))


def sure_wording(seen: Look, voice: Voice) -> Wording | None:
    """What articles say that speak strongly to the text; None where none does."""
    if seen.composed is None or seen.evidence.value < seen.evidence.strong:
        return None
    return article_wording(Decision("retrieve"), seen.composed, voice)


def unsure_wording(
    seen: Look,
    reading: Reading,
    together: Together | None,
    turns: Sequence[Turn],
    book: AnswerBook,
    voice: Voice,
) -> Wording:
    """What is said; `turns`: the session, newest first."""
    last_action = turns[0].action if turns else None
    decision = decide_unsure(
        reading, book.hands_off, seen.evidence, last_action, unhelpful_run(turns)
    )
    composed = seen.composed
    if together is not None and together.outweighs(decision) and together.decision is not None:
        decision, composed = together.decision, together.composed
    if decision.action == "clarify":
        return question_wording(decision, book, voice)
    if decision.action == "retrieve" and composed is not None:
        return article_wording(decision, composed, voice)
    return own_wording(decision, book, voice)
