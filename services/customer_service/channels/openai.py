"""How does a program that talks to OpenAI's API talk to us?

    POST /v1/chat/completions   the last message of the user is answered, whole or as a stream
    GET  /v1/models, /v1/models/{model}

Earlier messages are not believed: what was said is known from our own conversation, which `user`,
or `conversation_id` in `metadata`, names ("openai:<name>"); without either each request is a new
one. Whatever model is named, ours answers. Sampling, tools and whatever else makes no sense here is
left alone. Errors have OpenAI's form on these paths, however early they happen.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from core.errors import InvalidInput, NotFound
from core.inference.slot import ModelSlot
from core.web import requires
from core.web.errors import Problem
from services.customer_service.channels import channel_of, conversation_id_of
from services.customer_service.reply import Replier
from services.customer_service.situation import Message
from services.customer_service.stream import event_lines, pieces, stream_response
from services.customer_service.understanding import IntentModel

CHANNEL: Final = "openai"
MODEL: Final = "trefoil-customer-service"
_ID: Final = re.compile(r"[\w.:@+-]{1,200}")
_PATHS: Final = ("/v1/chat/completions", "/v1/models")

router = APIRouter(dependencies=[requires("chat", CHANNEL)])

Short = Annotated[str, Field(max_length=1000)]


class _Foreign(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Part(_Foreign):
    type: Short
    text: str | None = None


class ChatMessage(_Foreign):
    role: Short
    content: str | Annotated[list[Part], Field(max_length=100)] | None = None

    @property
    def text(self) -> str:
        """What is written in it, pictures and files left out."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class StreamOptions(_Foreign):
    include_usage: bool | None = None


class CompletionRequest(_Foreign):
    """What we read of OpenAI's request."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=500)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Short | None = None
    metadata: Annotated[dict[Short, Short], Field(max_length=16)] | None = None

    @property
    def question(self) -> str:
        """The last message of the user; InvalidInput where there is none with a text."""
        for message in reversed(self.messages):
            if message.role == "user" and message.text:
                return message.text
        raise InvalidInput(
            "messages: none of them is a user's with a text", mend='Add {"role": "user", …}.'
        )

    @property
    def conversation_id(self) -> str:
        """As the metadata or the user says, else a new one. The id that stands in an answer may be
        sent back in the metadata; a user's name is never taken for an id."""
        named = (self.metadata or {}).get("conversation_id")
        if named and channel_of(named) == CHANNEL and _ID.fullmatch(named):
            return named
        return conversation_id_of(CHANNEL, named or self.user or uuid.uuid4().hex)


@dataclass(frozen=True)
class Completions:
    """Answers in OpenAI's form. `now` is the clock."""

    models: ModelSlot[IntentModel]
    replier: Replier
    now: Callable[[], datetime]

    async def complete(self, request: CompletionRequest) -> Response:
        """The answer to the last question, stored before its first byte leaves."""
        question = request.question
        answer = await self.replier.reply(
            Message(
                text=question,
                conversation_id=request.conversation_id,
                channel=CHANNEL,
                metadata=dict(request.metadata or {}),
            )
        )
        head = {
            "id": f"chatcmpl-{answer['message_id']}",
            "created": int(self.now().timestamp()),
            "model": MODEL,
            "system_fingerprint": answer["model_version"],
        }
        usage = self._usage(question, answer["text"])
        if not request.stream:
            return JSONResponse(_completion(head, answer, usage))
        options = request.stream_options
        shown = usage if options is not None and options.include_usage else None
        return stream_response(_chunks(head, answer, shown))

    def _usage(self, question: str, text: str) -> dict[str, int]:
        """Tokens as the live model's encoder counts them; beyond what it reads they are not."""
        model = self.models.current()
        asked, told = (len(model.prepared(said)[1].ids) for said in (question, text))
        return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}

    def listed(self) -> dict[str, Any]:
        """The one model there is."""
        return {"id": MODEL, "object": "model", "created": 0, "owned_by": "trefoil"}


def _about(answer: Mapping[str, Any]) -> dict[str, str]:
    """What OpenAI's form has no place for; values of metadata are texts."""
    keys = ("conversation_id", "message_id", "action", "intent")
    return {key: str(answer[key]) for key in keys if answer[key] is not None}


def _completion(
    head: Mapping[str, Any], answer: Mapping[str, Any], usage: Mapping[str, int]
) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer["text"], "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    more = {"usage": usage, "metadata": _about(answer)}
    return {**head, "object": "chat.completion", "choices": [choice], **more}


async def _chunks(
    head: Mapping[str, Any], answer: Mapping[str, Any], usage: Mapping[str, int] | None
) -> AsyncIterator[str]:
    """The answer as chunks; the last but one carries the usage where it was asked for."""
    head = {**head, "object": "chat.completion.chunk"}
    if usage is not None:
        head["usage"] = None

    def chunk(delta: Mapping[str, Any], finish_reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event_lines({**head, "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in pieces(answer["text"]):
        yield chunk({"content": piece})
    yield chunk({}, "stop", metadata=_about(answer))
    if usage is not None:
        yield event_lines({**head, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def error_shape(scope: Scope, problem: Problem) -> Response | None:
    """An error in OpenAI's form, on the paths that are theirs."""
    path = scope["path"]
    if not any(path == known or path.startswith(known + "/") for known in _PATHS):
        return None
    # A malformed body is 400 there.
    status = 400 if problem.status in (415, 422) else problem.status
    kind, code = _KINDS.get(status, ("invalid_request_error", None))
    if status >= 500:
        kind, code = "server_error", problem.type or None
    error = {"message": problem.detail, "type": kind, "param": None, "code": code}
    content = json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "replace")
    headers = dict(problem.headers)
    return Response(content, status, headers=headers, media_type="application/json")


_KINDS: Final[Mapping[int, tuple[str, str | None]]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


async def _completions(request: Request) -> Completions:
    completions: Completions = request.app.state.completions
    return completions


@router.post("/v1/chat/completions", response_model=None)
async def complete(
    body: CompletionRequest, completions: Annotated[Completions, Depends(_completions)]
) -> Response:
    """Answer the last message of the user, in OpenAI's form."""
    return await completions.complete(body)


@router.get("/v1/models")
def models(completions: Annotated[Completions, Depends(_completions)]) -> dict[str, Any]:
    """The list of the one model."""
    return {"object": "list", "data": [completions.listed()]}


@router.get("/v1/models/{model}")
def model(model: str, completions: Annotated[Completions, Depends(_completions)]) -> dict[str, Any]:
    """The one model."""
    if model != MODEL:
        raise NotFound(f"there is no model {model[:100]!r}", mend=f"The one here is {MODEL}.")
    return completions.listed()
