"""How is one message answered? One turn, top to bottom.

answered before?  →  read  →  decide  →  (form)  →  (call, search)  →  say it  →  store it  →  send
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from anyio.to_thread import run_sync

from core.errors import InvalidInput
from core.inference.slot import ModelSlot
from core.text import language_of, normalize
from services.customer_service.actions import Actions
from services.customer_service.answers import AnswerBook
from services.customer_service.calls import Asked
from services.customer_service.context import asks_value_for, session
from services.customer_service.dialogue import reply_to_talk, spoken_to
from services.customer_service.domain import (
    NOTHING_READ,
    Decision,
    Reading,
    by_name,
    continued_intent,
    decide_by_intent,
)
from services.customer_service.forms import Heard, OpenForm, Step, next_step
from services.customer_service.generate import Writer
from services.customer_service.handoff import Handoff
from services.customer_service.hearing import Hearing, InContext
from services.customer_service.live import Copy, Live
from services.customer_service.looking import look, unsure_wording
from services.customer_service.parts import PartSaid, left_over, merged
from services.customer_service.people import People
from services.customer_service.reader import Reader
from services.customer_service.slots import Moment
from services.customer_service.standing import heard_by_a_person, reason_of
from services.customer_service.store import Before, ConversationStore, Turn
from services.customer_service.together import Together, decide_together
from services.customer_service.understanding import FloatArray, IntentModel, Understood
from services.customer_service.wording import (
    Voice,
    Wording,
    body,
    call_wording,
    form_wording,
    intent_wording,
    named_intent,
    returning,
)

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
class _Situation:
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
        return self.message.channel or DEFAULT_CHANNEL

    @property
    def opened(self) -> OpenForm | None:
        """The form that the turn before left open."""
        form = None if self.last is None else self.last.form
        return None if form is None else OpenForm(**form)


class Replier:
    """Answers messages. Parts are handed in; `now` is the clock, `zone` where "tomorrow" begins.
    Without `actions` no webhook is asked, and what needs one is handed over; without `people`
    nobody takes over here; without `writer` what articles say is quoted."""

    def __init__(
        self,
        *,
        models: ModelSlot[IntentModel],
        live: Live,
        reader: Reader,
        conversations: ConversationStore,
        now: Callable[[], datetime],
        session_hours: float = 24.0,
        burst_seconds: float = 20.0,
        actions: Actions | None = None,
        people: People | None = None,
        writer: Writer | None = None,
        zone: tzinfo = UTC,
        default_locale: str = "en",
        max_message_chars: int = 4000,
        on_turn: Callable[[str], None] = lambda action: None,
    ) -> None:
        self._models = models
        self._live = live
        self._reader = reader
        self._conversations = conversations
        self._now = now
        self._session_hours = session_hours
        self._burst_seconds = burst_seconds
        self._actions = actions
        self._people = people
        self._writer = writer
        self._zone = zone
        self._default_locale = default_locale
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
        if wording is not None:
            return await run_sync(
                self._finish, situation, wording, NOTHING_READ, model.version, copy
            )
        heard = None if pressed else await self._hear(model, situation, copy.book)
        reading = NOTHING_READ if heard is None else heard.understood.reading
        decision = self._decide(situation, pressed, reading, copy.book)
        together = None
        if heard is not None and heard.parts:
            wording, reading = await self._in_parts(situation, heard, copy)
        elif decision is None and heard is not None and heard.joined is not None:
            together = await self._together(situation, heard, copy)
            if together.intent is not None:
                decision, reading = together.decision, heard.joined.reading
        situation = self._with_form(situation, pressed is not None, decision, copy.book)
        if wording is None:
            wording = await self._wording(decision, situation, copy.book)
        if wording is None and situation.opened is None:
            wording = reply_to_talk(text, situation.turns, situation.voice)
            reading = reading if wording is None else NOTHING_READ
        if wording is None:
            wording = await self._search(situation, heard, together, copy)
        return await run_sync(self._finish, situation, wording, reading, model.version, copy)

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
    ) -> tuple[Before, _Situation]:
        before = Before()
        if message.conversation_id is not None:
            before = self._conversations.before(message.conversation_id, message.message_id or "")
        turns = session(before.recent, self._now(), self._session_hours)
        last = turns[0] if turns else None
        today = self._now().astimezone(self._zone).date()
        learned = model.tagged(text, names) if (names := book.learned_slots) else {}
        moment = Moment(today, message.locale or self._language(None, text, last), learned)
        found = book.find_slots(text, moment)
        rest = book.without_values(text, moment) if found else text
        known = {} if last is None else dict(last.reply.get("slots", {}))
        return before, _Situation(
            message=message,
            conversation_id=message.conversation_id or uuid.uuid4().hex,
            message_id=message.message_id or uuid.uuid4().hex,
            text=text,
            voice=Voice(self._language(message.locale, rest, last), self._default_locale),
            turns=turns,
            new_slots=found,
            slots=known | found,
            bare=bool(found) and not any(character.isalpha() for character in rest),
            handoff=None if self._people is None else self._people.standing(before.handoff),
        )

    def _language(self, locale: str | None, text: str, last: Turn | None) -> str:
        """As asked for, else by the script of the message, else that of the turn before."""
        if locale:
            return locale.replace("_", "-").split("-")[0].lower()
        script = language_of(text)
        if script != "other":
            return script
        return last.locale if last is not None else self._default_locale

    def _decide(
        self,
        situation: _Situation,
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

    async def _hear(self, model: IntentModel, situation: _Situation, book: AnswerBook) -> InContext:
        """The message read in its conversation; in a form by itself."""
        if situation.opened is not None:
            return InContext(situation.text, await self._reader.understand(model, situation.text))
        language = situation.voice.language
        hearing = Hearing(situation.turns, book, language, self._now(), self._burst_seconds)
        return await hearing.hear(self._reader, model, situation.text)

    async def _together(self, situation: _Situation, heard: InContext, copy: Copy) -> Together:
        """What comes of the message together with what it leans on."""
        joined, understood = heard.joined, heard.joined_understood
        assert joined is not None and understood is not None, "there is something joined"
        embedding = await self._embedding(understood, copy, joined.text)
        found = await run_sync(copy.knowledge.search, joined.text, embedding)
        return decide_together(joined, found, copy.book, situation.voice.language, situation.turns)

    async def _in_parts(
        self, situation: _Situation, heard: InContext, copy: Copy
    ) -> tuple[Wording, Reading]:
        """Several questions answered each; the reading is that of the first."""
        said, voice = [], situation.voice
        for part in heard.parts:
            wording, reading = None, part.understood.reading
            if part.answered:
                decision = by_name(reading.ranked[0].intent, copy.book.hands_off)
                wording = await self._wording(decision, situation, copy.book)
            if wording is None:
                embedding = await self._embedding(part.understood, copy, part.part.asked)
                seen = await run_sync(
                    look, copy.knowledge, part.part.asked, embedding, voice.language
                )
                wording = left_over(part.part.asked, seen.composed, seen.evidence, voice)
            if wording is not None:
                said.append(PartSaid(part.part.text, wording))
        first = next(part for part in heard.parts if part.answered)
        return merged(said), first.understood.reading

    def _with_form(
        self, situation: _Situation, pressed: bool, decision: Decision | None, book: AnswerBook
    ) -> _Situation:
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

    async def _wording(
        self, decision: Decision | None, situation: _Situation, book: AnswerBook
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

    async def _embedding(self, understood: Understood, copy: Copy, text: str) -> FloatArray | None:
        """Of the encoder that the index was made with; None where it cannot read the text."""
        if copy.searcher is None:
            return None
        if understood.encoder_id == copy.searcher.encoder_id:
            return understood.embedding if understood.readable else None
        return await self._reader.embed(copy.searcher, text)

    def _finish(
        self,
        situation: _Situation,
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
            created_at=self._now(),
            needed_slots=wording.needed,
            metadata=situation.message.metadata,
            form=None if wording.opened is None else wording.opened.as_mapping(),
            reason=reason_of(wording, copy.book.hands_off),
            tells=situation.handoff if situation.taken else None,
        )
        stored = self._conversations.add(turn, situation.channel)
        self._on_turn(str(stored["action"]))
        return stored

    async def _search(
        self,
        situation: _Situation,
        heard: InContext | None,
        together: Together | None,
        copy: Copy,
    ) -> Wording:
        """What is said where no intent is sure."""
        text, embedding, reading = situation.text, None, NOTHING_READ
        if heard is not None:
            text, reading = heard.text, heard.understood.reading
            embedding = await self._embedding(heard.understood, copy, text)
        voice, turns = situation.voice, situation.turns
        seen = await run_sync(look, copy.knowledge, text, embedding, voice.language)
        wording = unsure_wording(seen, reading, together, turns, copy.book, voice)
        if self._writer is None or wording.action != "retrieve":
            return wording
        asked = [(text, embedding)]
        if heard is not None and heard.joined is not None and heard.joined_understood is not None:
            joined = heard.joined.text
            asked.append((joined, await self._embedding(heard.joined_understood, copy, joined)))
        return await run_sync(self._writer.reworded, wording, asked, copy.knowledge, voice.language)
