"""How is a language model asked that answers at an OpenAI-compatible address?

One request through the guarded client: `POST {address}/chat/completions`. The answer is asked for
as a stream, so that a server that hangs is noticed by the pause and not by the end of the time; it
is read whole all the same, since nothing is said before it is checked. A server that does not
stream is understood too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.errors import FetchError
from core.net import FetchPolicy, GuardedClient
from services.customer_service.settings import Settings

_MAX_BYTES: Final = 1_000_000
_MOST_OF_A_PAUSE: Final = 0.5  # of the whole time
_DONE: Final = "[DONE]"


@dataclass(frozen=True, slots=True)
class Completion:
    """`text` as it came; `whole`: not cut off at the limit; `tokens` used in all, None where the
    server does not say."""

    text: str
    whole: bool
    tokens: int | None


class LanguageModel:
    """Safe for several threads. Raises FetchError and its kinds where no usable answer comes."""

    def __init__(self, settings: Settings, client: GuardedClient | None = None) -> None:
        self._url = f"{settings.generation_url}/chat/completions"
        self._key = settings.generation_key
        self._stream = settings.generation_stream
        self._body = {
            "model": settings.generation_model,
            "temperature": 0,
            "max_tokens": settings.generation_max_tokens,
        }
        seconds = settings.generation_timeout
        policy = FetchPolicy(
            max_bytes=_MAX_BYTES,
            connect_timeout=min(5.0, seconds),
            read_timeout=seconds * _MOST_OF_A_PAUSE if self._stream else seconds,
            total_timeout=seconds,
            max_redirects=0,
            retries=1,
            allow=settings.fetch_allow,
        )
        self._client = client or GuardedClient(policy)

    def complete(self, messages: Sequence[Mapping[str, str]]) -> Completion:
        """What the model says to these messages ({role, content})."""
        body: dict[str, Any] = {**self._body, "messages": [dict(each) for each in messages]}
        if self._stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        # To be asked twice does no harm, so a broken connection may be tried once more.
        headers = {"idempotency-key": uuid.uuid4().hex}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        answer = self._client.post(self._url, json=body, headers=headers)
        if not answer.ok:
            raise FetchError(f"the language model answered {answer.status}", answer.url)
        kind = answer.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() == "text/event-stream":
            return streamed(answer.body)
        return completed(answer.json())

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()


def completed(said: Any) -> Completion:
    """The body of an answer in one piece; FetchError where it is no such thing."""
    try:
        choice = said["choices"][0]
        text = choice["message"]["content"]
    except (LookupError, TypeError) as error:
        raise FetchError("expected choices[0].message.content, the answer has none") from error
    return Completion(_text(text), choice.get("finish_reason") != "length", _tokens(said))


def streamed(body: bytes) -> Completion:
    """The body of a stream of server-sent events; FetchError where it is none or broke off."""
    text: list[str] = []
    tokens: int | None = None
    ending: Any = None
    done = False
    for event in _events(body):
        if event == _DONE:
            done = True
            break
        try:
            said = json.loads(event)
            choices = said.get("choices") or [{}]
            text.append(_text((choices[0].get("delta") or {}).get("content") or ""))
            ending = choices[0].get("finish_reason") or ending
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise FetchError("expected chat.completion.chunk objects in the stream") from error
        tokens = _tokens(said) if tokens is None else tokens
    if not (done or ending):
        raise FetchError("the stream of the language model broke off")
    return Completion("".join(text), ending != "length", tokens)


def _events(body: bytes) -> Iterator[str]:
    """The data of each event; a multi-line one joined, as the standard has it."""
    data: list[str] = []
    for line in [*body.decode("utf-8", "replace").splitlines(), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data).strip()
            data = []


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FetchError("expected text from the language model, it sent something else")
    return value


def _tokens(said: Any) -> int | None:
    usage = said.get("usage") if isinstance(said, Mapping) else None
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return total if isinstance(total, int) and 0 <= total <= 10_000_000 else None
