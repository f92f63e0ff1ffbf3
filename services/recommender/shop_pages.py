"""Where does a person go shopping? The demo storefront: home, search, a product, the cart.

Shells alone: what they show is asked for by their scripts, so a page is the same for everybody.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from core.web.pages import Pages
from services.recommender.api import ItemId
from services.recommender.search import MOST_CHARS


def make_shop_router(pages: Pages) -> APIRouter:
    """The routes of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def home(request: Request) -> Response:
        return pages.response(request, "home.html", query="")

    @router.get("/search")
    def search(request: Request, q: Annotated[str, Query(max_length=MOST_CHARS)] = "") -> Response:
        return pages.response(request, "search.html", query=q)

    @router.get("/products/{item_id:path}")
    def product(request: Request, item_id: ItemId) -> Response:
        return pages.response(request, "product.html", item_id=item_id, query="")

    @router.get("/cart")
    def cart(request: Request) -> Response:
        return pages.response(request, "cart.html", query="")

    return router
