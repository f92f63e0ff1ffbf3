"""How is one message answered? One turn, top to bottom.

answered before?  →  read  →  decide  →  (form)  →  (call, search)  →  say it  →  store it  →  send

    situation.py   what is known before the message is read
    hearing.py     the message, read in its conversation
    domain.py      what is done about it
    forms.py       what an open form makes of it
    librarian.py   what articles say to it
    wording.py     the words
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from anyio.to_thread import run_sync

from core.errors import InvalidInput
from core.inference.slot import ModelSlot
from core.text import normalize
from services.customer_service.actions import Actions
from services.customer_service.answers import AnswerBook
from services.customer_service.calls import Asked
from services.customer_service.context import asks_value_for
from services.customer_service.conversations import asks
from services.customer_service.dialogue import reply_to_talk, spoken_to
from services.customer_service.domain import (
    NOTHING_READ,
    Decision,
    Reading,
    by_name,
    continued_intent,
    decide_by_intent,
)
from services.customer_service.forms import Heard, next_step, set_aside
from services.customer_service.generate import Writer
from services.customer_service.hearing import Hearing, InContext
from services.customer_service.librarian import Librarian
from services.customer_service.live import Copy, Live
from services.customer_service.parts import PartSaid, left_over, merged
from services.customer_service.people import People
from services.customer_service.reader import Reader
from services.customer_service.situation import Message, Place, Situation, situation_of
from services.customer_service.standing import heard_by_a_person, reason_of
from services.customer_service.store import Before, ConversationStore, Turn
from services.customer_service.understanding import IntentModel
from services.customer_service.wording import (
    Wording,
    body,
    call_wording,
    form_wording,
    intent_wording,
    named_intent,
    returning,
)


class Replier:
    """Answers messages. Parts are handed in. Without `actions` no webhook is asked, and what needs
    one is handed over; without `people` nobody takes over here; without `writer` what articles say
    is quoted."""

    def __init__(
        self,
        *,
        models: ModelSlot[IntentModel],
        live: Live,
        reader: Reader,
        conversations: ConversationStore,
        place: Place,
        session_hours: float = 24.0,
        burst_seconds: float = 20.0,
        actions: Actions | None = None,
        people: People | None = None,
        writer: Writer | None = None,
        max_message_chars: int = 4000,
        on_turn: Callable[[str], None] = lambda action: None,
    ) -> None:
        self._models = models
        self._live = live
        self._reader = reader
        self._librarian = Librarian(reader, writer)
        self._conversations = conversations
        self._place = place
        self._session_hours = session_hours
        self._burst_seconds = burst_seconds
        self._actions = actions
        self._people = people
        self._max_message_chars = max_message_chars
        self._on_turn = on_turn

    async def reply(self, message: Message) -> dict[str, Any]:
        """The body of the answer, stored.

        InvalidInput for a message without anything to read, NotReady without a model, Overloaded
        where too many wait.
        """
        text = self._checked(message.text)
        model, copy = self._models.current(), self._live.current()
        before, situation = await run_sync(self._look_back, message, text, copy.book, model)
        if before.answer is not None:
            return before.answer
        pressed, wording = named_intent(text, copy.book), None
        if situation.taken:
            wording = heard_by_a_person(situation.voice)
        elif pressed is None and situation.opened is None:
            pressed, wording = spoken_to(text, situation.turns, copy.book, situation.voice)
        reading = NOTHING_READ
        if wording is None:
            situation, wording, reading = await self._answer(situation, pressed, model, copy)
        return await run_sync(self._finish, situation, wording, reading, model.version, copy)

    async def _answer(
        self, situation: Situation, pressed: str | None, model: IntentModel, copy: Copy
    ) -> tuple[Situation, Wording, Reading]:
        """What is said to a message that is read, or to the button that was `pressed`."""
        heard = None if pressed else await self._hear(model, situation, copy.book)
        reading = NOTHING_READ if heard is None else heard.understood.reading
        decision = self._decide(situation, pressed, reading, copy.book)
        wording, together = None, None
        if heard is not None and heard.parts:
            wording, reading = await self._in_parts(situation, heard, copy)
        elif decision is None and heard is not None and heard.joined is not None:
            together = await self._librarian.together(situation, heard, copy)
            if together.intent is not None:
                decision, reading = together.decision, heard.joined.reading
        situation = self._with_form(situation, pressed is not None, decision, copy.book)
        if wording is None and heard is not None:
            situation, wording = await self._beside_the_form(situation, heard, copy)
        if wording is None:
            wording = await self._wording(decision, situation, copy.book)
        if wording is None and situation.opened is None:
            wording = reply_to_talk(situation.text, situation.turns, situation.voice)
            reading = reading if wording is None else NOTHING_READ
        if wording is None:
            wording = await self._librarian.unsure(situation, heard, together, copy)
        return situation, wording, reading

    def _checked(self, text: str) -> str:
        if len(text) > self._max_message_chars:
            raise InvalidInput(
                f"a message may have {self._max_message_chars} characters, had {len(text)}",
                mend="Send the question alone.",
            )
        text = normalize(text)
        if not text:
            raise InvalidInput("the message is empty", mend="Send some text in `message`.")
        return text

    def _look_back(
        self, message: Message, text: str, book: AnswerBook, model: IntentModel
    ) -> tuple[Before, Situation]:
        before = Before()
        if message.conversation_id is not None:
            before = self._conversations.before(message.conversation_id, message.message_id or "")
        handoff = None if self._people is None else self._people.standing(before.handoff)
        stored = replace(before, handoff=handoff)
        return before, situation_of(
            message, text, stored, book, model, self._place, self._session_hours
        )

    def _decide(
        self,
        situation: Situation,
        pressed: str | None,
        reading: Reading,
        book: AnswerBook,
    ) -> Decision | None:
        """What is certain before the knowledge base is asked: a button, a sure intent, or the
        value that the last answer had a place for."""
        hands_off = book.hands_off
        if pressed is not None:
            return by_name(pressed, hands_off)
        decision = decide_by_intent(reading, hands_off)
        last = situation.last
        if last is None or last.form or (decision is not None and not situation.bare):
            return decision
        continued = continued_intent(situation.new_slots, asks_value_for(last), last.needed_slots)
        return decision if continued not in hands_off else by_name(continued, hands_off)

    async def _hear(self, model: IntentModel, situation: Situation, book: AnswerBook) -> InContext:
        """The message read in its conversation; in a form by itself."""
        if situation.opened is not None:
            return InContext(situation.text, await self._reader.understand(model, situation.text))
        language = situation.voice.language
        hearing = Hearing(situation.turns, book, language, self._place.now(), self._burst_seconds)
        return await hearing.hear(self._reader, model, situation.text)

    async def _in_parts(
        self, situation: Situation, heard: InContext, copy: Copy
    ) -> tuple[Wording, Reading]:
        """Several questions answered each; the reading is that of the first."""
        said, voice = [], situation.voice
        for part in heard.parts:
            wording, reading = None, part.understood.reading
            if part.answered:
                decision = by_name(reading.ranked[0].intent, copy.book.hands_off)
                wording = await self._wording(decision, situation, copy.book)
            if wording is None:
                seen = await self._librarian.look(
                    part.part.asked, part.understood, copy, voice.language
                )
                wording = left_over(part.part.asked, seen.composed, seen.evidence, voice)
            if wording is not None:
                said.append(PartSaid(part.part.text, wording))
        first = next(part for part in heard.parts if part.answered)
        return merged(said), first.understood.reading

    def _with_form(
        self, situation: Situation, pressed: bool, decision: Decision | None, book: AnswerBook
    ) -> Situation:
        """The situation with what a form does, if one is open or the intent has one."""
        heard = Heard(
            text=situation.text,
            decision=decision,
            pressed=pressed,
            new=situation.new_slots,
            known=situation.slots,
            bare=situation.bare,
            free=book.free_slots,
        )
        step = next_step(heard, situation.opened, book.forms)
        return situation if step is None else replace(situation, step=step, slots=step.values)

    async def _beside_the_form(
        self, situation: Situation, heard: InContext, copy: Copy
    ) -> tuple[Situation, Wording | None]:
        """A question in which an open form found nothing, answered by articles that speak strongly
        to it; the situation as it was, and None, where they do not or the form goes on."""
        step, opened = situation.step, situation.opened
        found_nothing = step is not None and step.problem == "nothing"
        if step is None or opened is None or not found_nothing or not asks(situation.text):
            return situation, None
        wording = await self._librarian.sure(situation, heard, copy)
        if wording is None:
            return situation, None
        return replace(situation, step=set_aside(step, opened)), wording

    async def _wording(
        self, decision: Decision | None, situation: Situation, book: AnswerBook
    ) -> Wording | None:
        """What a form or the one intent says; None where the articles are asked."""
        step = situation.step
        if step is not None and step.does == "finish":
            decision = by_name(step.intent, book.hands_off)
        elif step is not None and step.does != "interrupt":
            return form_wording(step, book, situation.voice)
        if decision is None:
            return None
        values, voice = situation.slots, situation.voice
        seed, channel = situation.conversation_id, situation.channel
        call = book.intents[decision.intents[0]].call
        if call is None:
            return intent_wording(decision, book, voice, values, seed, channel)
        asked = Asked(call, seed, situation.message_id, voice.language, values)
        facts = None if self._actions is None else await self._actions.ask(asked)
        return call_wording(decision, book, voice, values, facts, seed, channel)

    def _finish(
        self,
        situation: Situation,
        wording: Wording,
        reading: Reading,
        model_version: str,
        copy: Copy,
    ) -> dict[str, Any]:
        """Say it, and store it before it is sent."""
        step = situation.step
        if step is not None and step.does == "interrupt" and wording.action != "handoff":
            wording = returning(wording, step, copy.book, situation.voice)
        if self._people is not None and not situation.taken:
            name, handoff = situation.conversation_id, situation.handoff
            wording = self._people.announced(wording, name, handoff, situation.voice)
        answer = body(
            wording,
            reading.ranked,
            conversation_id=situation.conversation_id,
            message_id=situation.message_id,
            slots=situation.slots,
            model_version=model_version,
        )
        turn = Turn(
            conversation_id=situation.conversation_id,
            message_id=situation.message_id,
            message=situation.message.text,
            action=wording.action,
            intent=answer["intent"],
            locale=situation.voice.language,
            reply=answer,
            created_at=self._place.now(),
            needed_slots=wording.needed,
            metadata=situation.message.metadata,
            form=None if wording.opened is None else wording.opened.as_mapping(),
            reason=reason_of(wording, copy.book.hands_off),
            tells=situation.handoff if situation.taken else None,
        )
        stored = self._conversations.add(turn, situation.channel)
        self._on_turn(str(stored["action"]))
        return stored
