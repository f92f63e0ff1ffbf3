"""How does a program that talks to a Rasa server talk to us?

    POST /webhooks/rest/webhook   {sender, message, metadata} → [{recipient_id, text, buttons}, …]
    POST /model/parse             {text, message_id} → {text, intent, intent_ranking, entities}
    GET  /status                  {model_file, model_id, num_active_training_jobs}

Field by field as in Rasa's documentation (REST channel, HTTP API); members that we do not know are
left alone. A sender's history is the conversation "rasa:<sender>".
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.requests import Request

from core.errors import InvalidInput
from core.inference.slot import ModelSlot
from core.text import normalize
from core.web import requires
from services.customer_service.answers import AnswerBook
from services.customer_service.channels import conversation_id_of
from services.customer_service.live import Live
from services.customer_service.reader import Reader
from services.customer_service.reply import Replier
from services.customer_service.schemas import bounded_metadata
from services.customer_service.situation import Message, Place
from services.customer_service.understanding import IntentModel
from services.customer_service.wording import named_intent

CHANNEL: Final = "rasa"
EXTRACTOR: Final = "RegexEntityExtractor"

router = APIRouter(dependencies=[requires("chat", CHANNEL)])


class RestMessage(BaseModel):
    """Without a sender each message is a conversation of its own: one for all who have no name
    would show each of them what the others said."""

    model_config = ConfigDict(extra="ignore")

    sender: Annotated[str, Field(max_length=1000)] | int | None = None
    message: str = Field(min_length=1, max_length=20_000)
    metadata: dict[str, Any] | None = None

    _bounded = field_validator("metadata")(bounded_metadata)


class ParseRequest(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, max_length=20_000)
    message_id: str | None = Field(default=None, max_length=1000)


@dataclass(frozen=True)
class Parser:
    """Reads a message without answering or storing it."""

    models: ModelSlot[IntentModel]
    live: Live
    reader: Reader
    place: Place
    max_chars: int

    async def parse(self, text: str, message_id: str | None) -> dict[str, Any]:
        """What Rasa's NLU would say of it; InvalidInput where there is nothing to read."""
        if len(text) > self.max_chars:
            raise InvalidInput(f"a text may have {self.max_chars} characters, had {len(text)}")
        normal, book = normalize(text), self.live.current().book
        if not normal:
            raise InvalidInput("the text is empty", mend="Send some text in `text`.")
        pressed, model = named_intent(normal, book), self.models.current()
        if pressed is not None:
            ranking = [{"name": pressed, "confidence": 1.0}]
        else:
            reading = (await self.reader.understand(model, normal)).reading
            ranking = [
                {"name": c.intent, "confidence": round(c.probability, 4)} for c in reading.ranked
            ]
        slots = await run_sync(self._slots, normal, book, model)
        return {
            "text": text,
            **({} if message_id is None else {"message_id": message_id}),
            "intent": ranking[0],
            "entities": entities(text, slots),
            "intent_ranking": ranking,
        }

    def _slots(self, text: str, book: AnswerBook, model: IntentModel) -> dict[str, str]:
        """Those of a normalised text, as a turn finds them that begins a conversation."""
        return book.find_slots(text, self.place.moment(text, book, model))


def entities(text: str, slots: Mapping[str, str]) -> list[dict[str, Any]]:
    """Slots as Rasa's entities, in the order in which they stand in the text. A value that does not
    stand there as it is (a synonym, say) has the whole text for its place."""
    found = []
    for name, value in slots.items():
        # The later of two counts, as in `Slot.find`.
        start = text.lower().rfind(value.lower())
        placed = start >= 0 and len(text.lower()) == len(text)
        found.append(
            {
                "entity": name,
                "value": value,
                "start": start if placed else 0,
                "end": start + len(value) if placed else len(text),
                "confidence_entity": 1.0,
                "extractor": EXTRACTOR,
            }
        )
    return sorted(found, key=lambda entity: (entity["start"], entity["end"]))


def responses(recipient_id: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answer as the bot's messages. What Rasa has no word for, sources and that a person takes
    over, follows as one of its `custom` messages."""
    said: dict[str, Any] = {"recipient_id": recipient_id, "text": answer["text"]}
    if answer["buttons"]:
        said["buttons"] = [
            {"title": button["title"], "payload": button["payload"]} for button in answer["buttons"]
        ]
    more: dict[str, Any] = {}
    if answer["sources"]:
        more["sources"] = answer["sources"]
    if answer["action"] == "handoff":
        more["action"] = "handoff"
    return [said, {"recipient_id": recipient_id, "custom": more}] if more else [said]


async def _replier(request: Request) -> Replier:
    replier: Replier = request.app.state.replier
    return replier


async def _parser(request: Request) -> Parser:
    parser: Parser = request.app.state.parser
    return parser


@router.post("/webhooks/rest/webhook")
async def webhook(
    body: RestMessage, replier: Annotated[Replier, Depends(_replier)]
) -> list[dict[str, Any]]:
    """Answer one message as Rasa's REST channel does."""
    sender = uuid.uuid4().hex if body.sender in (None, "") else str(body.sender)
    answer = await replier.reply(
        Message(
            text=body.message,
            conversation_id=conversation_id_of(CHANNEL, sender),
            channel=CHANNEL,
            metadata=body.metadata or {},
        )
    )
    return responses(sender, answer)


@router.post("/model/parse")
async def parse(body: ParseRequest, parser: Annotated[Parser, Depends(_parser)]) -> dict[str, Any]:
    """Intent and entities of a text; nothing is answered or stored."""
    return await parser.parse(body.text, body.message_id)


@router.get("/status")
def status(parser: Annotated[Parser, Depends(_parser)]) -> dict[str, Any]:
    """Which model is live. Training runs elsewhere, so there is never a job here."""
    version = parser.models.current().version
    return {"model_file": version, "model_id": version, "num_active_training_jobs": 0}
