"""Where does a person see the dashboard?

Where the server answers its own machine without keys the page shows it at once; else an admin logs
in, as at the desk.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from core.errors import TrefoilError
from core.web.auth import Authenticator
from core.web.pages import Pages
from services.customer_service.desk_pages import log_in_state


def make_dashboard_router(pages: Pages) -> APIRouter:
    """The routes of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/dashboard")
    async def dashboard(request: Request) -> Response:
        state = await run_in_threadpool(log_in_state, request)
        may = await _may(request)
        return pages.response(request, "dashboard.html", charts=True, may=may, **state)

    return router


async def _may(request: Request) -> bool:
    """Whether what this browser sends opens the figures."""
    authenticator: Authenticator = request.app.state.authenticator
    try:
        caller = await authenticator.identify(request.headers, request.scope)
    except TrefoilError:
        return False
    return not caller.bound and caller.may("admin")
