"""Which exception becomes which answer? One table, one body shape (RFC 9457 problem details).

{"type": "urn:trefoil:problem:not-found", "title": "Not found", "status": 404,
 "detail": "there is no story 17", "request_id": "…"}
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import errors as tree
from core.web.request_id import current_request_id

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:trefoil:problem:"
_LONGEST_DETAIL = 500
_STARTS = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.close",
        "websocket.http.response.start",
    }
)


# How the answers below are described in /openapi.json.
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
    },
}
_DESCRIBED = {"description": "Problem details", "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {"4XX": _DESCRIBED, "5XX": _DESCRIBED}


@dataclass(frozen=True, slots=True)
class Row:
    """How one kind of error is answered.

    `shown`: whether the caller may read the message. Those about the box itself (paths, hosts,
    settings) are for the log, and the caller gets `instead`.
    """

    status: int
    type: str
    title: str
    shown: bool = True
    instead: str = ""


_BROKEN = "the server could not do it; its log has the reason under this request_id"
_LATER = "the server cannot do it at the moment; try again later"

TABLE: Mapping[type[tree.TrefoilError], Row] = {
    tree.InvalidInput: Row(422, "invalid-input", "Invalid input"),
    tree.TooLarge: Row(413, "too-large", "Too large"),
    tree.NotFound: Row(404, "not-found", "Not found"),
    tree.Conflict: Row(409, "conflict", "Conflict"),
    tree.Unauthorized: Row(401, "unauthorized", "Unauthorized"),
    tree.Forbidden: Row(403, "forbidden", "Forbidden"),
    tree.Overloaded: Row(503, "overloaded", "Overloaded"),
    tree.RateLimited: Row(429, "rate-limited", "Too many requests"),
    tree.NotReady: Row(503, "not-ready", "Not ready"),
    tree.PromotionRefused: Row(409, "promotion-refused", "Promotion refused"),
    tree.FetchError: Row(502, "fetch-failed", "An outgoing request failed"),
    tree.FetchTimeout: Row(504, "fetch-timeout", "An outgoing request took too long"),
    tree.SettingsError: Row(500, "settings", "Wrong settings", shown=False, instead=_BROKEN),
    tree.StorageError: Row(503, "storage", "Storage unavailable", shown=False, instead=_LATER),
    tree.ModelError: Row(503, "model", "Model unavailable", shown=False, instead=_LATER),
    tree.ArtifactError: Row(503, "model", "Model unavailable", shown=False, instead=_LATER),
    tree.TrefoilError: Row(500, "internal", "Internal error", shown=False, instead=_BROKEN),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that says what went wrong. `type` is the last part of its URN, "" for none."""

    status: int
    type: str
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


# A service that speaks somebody else's protocol on some paths answers errors in its shape there;
# None: as problem details.
Shape = Callable[[Scope, Problem], Response | None]


def describe(error: Exception) -> Problem:
    """The problem that an exception is to its caller."""
    if isinstance(error, tree.TrefoilError):
        return _from_tree(error)
    if isinstance(error, RequestValidationError):
        return Problem(422, "invalid-input", "Invalid input", readable(error.errors()))
    if isinstance(error, HTTPException):
        return _from_http(error)
    return Problem(500, "internal", "Internal error", "internal error")


def problem_details(problem: Problem) -> dict[str, Any]:
    """The members of its body."""
    # Whatever the detail quotes, it can be sent: half a surrogate pair becomes a question mark.
    detail = problem.detail[:_LONGEST_DETAIL].encode("utf-8", "replace").decode("utf-8")
    return {
        "type": _TYPE + problem.type if problem.type else "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "request_id": current_request_id.get(),
    }


def problem_response(problem: Problem, extra: Mapping[str, Any] | None = None) -> Response:
    """The problem as an answer; `extra` are further members of its body."""
    body = {**problem_details(problem), **(extra or {})}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8")
    headers = dict(problem.headers)
    return Response(content, problem.status, headers=headers, media_type=MEDIA_TYPE)


def no_shape(scope: Scope, problem: Problem) -> None:
    """Problem details everywhere."""


def readable(details: Sequence[Any]) -> str:
    """What is wrong with a body, in one line: the place and the rule, never the value."""
    lines = []
    for detail in details[:3]:
        place = ".".join(str(part)[:60] for part in detail.get("loc", ()))
        message = str(detail.get("msg", "is not usable"))
        reason = (detail.get("ctx") or {}).get("error")
        if detail.get("type") == "json_invalid" and reason:
            message = f"not JSON: {reason}"
        lines.append(f"{place}: {message[:1].lower()}{message[1:]}")
    more = len(details) - len(lines)
    return "; ".join(lines) + (f" (and {more} more)" if more > 0 else "")


async def handle(request: Request, error: Exception) -> Response:
    """The handler that FastAPI gets for what it would otherwise answer in its own shape. To a
    WebSocket that was not accepted yet the problem is the answer to its request."""
    problem = describe(error)
    if isinstance(error, RequestValidationError) and _is_not_json(request, error):
        problem = _wrong_content_type(request)
    log_failure(error, problem)
    shape: Shape = request.app.state.problem_shape
    return shape(request.scope, problem) or problem_response(problem)


class ErrorsMiddleware:
    """Answers whatever is raised below, other middlewares included."""

    def __init__(self, app: ASGIApp, shape: Shape = no_shape) -> None:
        self.app = app
        self.shape = shape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            # What ends a WebSocket, or turns it away, leaves nothing to answer either.
            started = started or message["type"] in _STARTS
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            problem = describe(error)
            log_failure(error, problem)
            if started:
                # Half of an answer is out; only breaking it off tells the caller that it is half.
                raise
            response = self.shape(scope, problem) or problem_response(problem)
            await response(scope, receive, send)


def row_of(kind: type[tree.TrefoilError]) -> Row:
    """The row of an error's class or of its nearest ancestor that has one."""
    for ancestor in kind.__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    raise AssertionError(f"{kind} is not of our tree")


def _from_tree(error: tree.TrefoilError) -> Problem:
    row = row_of(type(error))
    headers: dict[str, str] = {}
    if row.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, tree.Overloaded | tree.NotReady):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif row.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    return Problem(
        row.status, row.type, row.title, str(error) if row.shown else row.instead, headers
    )


def _from_http(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND and detail == "Not Found":
        detail = "there is nothing at this path"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"this path takes {headers.get('Allow', headers.get('allow', 'other methods'))}"
    return Problem(error.status_code, "", HTTPStatus(error.status_code).phrase, detail, headers)


def _is_not_json(request: Request, error: RequestValidationError) -> bool:
    """Whether the body was not read as JSON because it was not said to be JSON."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    said_json = content_type == "application/json" or content_type.endswith("+json")
    whole_body = any(tuple(detail.get("loc", ())) == ("body",) for detail in error.errors())
    return whole_body and not said_json and isinstance(error.body, bytes)


def _wrong_content_type(request: Request) -> Problem:
    came = request.headers.get("content-type", "none")[:100]
    return Problem(
        415,
        "content-type",
        "Unsupported content type",
        f"expected Content-Type: application/json, was: {came}",
    )


def log_failure(error: Exception, problem: Problem) -> None:
    """Tell the log of what is our fault."""
    if isinstance(error, tree.Overloaded | tree.NotReady) or problem.status < 500:
        return
    logger.error("request failed", exc_info=error, extra={"status": problem.status})
