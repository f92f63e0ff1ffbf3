"""Where does the shop's owner see what the shelves are worth, and why an item stands in one?"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from core.web.pages import Pages


def make_owner_router(pages: Pages) -> APIRouter:
    """The routes of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/dashboard")
    def dashboard(request: Request) -> Response:
        return pages.response(request, "dashboard.html", charts=True)

    @router.get("/inspector")
    def inspector(request: Request) -> Response:
        return pages.response(request, "inspector.html", charts=False)

    return router
