"""What is said to a message that speaks to the conversation itself?

Pure. Yes and no, thanks and abuse, and "that's wrong": what they mean lies in the turns before, not
in a model. Each function says None where the message is something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.customer_service.answers import AnswerBook
from services.customer_service.context import (
    asked_one,
    denied_before,
    offered,
    ruled_out,
    run_of,
    talk_before,
    unhelpful_run,
)
from services.customer_service.corrections import agrees, denies
from services.customer_service.domain import MOST_UNHELPFUL, Decision
from services.customer_service.phrases import Phrase, phrase
from services.customer_service.small_talk import Talk, small_talk
from services.customer_service.store import Turn
from services.customer_service.wording import Button, Voice, Wording, own_wording, question_wording

# More choices than two puzzle.
_CHOICES = 2
_SAID: dict[Talk, Phrase] = {
    "greeting": "greeting",
    "thanks": "thanks",
    "goodbye": "goodbye",
    "nod": "nod",
    "abuse": "abuse",
}


def spoken_to(
    text: str, turns: Sequence[Turn], book: AnswerBook, voice: Voice
) -> tuple[str | None, Wording | None]:
    """(the intent that a yes chooses, what is said to a no or to repeated abuse); at most one of
    the two, neither where the message has to be read."""
    chosen = chosen_by_yes(text, turns, book)
    if chosen is not None:
        return chosen, None
    return None, (reply_to_no(text, turns, book, voice) or reply_to_abuse(text, turns, book, voice))


def chosen_by_yes(text: str, turns: Sequence[Turn], book: AnswerBook) -> str | None:
    """The intent that the bot asked about and the customer says yes to."""
    asked = asked_one(turns[0]) if turns and agrees(text) else None
    return asked if asked in book.hands_off else None


def reply_to_no(text: str, turns: Sequence[Turn], book: AnswerBook, voice: Voice) -> Wording | None:
    """An apology with the next likely choices, once; then a person takes over."""
    if not turns or not denies(text):
        return None
    last = turns[0]
    if talk_before(turns) is not None:
        # "Is there anything else?" "No."
        return _say("nod", voice)
    if last.action == "handoff":
        return None
    spent = last.action == "abstain" or denied_before(turns)
    if spent or unhelpful_run(turns) >= MOST_UNHELPFUL:
        return own_wording(Decision("handoff"), book, voice)
    choices = _choices(turns, book)
    if not choices:
        said = own_wording(Decision("abstain"), book, voice)
        return replace(said, text=phrase("sorry_none", voice.language, voice.fallback))
    sorry: Phrase = "sorry" if len(choices) > 1 else "sorry_one"
    asked = question_wording(Decision("clarify", choices), book, voice)
    return replace(asked, text=phrase(sorry, voice.language, voice.fallback))


def _choices(turns: Sequence[Turn], book: AnswerBook) -> tuple[str, ...]:
    """The likeliest intents of the last question that are still possible."""
    last = turns[0]
    out = ruled_out(turns) | set(offered(last))
    ranked = [last.intent] + [str(other["intent"]) for other in last.reply.get("alternatives", ())]
    possible = [name for name in ranked if name and name in book.hands_off and name not in out]
    return tuple(dict.fromkeys(possible))[:_CHOICES]


def reply_to_abuse(
    text: str, turns: Sequence[Turn], book: AnswerBook, voice: Voice
) -> Wording | None:
    """What repeated abuse is answered, whatever the shop has taught: a person is offered, then
    takes over."""
    before = run_of(turns, "abuse") if small_talk(text) == "abuse" else 0
    if before == 0:
        return None
    if before >= MOST_UNHELPFUL:
        return own_wording(Decision("handoff"), book, voice)
    person = own_wording(Decision("abstain"), book, voice).buttons
    return _say("abuse_again", voice, person)


def reply_to_talk(text: str, turns: Sequence[Turn], voice: Voice) -> Wording | None:
    """What small talk is answered where no intent is sure: an `answer` of no intent."""
    kind = small_talk(text)
    if kind is None and turns and agrees(text) and talk_before(turns) is not None:
        return _say("go_ahead", voice)
    return None if kind is None else _say(_SAID[kind], voice)


def _say(name: Phrase, voice: Voice, buttons: Sequence[Button] = ()) -> Wording:
    return Wording("answer", phrase(name, voice.language, voice.fallback), buttons=buttons)
