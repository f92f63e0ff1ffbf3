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
from core.web.auth import (
    Authenticator,
    KeyVerifier,
    LogIns,
    TokenVerifier,
    admitted,
    authenticated,
    presented_key,
)
from core.web.cors import CorsMiddleware, OriginSource
from core.web.errors import PROBLEM_RESPONSES, ErrorsMiddleware, Shape, handle, no_shape
from core.web.headers import SecurityHeadersMiddleware
from core.web.health import Ready, health_router
from core.web.limits import (
    BodyLimitMiddleware,
    HeadLimitMiddleware,
    RateLimiter,
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
    bound: APIRouter | None = None,
    tokens: TokenVerifier | None = None,
    logins: LogIns | None = None,
    origins: OriginSource | None = None,
    problem_shape: Shape = no_shape,
    middleware: Sequence[Middleware] = (),
    version: str = "0.1.0",
) -> FastAPI:
    """A service's app.

    `router` holds what needs a key, `public` what anybody may have (pages, a widget's script), and
    `bound` what a publishable key or a session token opens too: each route of it asks for a scope.
    `lifespan` starts the service's parts and stops them; `ready` says whether they work. `tokens`
    verifies session tokens, `logins` the cookies of people; pages of `origins` may read answers;
    `problem_shape` gives errors of some paths another shape. `app.state` holds the common parts.
    """
    metrics = Metrics()
    authenticator = Authenticator(keys, settings.host, tokens=tokens, logins=logins)
    limiter = RateLimiter(parse_rate(settings.rate_limit), _bucket(authenticator))
    app = FastAPI(
        title=title,
        version=version,
        lifespan=_guarded(lifespan, settings, authenticator),
        # Their pages load scripts from elsewhere; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=PROBLEM_RESPONSES,
        middleware=[*_stack(settings, metrics, limiter, origins, problem_shape), *middleware],
    )
    for kind in (HTTPException, RequestValidationError, TrefoilError):
        app.add_exception_handler(kind, handle)
    app.state.settings, app.state.metrics = settings, metrics
    app.state.authenticator, app.state.limiter = authenticator, limiter
    app.state.problem_shape = problem_shape
    app.include_router(health_router(ready))
    app.include_router(public or APIRouter())
    app.include_router(bound or APIRouter(), dependencies=[Depends(admitted)])
    for guarded in (metrics_router(metrics), router):
        app.include_router(guarded, dependencies=[Depends(authenticated)])
    return app


def _stack(
    settings: ServiceSettings,
    metrics: Metrics,
    limiter: RateLimiter,
    origins: OriginSource | None,
    shape: Shape,
) -> list[Middleware]:
    """Outermost first: a request passes down this list, its answer comes back up."""
    # A page must be able to read errors too, so CORS is outside of what answers them.
    cors = [] if origins is None else [Middleware(CorsMiddleware, source=origins)]
    size, seconds = settings.max_body_bytes, settings.body_timeout
    return [
        Middleware(RequestIdMiddleware),
        Middleware(AccessLogMiddleware),
        Middleware(MetricsMiddleware, metrics=metrics),
        Middleware(SecurityHeadersMiddleware),
        *cors,
        Middleware(ErrorsMiddleware, shape=shape),
        Middleware(HeadLimitMiddleware),
        Middleware(RateLimitMiddleware, limiter=limiter),
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
    a new made-up key for each request would be a new count each time. What stands in a web page is
    everybody's, so there too it is the address that counts."""

    def bucket(scope: Scope) -> str:
        presented = presented_key(Headers(scope=scope))
        caller = authenticator.remembered(presented) if presented else None
        if caller is None or caller.bound:
            return f"address {address_bucket(scope)}"
        return f"key {caller.name}"

    return bucket
