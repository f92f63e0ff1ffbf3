"""Which pages are there, may they run nothing but our scripts, and is the snippet small?"""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from services.recommender.app import create_app
from services.recommender.settings import Settings


@pytest.mark.parametrize(
    "path", ["/", "/search?q=tea", "/products/a/b", "/cart", "/dashboard", "/inspector"]
)
def test_every_page_is_there_without_a_model_and_runs_our_scripts_alone(
    settings: Settings, path: str
) -> None:
    with TestClient(create_app(settings)) as client:
        answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert ("unsafe-inline" in policy) == (path == "/dashboard")
    assert "onclick" not in answer.text and "style=" not in answer.text


def test_what_is_searched_for_is_text(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        answer = client.get("/search", params={"q": '"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.text


def test_the_snippet_is_small_with_and_without_packing(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        plain = client.get("/shelf.js", headers={"accept-encoding": "identity"})
        packed = client.get("/shelf.js", headers={"accept-encoding": "gzip"})
    assert len(plain.content) <= 10_000
    assert b"//" not in plain.content.replace(b"://", b""), "comments are left out"
    assert int(packed.headers["content-length"]) <= 5_000
    assert packed.content == plain.content
    assert plain.headers["content-type"].startswith("text/javascript")
