"""Which request is each call of the client, and what does an answer mean? Pure: no socket here.

`Call` says what to send; `verdict_on` whether an answer is one, is worth another try, or is no.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from services.recommender.client_types import (
    Busy,
    Clash,
    Event,
    InvalidRequest,
    Missing,
    NotAllowed,
    Problem,
    RecommenderError,
    ServerFailed,
)

# As many as the service takes at once where nobody changed its settings.
EVENTS_AT_ONCE: Final = 1_000
ITEMS_AT_ONCE: Final = 100
_LATER: Final = frozenset({429, 503})
_KINDS: Final[Mapping[int, type[Problem]]] = {
    400: InvalidRequest,
    401: NotAllowed,
    403: NotAllowed,
    404: Missing,
    409: Clash,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: Busy,
    503: Busy,
}


@dataclass(frozen=True)
class Patience:
    """`tries` in all; the wait after the first is `first_wait` seconds, and doubles. A server that
    asks for more than `longest_wait` seconds is not waited for."""

    tries: int = 4
    first_wait: float = 0.2
    longest_wait: float = 10.0

    def __post_init__(self) -> None:
        if self.tries < 1 or self.first_wait < 0 or self.longest_wait < 0:
            raise ValueError(f"expected at least one try and no negative wait, was: {self}")

    def wait(self, done: int, asked: float | None = None) -> float | None:
        """Seconds until the next try after `done` of them, None where there is none."""
        if done >= self.tries:
            return None
        if asked is not None:
            return asked if asked <= self.longest_wait else None
        return min(self.first_wait * 2.0 ** (done - 1), self.longest_wait)


@dataclass(frozen=True)
class Call:
    """One request. All of them may be sent again when no answer came: an upsert says the whole
    item, and events have ids."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Retry:
    """Try again later; `asked` seconds where the server said so. `error` if there is no later."""

    error: RecommenderError
    asked: float | None = None


def verdict_on(status: int, headers: Mapping[str, str], body: Any) -> Retry | None:
    """None where the answer is one. Raises the `Problem` that another try would not mend."""
    if status < 400:
        return None
    error = _problem(status, body)
    if status not in _LATER:
        raise error
    asked = _seconds(headers.get("retry-after"))
    if isinstance(error, Busy):
        error.retry_after = asked
    return Retry(error, asked)


def _problem(status: int, body: Any) -> Problem:
    told: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    return _KINDS.get(status, ServerFailed)(
        status,
        str(told.get("title", "no answer")),
        str(told.get("detail", "the server gave no reason")),
        str(told.get("request_id", "")),
        str(told.get("type", "")),
    )


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After header. A date is not waited for: the service gives seconds."""
    try:
        seconds = float(text) if text else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def place(kind: str, name: str) -> str:
    """The path of one thing; any text may be a name."""
    if not name:
        raise ValueError(f"expected a name under {kind}, was an empty text")
    return f"/v1/{kind}/{quote(name, safe='')}"


def batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """At most `size` rows at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def with_id(event: Event) -> Event:
    """The event, with an id of its own where it has none: sent twice it counts once."""
    return event if event.get("event_id") else {**event, "event_id": uuid4().hex}


def summed(answers: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """The counts of several answers together."""
    return {name: sum(int(answer[name]) for answer in answers) for name in names}
