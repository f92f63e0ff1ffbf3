"""Where does a person see the widget? On `/`, and on any site that has the one script tag.

`/widget.js` is one classic script: the parts below, which are ES modules to read and edit, with
their imports and comments left out, the styles and the Chinese texts in it. It says to anybody what
it is, so any site may load it; what it then may do, its key and the page's origin decide.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import rcssmin
import rjsmin
from fastapi import APIRouter, Request
from starlette.responses import Response

from core.web import pages as core_pages
from core.web.pages import Pages, language_of

_HERE: Final = Path(__file__).parent
_CORE: Final = Path(core_pages.__file__).parent
_DOM: Final = _CORE / "static" / "dom.js"
# What the parts take of it.
_TAKEN: Final = ("el", "fill", "safeLink")
# Each uses only what comes before it.
_PARTS: Final = (
    "widget_words.js",
    "widget_memory.js",
    "widget_link.js",
    "widget_view.js",
    "widget_talk.js",
    "widget.js",
)
_TEXT = re.compile(r'\bt\("((?:[^"\\]|\\.)*)"')
_IMPORT = re.compile(r"^import .*$", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
_KEPT: Final = "public, max-age=300"

# What a first visitor may click, by language; chosen to show each kind of answer.
SAMPLES: Final = {
    "en": (
        ("Orders and delivery", ("Where is my order LY-204518?", "How long does delivery take?")),
        (
            "Returns and repairs",
            ("What is the return policy?", "My laptop is defective, I want a repair"),
        ),
        (
            "Good to know",
            ("Do I need a licence for a 900 g drone?", "Is there a student discount?"),
        ),
        ("Somebody real", ("I want to talk to a human", "Are you a robot?")),
    ),
    "zh": (
        ("订单与配送", ("我的订单 LY-204518 到哪了？", "送货要几天？")),
        ("退货与维修", ("退货政策是什么？", "我要申请保修")),
        ("使用与购买", ("耳机怎么配对？", "可以送到哪些国家？")),
        ("人工客服", ("转人工", "你是机器人吗？")),
    ),
}


@dataclass(frozen=True)
class Script:
    """The widget as it is served: as it is, packed, and under which tag it is known."""

    content: bytes
    packed: bytes
    tag: str


def make_widget_router(pages: Pages) -> APIRouter:
    """The routes of these pages."""
    router = APIRouter(include_in_schema=False)
    script = widget_script()

    @router.get("/")
    def chat(request: Request) -> Response:
        language = language_of(request)
        other = [questions[0] for _, questions in SAMPLES["en" if language == "zh" else "zh"]][:3]
        return pages.response(
            request,
            "chat.html",
            samples=SAMPLES[language],
            other=other,
            origin=str(request.base_url).rstrip("/"),
        )

    @router.api_route("/widget.js", methods=["GET", "HEAD"])
    def widget(request: Request) -> Response:
        headers = {
            "Cache-Control": _KEPT,
            "ETag": script.tag,
            "Vary": "Accept-Encoding",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if script.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = script.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["Content-Encoding"] = script.packed, "gzip"
        return Response(content, media_type="text/javascript; charset=utf-8", headers=headers)

    return router


def widget_script() -> Script:
    """The one script, made of its parts."""
    static = _HERE / "static"
    parts = [_taken(_DOM.read_text(encoding="utf-8"))]
    parts += [(static / name).read_text(encoding="utf-8") for name in _PARTS]
    styles = rcssmin.cssmin((static / "widget.css").read_text(encoding="utf-8"))
    texts = _texts(parts)
    given = f"const CSS={_said(styles)},TEXTS={_said(list(texts.items()))};"
    places = {text: place for place, text in enumerate(texts)}
    code = "\n".join([given, *(_plain(part, places) for part in parts)])
    content = rjsmin.jsmin(f"(()=>{{{code}}})();").encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return Script(content, gzip.compress(content, mtime=0), tag)


def texts_in(script: str) -> list[str]:
    """The English texts that a script says: what stands in t("…")."""
    return [json.loads(f'"{text}"') for text in _TEXT.findall(script)]


def _texts(parts: list[str]) -> dict[str, str]:
    """English → Chinese, of all that the parts say."""
    chinese: dict[str, str] = {}
    for folder in (_CORE, _HERE):
        chinese |= json.loads((folder / "texts_zh.json").read_text(encoding="utf-8"))
    return {text: chinese.get(text, text) for part in parts for text in texts_in(part)}


def _said(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _taken(dom: str) -> str:
    """The paragraphs that export what is taken."""
    wanted = [re.compile(rf"^export (?:function|const) {name}\b", re.MULTILINE) for name in _TAKEN]
    return "\n".join(p for p in dom.split("\n\n") if any(one.search(p) for one in wanted))


def _plain(part: str, places: Mapping[str, int]) -> str:
    """A part without what ties modules together; a text becomes its place in the list, so that it
    stands there once."""
    part = _TEXT.sub(lambda m: f"t({places[json.loads(chr(34) + m[1] + chr(34))]}", part)
    return _EXPORT.sub("", _IMPORT.sub("", part))
