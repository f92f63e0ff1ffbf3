"""Where does a person see the desk?

The page is the same for everybody and holds nothing of any conversation; what it shows it asks for,
with the cookie of whoever logged in.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from core.web.pages import Pages
from services.customer_service.desk_cookie import cookie_of
from services.customer_service.people import People


def make_desk_router(pages: Pages) -> APIRouter:
    """The routes of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/desk")
    def desk(request: Request) -> Response:
        return pages.response(request, "desk.html", **log_in_state(request))

    return router


def log_in_state(request: Request) -> dict[str, bool]:
    """`logged_in`: whether the browser's session holds; `agents`: whether anybody can log in."""
    people: People = request.app.state.people
    token = cookie_of(request.headers)
    logged_in = bool(token) and people.accounts.of_token(token) is not None
    return {"logged_in": logged_in, "agents": logged_in or bool(people.accounts.all())}
