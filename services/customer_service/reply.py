"""How is one message answered? One turn, top to bottom.

answered before?  →  read it  →  decide  →  (search)  →  say it  →  store it  →  send it
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from anyio.to_thread import run_sync

from core.errors import InvalidInput
from core.inference.slot import ModelSlot
from core.text import language_of, normalize
from services.customer_service.answers import AnswerBook
from services.customer_service.compose import compose
from services.customer_service.domain import (
    NOTHING_READ,
    Action,
    Decision,
    Evidence,
    by_name,
    continued_intent,
    decide_by_intent,
    decide_unsure,
)
from services.customer_service.live import Copy, Live
from services.customer_service.reader import Reader
from services.customer_service.store import Before, ConversationStore, Turn
from services.customer_service.understanding import FloatArray, IntentModel, Understood
from services.customer_service.wording import (
    Voice,
    Wording,
    article_wording,
    body,
    intent_wording,
    named_intent,
    own_wording,
    question_wording,
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
    """What is known before the message is read. `slots`: those of this message and of the turns
    before; `bare`: the message is a slot's value and nothing else."""

    message: Message
    conversation_id: str
    message_id: str
    text: str
    voice: Voice
    last: Turn | None
    new_slots: Mapping[str, str]
    slots: Mapping[str, str]
    bare: bool

    @property
    def last_action(self) -> Action | None:
        return None if self.last is None else self.last.action


class Replier:
    """Answers messages. Parts are handed in; `now` is the clock."""

    def __init__(
        self,
        *,
        models: ModelSlot[IntentModel],
        live: Live,
        reader: Reader,
        conversations: ConversationStore,
        now: Callable[[], datetime],
        default_locale: str = "en",
        max_message_chars: int = 4000,
        on_turn: Callable[[str], None] = lambda action: None,
    ) -> None:
        self._models = models
        self._live = live
        self._reader = reader
        self._conversations = conversations
        self._now = now
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
        before, situation = await run_sync(self._look_back, message, text, copy.book)
        if before.answer is not None:
            return before.answer
        pressed = named_intent(text, copy.book)
        understood = None if pressed else await self._reader.understand(model, text)
        decision = self._decide(situation, pressed, understood, copy.book)
        wording = None if decision is None else self._intent_wording(decision, situation, copy.book)
        embedding = None
        if wording is None and understood is not None:
            embedding = await self._embedding(understood, copy, text)
        return await run_sync(
            self._finish, situation, wording, understood, embedding, model.version, copy
        )

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
        self, message: Message, text: str, book: AnswerBook
    ) -> tuple[Before, _Situation]:
        before = Before()
        if message.conversation_id is not None:
            before = self._conversations.before(message.conversation_id, message.message_id or "")
        last = before.last
        found = book.find_slots(text)
        rest = book.without_values(text) if found else text
        known = {} if last is None else dict(last.reply.get("slots", {}))
        return before, _Situation(
            message=message,
            conversation_id=message.conversation_id or uuid.uuid4().hex,
            message_id=message.message_id or uuid.uuid4().hex,
            text=text,
            voice=Voice(self._language(message.locale, rest, last), self._default_locale),
            last=last,
            new_slots=found,
            slots=known | found,
            bare=bool(found) and not any(character.isalpha() for character in rest),
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
        understood: Understood | None,
        book: AnswerBook,
    ) -> Decision | None:
        """What is certain before the knowledge base is asked: a button, a sure intent, or the
        value that the last answer had a place for."""
        hands_off = book.hands_off
        if pressed is not None or understood is None:
            return None if pressed is None else by_name(pressed, hands_off)
        decision = decide_by_intent(understood.reading, hands_off)
        last = situation.last
        if last is None or (decision is not None and not situation.bare):
            return decision
        continued = continued_intent(situation.new_slots, last.intent, last.needed_slots)
        return decision if continued not in hands_off else by_name(continued, hands_off)

    def _intent_wording(
        self, decision: Decision, situation: _Situation, book: AnswerBook
    ) -> Wording | None:
        return intent_wording(
            decision,
            book,
            situation.voice,
            situation.slots,
            seed=situation.conversation_id,
            channel=situation.message.channel or DEFAULT_CHANNEL,
        )

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
        wording: Wording | None,
        understood: Understood | None,
        embedding: FloatArray | None,
        model_version: str,
        copy: Copy,
    ) -> dict[str, Any]:
        """Say it, and store it before it is sent."""
        if wording is None:
            wording = self._search(situation, understood, embedding, copy)
        answer = body(
            wording,
            () if understood is None else understood.reading.ranked,
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
        )
        stored = self._conversations.add(turn, situation.message.channel or DEFAULT_CHANNEL)
        self._on_turn(str(stored["action"]))
        return stored

    def _search(
        self,
        situation: _Situation,
        understood: Understood | None,
        embedding: FloatArray | None,
        copy: Copy,
    ) -> Wording:
        voice, book = situation.voice, copy.book
        found = copy.knowledge.search(situation.text, embedding)
        composed = compose(found.words, found.passages, found.bars.some, voice.language)
        # Passages without a sentence to quote are no evidence.
        value = found.evidence if composed is not None else 0.0
        decision = decide_unsure(
            NOTHING_READ if understood is None else understood.reading,
            book.hands_off,
            Evidence(value, found.bars.some, found.bars.strong),
            situation.last_action,
        )
        if decision.action == "clarify":
            return question_wording(decision, book, voice)
        if decision.action == "retrieve" and composed is not None:
            return article_wording(decision, composed, voice)
        return own_wording(decision, book, voice)
