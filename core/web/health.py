"""Does the process live, and can it do its work?

/healthz says 200 as long as the process answers at all: restart it when it does not.
/readyz says 200 when every check passes, else 503: send no requests to it yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.errors import TrefoilError
from core.web.errors import Problem, problem_response

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be there, such as Check("database", False, "does not answer")."""

    name: str
    ok: bool
    detail: str = ""


def database_check(ask: Callable[[], None]) -> Check:
    """Whether the database answers; `ask` (`core.db.engine.ping`) raises our own error if not."""
    try:
        ask()
    except TrefoilError:
        return Check("database", False, "does not answer")
    return Check("database", True)


# May block (a query): a plain function is run in a thread.
Ready = Callable[[], Sequence[Check] | Awaitable[Sequence[Check]]]


def health_router(ready: Ready | None = None) -> APIRouter:
    """GET /healthz and /readyz, both without a key."""
    router = APIRouter()

    @router.api_route("/healthz", methods=["GET", "HEAD"], include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @router.api_route("/readyz", methods=["GET", "HEAD"], include_in_schema=False)
    async def is_ready(request: Request) -> Response:
        checks = await _checked(ready)
        body = [asdict(check) for check in checks]
        failed = [check.name for check in checks if not check.ok]
        if not failed:
            return JSONResponse({"status": "ready", "checks": body})
        problem = Problem(
            status=503,
            type="not-ready",
            title="Not ready",
            detail=f"not ready: {', '.join(failed)}",
            headers={"Retry-After": "1"},
        )
        return problem_response(problem, extra={"checks": body})

    return router


async def _checked(ready: Ready | None) -> Sequence[Check]:
    if ready is None:
        return []
    try:
        return await asyncio.wait_for(_ask(ready), CHECK_SECONDS)
    except TimeoutError:
        return [Check("checks", False, f"no result within {CHECK_SECONDS:g} s")]
    except Exception:
        # A check that cannot even be made is a failed check; the probe must get its answer.
        logger.warning("a readiness check failed", exc_info=True)
        return [Check("checks", False, "failed; see the log")]


async def _ask(ready: Ready) -> Sequence[Check]:
    # In a thread either way: making a coroutine there does no harm, blocking here would.
    found: Sequence[Check] | Awaitable[Sequence[Check]] = await run_in_threadpool(ready)
    return found if isinstance(found, Sequence) else await found
