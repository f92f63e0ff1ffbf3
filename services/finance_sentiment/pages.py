"""Which pages does the news monitor show? Their data come from the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import Response

from core.web.pages import Pages


def make_pages_router() -> APIRouter:
    """The routes of all pages and of what they load."""
    pages = Pages(
        Path(__file__).parent,
        "News monitor",
        (("/", "Dashboard"), ("/backtest", "Backtest"), ("/sources", "Sources")),
    )
    router = APIRouter(include_in_schema=False)
    router.include_router(pages.router())

    @router.get("/")
    def dashboard(request: Request) -> Response:
        return pages.response(request, "dashboard.html", charts=True)

    @router.get("/alerts/{alert_id}")
    def alert(request: Request, alert_id: Annotated[int, InPath(ge=1, le=2**53)]) -> Response:
        return pages.response(request, "alert.html", charts=True, alert_id=alert_id)

    @router.get("/backtest")
    def backtest(request: Request) -> Response:
        return pages.response(request, "backtest.html", charts=True)

    @router.get("/sources")
    def sources(request: Request) -> Response:
        return pages.response(request, "sources.html")

    return router
