"""How are routes joined, and how is a request named in metrics and logs, so that no caller can make
up new names?"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.types import Scope

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def joined(*routers: APIRouter) -> APIRouter:
    """All their routes as one router; the first that matches a path has it."""
    every = APIRouter()
    for one in routers:
        every.include_router(one)
    return every


def route_template(scope: Scope) -> str:
    """The route as it is written in the code, "/v1/items/{item_id}"; known after routing."""
    # Where routers are nested, FastAPI keeps the whole template here and a part of it in "route".
    nested = scope.get("fastapi")
    context = nested.get("effective_route_context") if isinstance(nested, dict) else None
    template = getattr(context, "path", None) or getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else UNMATCHED


def method_name(scope: Scope) -> str:
    """The method, or "other" for one that nobody needs."""
    method = str(scope.get("method", ""))
    return method if method in _METHODS else "other"
