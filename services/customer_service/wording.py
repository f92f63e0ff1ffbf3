"""Which words, buttons and sources does a decision become?

Pure. What an intent says comes from the company's templates, what articles say is quoted from
them, and the few phrases in between are our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.customer_service.answers import AnswerBook, Intent
from services.customer_service.compose import Composed, Source, join_sentences
from services.customer_service.domain import Action, Candidate, Decision
from services.customer_service.forms import OpenForm, Step
from services.customer_service.phrases import Phrase, phrase
from services.customer_service.templates import fill, fullest, in_language, render

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
    answer has a place for; `opened`: the form that it leaves open; `parts`: of several questions
    in one message, what was done about each (parts.py)."""

    action: Action
    text: str
    intent: str | None = None
    buttons: Sequence[Button] = ()
    sources: Sequence[Source] = ()
    needed: tuple[str, ...] = ()
    opened: OpenForm | None = None
    parts: Sequence[Mapping[str, Any]] = ()


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
    return Wording(
        action=decision.action if said.asks is None else "ask_slot",
        text=said.text,
        intent=intent.name,
        buttons=_quick_replies(intent, voice),
        # A form asks anew by itself: a value that comes after its end changes nothing.
        needed=() if intent.form is not None else said.needed,
    )


def call_wording(
    decision: Decision,
    book: AnswerBook,
    voice: Voice,
    slots: Mapping[str, str],
    facts: Mapping[str, str] | None,
    seed: str,
    channel: str = "",
) -> Wording:
    """What a company's webhook gave (`facts`) in the words of the intent, or of the first case that
    holds; a hand-over where it gave nothing (None), or not what the words need."""
    intent = book.intents[decision.intents[0]].in_case(channel, slots)
    call, text = intent.call, None
    assert call is not None, "an intent that was called for has a call"
    if facts is not None:
        case = call.case(facts)
        answers = intent.answers if case is None else case.answers
        text = fullest(
            in_language(answers, voice.language, voice.fallback),
            {**slots, **{key: facts[key] for key in call.replies if key in facts}},
            f"{seed}\x1f{intent.name}",
        )
    if text is None:
        said = phrase("call_failed", voice.language, voice.fallback)
        return Wording("handoff", said, intent=intent.name)
    return Wording(
        action="handoff" if decision.action == "handoff" else "call",
        text=text,
        intent=intent.name,
        buttons=_quick_replies(intent, voice),
        needed=() if intent.form is not None else call.slots,
    )


def form_wording(step: Step, book: AnswerBook, voice: Voice) -> Wording:
    """What a form says while it is open, when it is left, and when it gets no further."""

    def own(name: Phrase) -> str:
        return phrase(name, voice.language, voice.fallback)

    if step.does == "leave":
        return Wording("answer", own("left"), intent=step.intent)
    if step.does == "give_up":
        return Wording("handoff", own("give_up"), intent=step.intent)
    question, buttons = _form_question(step, book, voice)
    told = {"invalid": _invalid(step, book, voice), "nothing": own("nothing")}.get(step.problem)
    if step.problem == "no":
        question = own("instead")
    text = question if told is None else join_sentences([told, question])
    return Wording("ask_slot", text, step.intent, buttons, opened=step.opened)


def returning(wording: Wording, step: Step, book: AnswerBook, voice: Voice) -> Wording:
    """The answer to something else, and behind it the question of the form that it interrupted."""
    question, buttons = _form_question(step, book, voice)
    back = phrase("back", voice.language, voice.fallback)
    text = f"{wording.text}\n\n{join_sentences([back, question])}"
    return replace(wording, text=text, buttons=buttons, needed=(), opened=step.opened)


def _form_question(step: Step, book: AnswerBook, voice: Voice) -> tuple[str, list[Button]]:
    form, opened = book.intents[step.intent].asks, step.opened
    assert form is not None and opened is not None, "a step that asks has a form"
    asked = form.of(opened.asked)
    if asked is None:
        confirm = _in_voice(form.confirm, voice)
        titles = [phrase(name, voice.language, voice.fallback) for name in ("yes", "no")]
        return fill(confirm, step.values), [_button(title, title) for title in titles]
    ask = asked.ask or book.slots[asked.slot].ask
    return _in_voice(ask, voice), [_button(one, one) for one in asked.one_of]


def _invalid(step: Step, book: AnswerBook, voice: Voice) -> str:
    form, opened = book.intents[step.intent].asks, step.opened
    asked = None if form is None or opened is None else form.of(opened.asked)
    own = {} if asked is None else asked.invalid
    return _in_voice(own, voice) or phrase("invalid", voice.language, voice.fallback)


def _in_voice(texts: Mapping[str, str], voice: Voice) -> str:
    found = texts.get(voice.language) or texts.get(voice.fallback)
    return found or next(iter(texts.values()), "")


def _quick_replies(intent: Intent, voice: Voice) -> list[Button]:
    replies = in_language(intent.quick_replies, voice.language, voice.fallback)
    return [_button(reply.title, reply.payload) for reply in replies]


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
        "parts": [dict(part) for part in wording.parts],
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
    leading: list[Intent] = [
        i for i in book.intents.values() if i.handoff and i.answers and i.asks is None
    ]
    title = phrase("person", voice.language, voice.fallback)
    return [_button(title, f"/{leading[0].name}")] if leading else []
