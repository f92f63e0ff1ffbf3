"""What comes of a message that was read together with what it leans on?

Pure. An intent that the two together are sure of, or what articles say of both: passages that say
what is new in the message, no others. Where neither is certain the message stands alone, and the
articles may still add a maybe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.customer_service.answers import AnswerBook, Intent
from services.customer_service.compose import Composed, compose
from services.customer_service.domain import Decision, by_name
from services.customer_service.evidence import words_of
from services.customer_service.followups import Joined, Kind, joined_intent, prefer
from services.customer_service.knowledge import Found
from services.customer_service.store import Turn


@dataclass(frozen=True)
class Together:
    """`decision`: of a sure intent, or a retrieve, hedged where the evidence is not beyond chance;
    `composed`: what is quoted then."""

    kind: Kind | None
    decision: Decision | None = None
    composed: Composed | None = None

    @property
    def intent(self) -> str | None:
        """The sure intent, None where there is none."""
        return self.decision.intents[0] if self.decision and self.decision.intents else None

    def outweighs(self, alone: Decision) -> bool:
        """Whether what articles say of both is said instead of what the message alone would get."""
        if self.decision is None or self.composed is None:
            return False
        if not self.decision.hedged:
            # A word or two may be a topic of its own, and then articles know it.
            return self.kind != "bare" or alone != Decision("retrieve")
        return alone.action == "abstain" or (alone.hedged and self.kind != "bare")


def decide_together(
    joined: Joined, found: Found, book: AnswerBook, language: str, turns: Sequence[Turn]
) -> Together:
    """What to do about a message that is not sure alone.

    `found`: what a search with the joined text gave; `turns`: the session, newest first.
    """
    passages = prefer(found.passages, joined.added, found.words)
    strongest = max((p.strength for p in passages), default=0.0)
    composed = compose(found.words, passages, found.bars.some, language)
    if composed is not None and _said_before(composed, turns):
        composed = None
    reading = joined.reading
    first = reading.ranked[0].intent if reading.ranked else ""
    says = {first: _words_of(book.intents[first])} if first in book.hands_off else {}
    intent = joined_intent(joined, says, strongest >= found.bars.some)
    strong = composed is not None and strongest >= found.bars.strong
    # The same answer again is worth less than the detail that was asked for.
    if intent is not None and not (strong and intent == joined.before):
        return Together(joined.kind, by_name(intent, book.hands_off))
    if composed is None:
        return Together(joined.kind)
    return Together(joined.kind, Decision("retrieve", hedged=not strong), composed)


def _said_before(composed: Composed, turns: Sequence[Turn]) -> bool:
    return bool(turns) and composed.text in str(turns[0].reply.get("text", ""))


def _words_of(intent: Intent) -> frozenset[str]:
    """What an intent's own answers speak of."""
    texts = [text for texts in intent.answers.values() for text in texts]
    return words_of(" ".join([*texts, *intent.description.values()]))
