"""What stands between the socket and a service's endpoints? Everything, in one list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import Scope

from core.errors import TrefoilError
from core.settings import ServiceSettings
from core.web.auth import Authenticator, KeyVerifier, authenticated, presented_key
from core.web.errors import PROBLEM_RESPONSES, ErrorsMiddleware, handle
from core.web.headers import SecurityHeadersMiddleware
from core.web.health import Ready, health_router
from core.web.limits import (
    BodyLimitMiddleware,
    HeadLimitMiddleware,
    RateLimitMiddleware,
    address_bucket,
)
from core.web.logs import AccessLogMiddleware
from core.web.metrics import Metrics, MetricsMiddleware, metrics_router
from core.web.rate import parse_rate
from core.web.request_id import RequestIdMiddleware

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


def create_app(
    title: str,
    *,
    settings: ServiceSettings,
    router: APIRouter,
    lifespan: Lifespan | None = None,
    ready: Ready | None = None,
    keys: KeyVerifier | None = None,
    public: APIRouter | None = None,
    middleware: Sequence[Middleware] = (),
    version: str = "0.1.0",
) -> FastAPI:
    """A service's app.

    `router` holds what needs a key, `public` what anybody may have (pages, a widget's script).
    `lifespan` starts the service's parts and stops them; `ready` says whether they work. A service
    finds `app.state.settings`, `app.state.metrics` and `app.state.authenticator`.
    """
    metrics = Metrics()
    authenticator = Authenticator(keys, settings.host)
    app = FastAPI(
        title=title,
        version=version,
        lifespan=_guarded(lifespan, settings, authenticator),
        # Their pages load scripts from elsewhere; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=PROBLEM_RESPONSES,
        middleware=[*_stack(settings, metrics, authenticator), *middleware],
    )
    for kind in (HTTPException, RequestValidationError, TrefoilError):
        app.add_exception_handler(kind, handle)
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.authenticator = authenticator
    app.include_router(health_router(ready))
    app.include_router(metrics_router(metrics), dependencies=[Depends(authenticated)])
    if public is not None:
        app.include_router(public)
    app.include_router(router, dependencies=[Depends(authenticated)])
    return app


def _stack(
    settings: ServiceSettings, metrics: Metrics, authenticator: Authenticator
) -> list[Middleware]:
    """Outermost first: a request passes down this list, its answer comes back up."""
    rate, bucket = parse_rate(settings.rate_limit), _bucket(authenticator)
    size, seconds = settings.max_body_bytes, settings.body_timeout
    return [
        Middleware(RequestIdMiddleware),
        Middleware(AccessLogMiddleware),
        Middleware(MetricsMiddleware, metrics=metrics),
        Middleware(SecurityHeadersMiddleware),
        Middleware(ErrorsMiddleware),
        Middleware(HeadLimitMiddleware),
        Middleware(RateLimitMiddleware, rate=rate, bucket=bucket),
        Middleware(BodyLimitMiddleware, max_bytes=size, timeout=seconds),
    ]


def _guarded(
    lifespan: Lifespan | None, settings: ServiceSettings, authenticator: Authenticator
) -> Lifespan:
    @asynccontextmanager
    async def guarded(app: FastAPI) -> AsyncIterator[Any]:
        # The service first: it may have to make the table that the keys are in.
        async with (lifespan or _nothing)(app) as state:
            await authenticator.refuse_open_start(settings.host, settings.command)
            yield state

    return guarded


@asynccontextmanager
async def _nothing(app: FastAPI) -> AsyncIterator[None]:
    yield


def _bucket(authenticator: Authenticator) -> Callable[[Scope], str]:
    """Requests are counted by key once the key has been found right, until then by address: else
    a new made-up key for each request would be a new count each time."""

    def bucket(scope: Scope) -> str:
        presented = presented_key(Headers(scope=scope))
        caller = authenticator.remembered(presented) if presented else None
        return f"key {caller.name}" if caller else f"address {address_bucket(scope)}"

    return bucket
