"""How many requests, how long did they take, how many run right now?

Every app has a registry of its own, at `app.state.metrics.registry`, where a service puts its own
figures; two apps in one process (as in tests) do not meet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.web.routes import method_name, route_template

_log = logging.getLogger(__name__)

# Seconds. A short text takes a few milliseconds, a generated answer some seconds.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The figures of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "trefoil_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.latency = Histogram(
            "trefoil_http_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "trefoil_http_requests_in_flight",
            "Requests that are being answered.",
            registry=self.registry,
        )


class MetricsMiddleware:
    """Counts each request under its route's template."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # 499: the caller went away before an answer began.
        status = 499

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            self.metrics.in_flight.dec()
            method, route = method_name(scope), route_template(scope)
            self.metrics.requests.labels(method, route, str(status)).inc()
            self.metrics.latency.labels(method, route).observe(seconds)


def metrics_router(metrics: Metrics) -> APIRouter:
    """GET /metrics in the text format of Prometheus."""
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    async def read_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


@asynccontextmanager
async def reread(refresh: Callable[[], None], seconds: float) -> AsyncIterator[None]:
    """Within the block figures are read by `refresh`, which may block, now and every `seconds`.
    One that fails is logged: the figures stay as old as they say they are."""

    async def read() -> None:
        while True:
            try:
                await asyncio.to_thread(refresh)
            except Exception as error:
                _log.error("the figures cannot be read", exc_info=error)
            await asyncio.sleep(seconds)

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
