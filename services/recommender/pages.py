"""Which pages does the recommender show? A demo storefront, what its owner looks at, and the script
that puts shelves into a shop's own pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from core.web.pages import Pages
from core.web.routes import joined
from services.recommender.owner_pages import make_owner_router
from services.recommender.shop_pages import make_shop_router
from services.recommender.snippet_pages import make_snippet_router


def make_pages_router() -> APIRouter:
    """The routes of all pages and of what they load; anybody may have those, what they show asks
    for a key itself."""
    folder = Path(__file__).parent
    pages = Pages(
        folder,
        "Recommender",
        (("/", "Storefront"), ("/dashboard", "Dashboard"), ("/inspector", "Inspector")),
    )
    return joined(
        pages.router(),
        make_shop_router(pages),
        make_owner_router(pages),
        make_snippet_router(folder / "static" / "shelf.js"),
    )
