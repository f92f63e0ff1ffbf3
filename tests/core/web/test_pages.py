"""Do pages come in the reader's language, with a policy that lets nothing foreign in?"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import Response

from core.settings import ServiceSettings
from core.web import create_app
from core.web.pages import Pages, plotly_file

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    """A service's folder with one template, one script and one translation."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "static").mkdir()
    (tmp_path / "secret.js").write_text("secret")
    (tmp_path / "static" / "page.js").write_text("export const a = 1;\n")
    (tmp_path / "static" / "notes.txt").write_text("not served")
    template = (
        "{% extends 'base.html' %}{% block main %}<p>{{ t('Hello') }} {{ who }}</p>{% endblock %}"
    )
    (tmp_path / "templates" / "page.html").write_text(template)
    (tmp_path / "texts_zh.json").write_text(json.dumps({"Hello": "你好"}), encoding="utf-8")
    return Pages(tmp_path, "Shop", (("/page", "Page"),))


@pytest.fixture
def client(pages: Pages) -> TestClient:
    return TestClient(app_of(pages))


def app_of(pages: Pages) -> FastAPI:
    router = APIRouter()

    @router.get("/page")
    def page(request: Request, charts: bool = False) -> Response:
        return pages.response(request, "page.html", charts=charts, who=HOSTILE)

    router.include_router(pages.router())
    return create_app("x", settings=ServiceSettings(), router=APIRouter(), public=router)


@pytest.mark.parametrize(
    ("preferred", "shown"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "你好"),
        ("en-GB,zh;q=0.5", "Hello"),
        ("de, zh;q=0.3", "你好"),
        ("de", "Hello"),
        ("", "Hello"),
        ("zh;q=none", "Hello"),
    ],
)
def test_a_page_comes_in_the_language_that_the_browser_prefers(
    client: TestClient, preferred: str, shown: str
) -> None:
    assert shown in client.get("/page", headers={"accept-language": preferred}).text


def test_a_language_chosen_by_hand_wins_and_is_kept(client: TestClient) -> None:
    chosen = client.get("/page?lang=zh", headers={"accept-language": "en"})
    assert '<html lang="zh">' in chosen.text
    assert "你好" in client.get("/page", headers={"accept-language": "en"}).text


def test_what_comes_from_outside_is_written_as_text(client: TestClient) -> None:
    answer = client.get("/page").text
    assert HOSTILE not in answer
    assert "&lt;script&gt;" in answer


def test_scripts_come_from_here_alone_and_styles_may_be_inline_beside_charts_only(
    client: TestClient,
) -> None:
    plain = client.get("/page").headers["content-security-policy"]
    charts = client.get("/page?charts=true").headers["content-security-policy"]
    assert "script-src 'self';" in plain and "script-src 'self';" in charts
    assert "unsafe-inline" not in plain
    assert "style-src 'self' 'unsafe-inline';" in charts


def test_a_file_under_its_digest_may_be_kept_for_ever(client: TestClient, pages: Pages) -> None:
    kept = client.get(f"/static/{pages.digest}/app/page.js")
    other = client.get("/static/older/app/page.js")
    assert kept.headers["content-type"].startswith("text/javascript")
    assert "immutable" in kept.headers["cache-control"]
    assert other.status_code == 200
    assert other.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["app/../secret.js", "app/%2e%2e/secret.js", "app/notes.txt", "app/none.js", "x/page.js"],
)
def test_nothing_else_of_the_disk_is_served(client: TestClient, pages: Pages, path: str) -> None:
    assert client.get(f"/static/{pages.digest}/{path}").status_code == 404


def test_the_chart_library_comes_packed_where_the_browser_unpacks(
    client: TestClient, pages: Pages
) -> None:
    address = f"/static/{pages.digest}/vendor/plotly.min.js"
    with client.stream("GET", address, headers={"accept-encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    plain = client.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == gzip.decompress(raw) == plotly_file().read_bytes()


def test_another_content_makes_another_digest(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "static" / "page.js").write_text("export const a = 2;\n")
    assert Pages(tmp_path, "Shop").digest != pages.digest
