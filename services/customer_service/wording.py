"""Which words, buttons and sources does a decision become?

Pure. What an intent says comes from the company's templates, what articles say is quoted from
them, and the few phrases in between are our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.customer_service.answers import AnswerBook, Intent
from services.customer_service.compose import Composed, Source, join_sentences
from services.customer_service.domain import Action, Candidate, Decision
from services.customer_service.phrases import phrase
from services.customer_service.templates import in_language, render

ALTERNATIVES: Final = 3
Button = Mapping[str, str]


@dataclass(frozen=True)
class Voice:
    """In which language, and where that has no words, in which other one."""

    language: str
    fallback: str


@dataclass(frozen=True)
class Wording:
    """What is said. `intent` is the one whose own answer it is; `needed`: the slots that this
    answer has a place for."""

    action: Action
    text: str
    intent: str | None = None
    buttons: Sequence[Button] = ()
    sources: Sequence[Source] = ()
    needed: tuple[str, ...] = ()


def intent_wording(
    decision: Decision,
    book: AnswerBook,
    voice: Voice,
    slots: Mapping[str, str],
    seed: str,
    channel: str = "",
) -> Wording | None:
    """The answer of the decision's one intent on this channel; None where it has nothing to say."""
    intent = book.intents[decision.intents[0]].in_case(channel, slots)
    seed = f"{seed}\x1f{intent.name}"
    said = render(intent, voice.language, voice.fallback, slots, book.slots, seed)
    if said is None:
        return None
    replies = in_language(intent.quick_replies, voice.language, voice.fallback)
    return Wording(
        action=decision.action if said.asks is None else "ask_slot",
        text=said.text,
        intent=intent.name,
        buttons=[_button(reply.title, reply.payload) for reply in replies],
        needed=said.needed,
    )


def question_wording(decision: Decision, book: AnswerBook, voice: Voice) -> Wording:
    """The question back, with a button for each intent; beside a single one, a person."""
    intents = [book.intents[name] for name in decision.intents]
    buttons = [_button(i.title(voice.language), f"/{i.name}") for i in intents]
    if len(intents) == 1:
        text = phrase("confirm", voice.language, voice.fallback)
        buttons += [b for b in _person_button(book, voice) if b not in buttons]
    else:
        text = phrase("clarify", voice.language, voice.fallback)
    return Wording("clarify", text, buttons=buttons)


def article_wording(decision: Decision, composed: Composed, voice: Voice) -> Wording:
    """The composed answer; called a maybe where the evidence is not beyond chance."""
    text = composed.text
    if decision.hedged:
        text = join_sentences([phrase("maybe", voice.language, voice.fallback), text])
    return Wording("retrieve", text, sources=composed.sources)


def own_wording(decision: Decision, book: AnswerBook, voice: Voice) -> Wording:
    """Said where nobody's answer fits: that it is not known, or that a person takes over."""
    if decision.action == "handoff":
        return Wording("handoff", phrase("handoff", voice.language, voice.fallback))
    text = phrase("abstain", voice.language, voice.fallback)
    return Wording("abstain", text, buttons=_person_button(book, voice))


def body(
    wording: Wording,
    ranked: Sequence[Candidate],
    *,
    conversation_id: str,
    message_id: str,
    slots: Mapping[str, str],
    model_version: str,
) -> dict[str, Any]:
    """The answer as it is sent. `intent` is whose answer it is, else the model's best guess."""
    intent = wording.intent or (ranked[0].intent if ranked else None)
    # An intent that a button or a bare slot value chose is no guess.
    guessed = bool(ranked) and intent == ranked[0].intent
    confidence = ranked[0].probability if guessed else float(intent is not None)
    others = [c for c in ranked if c.intent != intent][:ALTERNATIVES]
    return {
        "conversation_id": conversation_id,
        "message_id": message_id,
        "action": wording.action,
        "text": wording.text,
        "intent": intent,
        "confidence": round(confidence, 4),
        "alternatives": [
            {"intent": c.intent, "confidence": round(c.probability, 4)} for c in others
        ],
        "buttons": [dict(button) for button in wording.buttons],
        "sources": [{"title": s.title, "url": s.url, "quote": s.quote} for s in wording.sources],
        "slots": dict(slots),
        "model_version": model_version,
    }


def named_intent(text: str, book: AnswerBook) -> str | None:
    """The intent of a button that was pressed: its payload is "/" and the name."""
    name = text.removeprefix("/")
    return name if name != text and name in book.hands_off else None


def _button(title: str, payload: str) -> dict[str, str]:
    return {"title": title, "payload": payload}


def _person_button(book: AnswerBook, voice: Voice) -> list[dict[str, str]]:
    """A way to a person, where an intent leads there."""
    leading: list[Intent] = [i for i in book.intents.values() if i.handoff and i.answers]
    title = phrase("person", voice.language, voice.fallback)
    return [_button(title, f"/{leading[0].name}")] if leading else []
