"""Which pages does the support bot show? The widget's, the desk's, the dashboard's."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from core.web.pages import Pages
from core.web.routes import joined
from services.customer_service.dashboard_pages import make_dashboard_router
from services.customer_service.desk_pages import make_desk_router
from services.customer_service.widget_pages import make_widget_router


def make_pages_router() -> APIRouter:
    """The routes of all pages and of what they load; anybody may have those, what they show asks
    for a log-in itself."""
    pages = Pages(
        Path(__file__).parent,
        "Support bot",
        (("/", "Try the bot"), ("/desk", "Desk"), ("/dashboard", "Dashboard")),
    )
    return joined(
        pages.router(),
        make_widget_router(pages),
        make_desk_router(pages),
        make_dashboard_router(pages),
    )
