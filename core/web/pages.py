"""How does a server show pages, with everything that they need coming from this machine?

A service keeps `templates/` (Jinja2), `static/` (styles and ES modules) and `texts_zh.json`
(English text → Chinese) beside its code; the shared ones lie here. Styles and scripts are served
under

    /static/<digest>/core/…      what all services share
    /static/<digest>/app/…       the service's own
    /static/<digest>/vendor/plotly.min.js

where <digest> is that of all these files, so a browser may keep them for ever and a module may
import another by a relative path. A page may run no script but those, and reach no other host.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, HTMLResponse, Response

from core.errors import NotFound, TrefoilError

LANGUAGES: Final = ("en", "zh")
LANGUAGE_COOKIE: Final = "trefoil_lang"
PLOTLY: Final = "vendor/plotly.min.js"
_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'{style}; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Pages:
    """The pages of one service. `folder` holds its templates, static files and texts; `title` is
    what stands in the header, `links` the entries of its menu as (path, English text)."""

    def __init__(self, folder: Path, title: str, links: tuple[tuple[str, str], ...] = ()) -> None:
        self._roots = {"core": _HERE / "static", "app": folder / "static"}
        self._texts = _texts(_HERE) | _texts(folder)
        self._title, self._links = title, links
        self.digest = _digest(self._files())
        self._plotly: bytes | None = None
        self._environment = Environment(
            loader=ChoiceLoader(
                [FileSystemLoader(folder / "templates"), FileSystemLoader(_HERE / "templates")]
            ),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def response(
        self, request: Request, template: str, *, charts: bool = False, **context: Any
    ) -> HTMLResponse:
        """The page in the language of the reader. `charts`: it draws with plotly, which writes
        styles of its own, so these are allowed there and nowhere else."""
        language = language_of(request)
        texts = self._texts if language == "zh" else {}
        html = self._environment.get_template(template).render(
            t=translator(texts),
            lang=language,
            texts=texts,
            service=self._title,
            links=self._links,
            path=request.url.path,
            other_language=_address(request, lang="en" if language == "zh" else "zh"),
            static=f"/static/{self.digest}",
            plotly=f"/static/{self.digest}/{PLOTLY}" if charts else "",
            **context,
        )
        headers = {
            "Content-Security-Policy": _POLICY.format(style=" 'unsafe-inline'" if charts else ""),
            "Content-Language": language,
            "Vary": "Accept-Language, Cookie",
        }
        response = HTMLResponse(html, headers=headers)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=31_536_000, samesite="lax")
        return response

    def router(self) -> APIRouter:
        """The route of the static files."""
        router = APIRouter(include_in_schema=False)

        @router.get("/static/{digest}/{owner}/{path:path}")
        def static(request: Request, digest: str, owner: str, path: str) -> Response:
            response = (
                self._chart_library(request)
                if f"{owner}/{path}" == PLOTLY
                else FileResponse(self._file(owner, path), media_type=_TYPES[Path(path).suffix])
            )
            kept = digest == self.digest
            response.headers["Cache-Control"] = (
                "public, max-age=31536000, immutable" if kept else "no-cache"
            )
            return response

        return router

    def _file(self, owner: str, path: str) -> Path:
        root = self._roots.get(owner)
        found = (root / path).resolve() if root is not None else None
        if (
            root is None
            or found is None
            or not found.is_relative_to(root.resolve())
            or found.suffix not in _TYPES
            or not found.is_file()
        ):
            raise NotFound(f"there is no file {owner}/{path}"[:200])
        return found

    def _chart_library(self, request: Request) -> Response:
        """Packed once and kept: four times smaller, which counts on a phone."""
        headers = {"Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(plotly_file(), media_type=_TYPES[".js"], headers=headers)
        if self._plotly is None:
            self._plotly = gzip.compress(plotly_file().read_bytes(), mtime=0)
        headers["Content-Encoding"] = "gzip"
        return Response(self._plotly, media_type=_TYPES[".js"], headers=headers)

    def _files(self) -> Iterator[Path]:
        for root in self._roots.values():
            yield from sorted(p for p in root.rglob("*") if p.suffix in _TYPES)


def _address(request: Request, **query: str) -> str:
    """The page's own path and query with these in it, without the host."""
    url = request.url.include_query_params(**query)
    return f"{url.path}?{url.query}"


def translator(texts: dict[str, str]) -> Callable[..., str]:
    """t("{n} stories", n=3): the text in the reader's language, its English where there is none."""

    def t(english: str, **values: object) -> str:
        text = texts.get(english, english)
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    return t


def language_of(request: Request) -> str:
    """What the reader chose (?lang=, then a cookie), else what the browser prefers."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return str(chosen)
    wanted = []
    for part in request.headers.get("accept-language", "")[:200].split(","):
        name, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), name[:2].lower()))
        except ValueError:
            continue
    return next((name for _, name in sorted(wanted) if name in LANGUAGES), LANGUAGES[0])


def plotly_file() -> Path:
    """plotly.min.js in the installed wheel; the Python part of plotly is never imported."""
    spec = importlib.util.find_spec("plotly")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "package_data" / "plotly.min.js"
        if file.is_file():
            return file
    raise TrefoilError("plotly's script is not installed", mend="pip install plotly")


def _texts(folder: Path) -> dict[str, str]:
    file = folder / "texts_zh.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _digest(files: Iterator[Path]) -> str:
    total = hashlib.sha256(str(plotly_file().stat().st_size).encode())
    for file in files:
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:12]
