"""Where does a shop's own page get the script from that fills its shelves?

At one address that stays, so that the page need never change; a browser asks every few minutes
whether it is still the same. Any site may load it: the script is no secret, and what it asks for
needs a key that is bound to the site. It is served without its comments and spaces.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import rjsmin
from fastapi import APIRouter, Request
from starlette.responses import Response

_HEADERS = {
    "Cache-Control": "public, max-age=300",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
    "Vary": "Accept-Encoding",
}


def make_snippet_router(script: Path) -> APIRouter:
    """The route of the script."""
    router = APIRouter(include_in_schema=False)
    plain = rjsmin.jsmin(script.read_text(encoding="utf-8")).encode()
    packed = gzip.compress(plain, mtime=0)

    @router.get("/shelf.js")
    def shelf(request: Request) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        headers = _HEADERS | ({"Content-Encoding": "gzip"} if zipped else {})
        content = packed if zipped else plain
        return Response(content, media_type="text/javascript; charset=utf-8", headers=headers)

    return router
