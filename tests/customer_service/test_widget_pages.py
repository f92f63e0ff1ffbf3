"""The widget's one script, and the page on which one tries it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.db.engine import make_engine, session_factory
from core.db.keys import create_publishable_key
from services.customer_service import widget_pages
from services.customer_service.settings import Settings
from services.customer_service.tables import api_keys
from services.customer_service.widget_pages import SAMPLES, texts_in, widget_script

HERE = Path(widget_pages.__file__).parent


def test_the_widget_with_styles_and_both_languages_is_one_small_script(client: TestClient) -> None:
    served = client.get("/widget.js", headers={"accept-encoding": "identity"})
    assert served.headers["content-type"].startswith("text/javascript")
    assert len(served.content) <= 30_000
    assert "import " not in served.text
    assert "export " not in served.text
    assert "请输入消息" in served.text
    packed = client.get("/widget.js", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == served.content
    assert len(widget_script().packed) < 15_000


def test_a_browser_that_has_the_script_gets_no_second_one(client: TestClient) -> None:
    served = client.get("/widget.js")
    assert served.headers["cache-control"] == "public, max-age=300"
    again = client.get("/widget.js", headers={"if-none-match": served.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == served.headers["etag"]
    assert client.head("/widget.js").status_code == 200


def test_any_site_may_load_the_script(client: TestClient) -> None:
    headers = client.get("/widget.js").headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cross-origin-resource-policy"] == "cross-origin"


def test_the_script_is_packed_once_and_the_same_in_every_process() -> None:
    first, second = widget_script(), widget_script()
    assert first == second
    assert gzip.decompress(first.packed) == first.content


@pytest.mark.parametrize("name", ["widget*.js", "chat.js"])
def test_every_text_has_a_chinese_one(name: str) -> None:
    chinese = json.loads((HERE / "texts_zh.json").read_text(encoding="utf-8"))
    files = sorted((HERE / "static").glob(name))
    assert files
    texts = [text for file in files for text in texts_in(file.read_text(encoding="utf-8"))]
    assert [text for text in texts if text not in chinese] == []


def test_the_page_shows_questions_of_both_languages_and_the_tag_to_copy(
    client: TestClient,
) -> None:
    page = client.get("/", headers={"accept-language": "zh-CN"})
    assert page.headers["content-language"] == "zh"
    assert SAMPLES["zh"][0][1][0] in page.text
    assert SAMPLES["en"][0][1][0] in page.text
    assert "&lt;script src=&#34;http://localhost/widget.js&#34;" in page.text or (
        '&lt;script src="http://localhost/widget.js"' in page.text
    )


def test_a_widget_reads_how_its_hand_over_stands(client: TestClient) -> None:
    def stands() -> Any:
        return client.get("/v1/conversations/c").json()["handoff"]

    client.post("/v1/chat", json={"message": "hello bot", "conversation_id": "c"})
    assert stands() is None
    client.post("/v1/chat", json={"message": "get me a human", "conversation_id": "c"})
    assert stands() == "waiting"
    client.app.state.people.handoffs.take("c", "anna")  # type: ignore[attr-defined]
    assert stands() == "taken"
    client.app.state.people.handoffs.resolve("c", "anna")  # type: ignore[attr-defined]
    assert stands() == "resolved"


def test_page_and_script_open_without_a_key_where_keys_are_in_use(
    client: TestClient, shop: Settings
) -> None:
    with session_factory(make_engine(shop.database_url)).begin() as session:
        create_publishable_key(session, api_keys, "site", ["https://shop.example"])
    client.app.state.authenticator._in_use = (float("-inf"), False)  # type: ignore[attr-defined]
    assert client.get("/").status_code == 200
    assert client.get("/widget.js").status_code == 200
    assert client.post("/v1/sessions").status_code == 401
