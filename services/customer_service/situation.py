"""What is known of a message before it is read?

Which conversation it goes on with, in which language, what its session said, the slot values in it
and before it, the form that is open, and whether a person has it. Pure, but for the clock that is
handed in.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from core.text import language_of
from services.customer_service.answers import AnswerBook
from services.customer_service.context import session
from services.customer_service.forms import OpenForm, Step
from services.customer_service.handoff import Handoff
from services.customer_service.slots import Moment
from services.customer_service.store import Before, Turn
from services.customer_service.understanding import IntentModel
from services.customer_service.wording import Voice

DEFAULT_CHANNEL: Final = "api"


@dataclass(frozen=True)
class Message:
    """What a customer sent. Ids and locale may be left out."""

    text: str
    conversation_id: str | None = None
    message_id: str | None = None
    locale: str | None = None
    channel: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where the bot stands: `now` is the clock, `zone` where "tomorrow" begins, `default_locale`
    the language of a message that shows none."""

    now: Callable[[], datetime]
    zone: tzinfo = UTC
    default_locale: str = "en"

    def language(self, locale: str | None, text: str, last: Turn | None = None) -> str:
        """As asked for, else by the script of the text, else that of the turn before."""
        if locale:
            return locale.replace("_", "-").split("-")[0].lower()
        script = language_of(text)
        if script != "other":
            return script
        return last.locale if last is not None else self.default_locale

    def moment(
        self,
        text: str,
        book: AnswerBook,
        model: IntentModel,
        locale: str | None = None,
        last: Turn | None = None,
    ) -> Moment:
        """What the slots in a normalised text depend on beside it, the tagger's word included."""
        learned = model.tagged(text, names) if (names := book.learned_slots) else {}
        today = self.now().astimezone(self.zone).date()
        return Moment(today, locale or self.language(None, text, last), learned)


@dataclass(frozen=True)
class Situation:
    """What is known before the message is read. `turns`: those of this session, newest first;
    `slots`: those of this message and of the turns before; `bare`: the message is a slot's value
    and nothing else. `step`: what a form does with it, once it is read; `handoff`: the one that is
    open, as it stands now."""

    message: Message
    conversation_id: str
    message_id: str
    text: str
    voice: Voice
    turns: tuple[Turn, ...]
    new_slots: Mapping[str, str]
    slots: Mapping[str, str]
    bare: bool
    handoff: Handoff | None = None
    step: Step | None = None

    @property
    def taken(self) -> bool:
        """Whether a person has the conversation, and the bot is silent."""
        return self.handoff is not None and self.handoff.state == "taken"

    @property
    def last(self) -> Turn | None:
        """The latest turn of this session."""
        return self.turns[0] if self.turns else None

    @property
    def channel(self) -> str:
        """As asked for, else our own."""
        return self.message.channel or DEFAULT_CHANNEL

    @property
    def opened(self) -> OpenForm | None:
        """The form that the turn before left open."""
        form = None if self.last is None else self.last.form
        return None if form is None else OpenForm(**form)


def situation_of(
    message: Message,
    text: str,
    before: Before,
    book: AnswerBook,
    model: IntentModel,
    place: Place,
    session_hours: float,
) -> Situation:
    """The situation of a message, `text` being its normalised words. A message without an id gets
    one; `before`: what is stored of its conversation."""
    turns = session(before.recent, place.now(), session_hours)
    last = turns[0] if turns else None
    moment = place.moment(text, book, model, message.locale, last)
    found = book.find_slots(text, moment)
    rest = book.without_values(text, moment) if found else text
    known = {} if last is None else dict(last.reply.get("slots", {}))
    return Situation(
        message=message,
        conversation_id=message.conversation_id or uuid.uuid4().hex,
        message_id=message.message_id or uuid.uuid4().hex,
        text=text,
        voice=Voice(place.language(message.locale, rest, last), place.default_locale),
        turns=turns,
        new_slots=found,
        slots=known | found,
        bare=bool(found) and not any(character.isalpha() for character in rest),
        handoff=before.handoff,
    )
