"""What stands in the log? JSON lines that tell what happened, and never what anybody wrote.

A message of an exception may quote the text that caused it, so of exceptions only the kind and the
places in our code are logged; errors of our own tree that concern the box and not the request
(storage, settings, models) keep their message, which is written to be read by the operator.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import IO, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import ArtifactError, FetchError, ModelError, SettingsError, StorageError
from core.web.request_id import current_request_id
from core.web.routes import method_name, route_template

access_log = logging.getLogger("trefoil.access")

OURS = ("trefoil", "core", "services")

_OPERATORS = (StorageError, SettingsError, ModelError, ArtifactError, FetchError)
# What a LogRecord always has; anything else came through `extra` and is a field of ours.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_LONGEST = 2_000


class JsonFormatter(logging.Formatter):
    """One record, one line: time, level, logger, message, request_id, and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_LONGEST],
        }
        if request_id := current_request_id.get():
            line["request_id"] = request_id
        line.update((name, vars(record)[name]) for name in vars(record).keys() - _STANDARD)
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe(record.exc_info[1])
        return json.dumps(line, default=str)


def describe(error: BaseException) -> list[dict[str, Any]]:
    """The chain of an exception, outermost first, without the text it may quote."""
    chain: list[dict[str, Any]] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        frames = traceback.extract_tb(link.__traceback__)[-20:]
        entry: dict[str, Any] = {
            "type": f"{type(link).__module__}.{type(link).__qualname__}",
            "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        if isinstance(link, _OPERATORS):
            entry["message"] = str(link)
        chain.append(entry)
        link = link.__cause__ or link.__context__
    return chain


def configure_logging(level: str = "info", stream: IO[str] | None = None) -> None:
    """JSON lines on standard error (or `stream`) for this process: our own from `level` up, those
    of libraries from warning up, since at info some log whole addresses with what is in them."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    chosen = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(chosen, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(chosen)


class AccessLogMiddleware:
    """One line for each request, by the route's template: a path may hold what somebody wrote."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not access_log.isEnabledFor(logging.INFO):
            await self.app(scope, receive, send)
            return
        # 499: the caller went away before an answer began.
        status = 499
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            fields = {
                "method": method_name(scope),
                "route": route_template(scope),
                "status": status,
                "ms": round((time.perf_counter() - started) * 1000, 1),
            }
            access_log.info("request", extra=fields)
