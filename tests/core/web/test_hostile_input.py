"""Does nothing that comes from outside make a 500?"""

from __future__ import annotations

import json
import re

import pytest
from fastapi.testclient import TestClient

from core.errors import InvalidInput
from core.web.json_check import MAX_DEPTH, check_json

JSON = {"content-type": "application/json"}


def nested(depth: int) -> bytes:
    return b'{"message": "a", "metadata": {"x": ' + b"[" * depth + b"]" * depth + b"}}"


HOSTILE = {
    "nothing": (b"", 422, "field required|required"),
    "not JSON": (b"{not json", 422, "not JSON"),
    "a wrong shape": (b'["message"]', 422, "body"),
    "a bare number": (b"17", 422, "body"),
    "null": (b"null", 422, "body"),
    "a wrong type": (b'{"message": {"a": 1}}', 422, "body.message"),
    "a missing field": (b'{"text": "a"}', 422, "body.message: field required"),
    "NaN": (b'{"message": "a", "weight": NaN}', 422, "NaN is not a JSON number"),
    "minus infinity": (b'{"message": "a", "weight": -Infinity}', 422, "not a JSON number"),
    "infinity in disguise": (b'{"message": "a", "weight": 1e999}', 422, "too large"),
    "infinity written out": (b'{"message": "a", "weight": 1' + b"0" * 400 + b".0}", 422, "large"),
    "a huge integer": (b'{"message": "a", "weight": ' + b"9" * 6_000 + b"}", (400, 422), ""),
    "NUL": (rb'{"message": "a\u0000b"}', 422, "NUL"),
    "NUL in a key": (rb'{"message": "a", "metadata": {"\u0000": 1}}', 422, "NUL"),
    "a raw NUL": (b'{"message": "a\x00b"}', 422, "not JSON"),
    "half a surrogate pair": (rb'{"message": "\ud83d"}', 422, "surrogate"),
    "a surrogate in bytes": (b'{"message": "\xed\xa0\xbd"}', 422, "not UTF-8"),
    "another encoding": ('{"message": "grün"}'.encode("latin-1"), 422, "not UTF-8"),
    "UTF-16": ('{"message": "a"}'.encode("utf-16"), 422, "not UTF-8"),
    "deep nesting": (nested(200), 422, "nested deeper than"),
    "endless nesting": (b"[" * 50_000, (400, 422), ""),
    "many characters": (b'{"message": "' + b"x" * 3_000 + b'"}', 422, "body.message"),
    "a megabyte": (b'{"message": "' + b"x" * 1_000_000 + b'"}', 413, "100000 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_get_a_clean_answer(client: TestClient, name: str) -> None:
    body, status, said = HOSTILE[name]
    response = client.post("/v1/chat", content=body, headers=JSON)
    assert response.status_code in (status if isinstance(status, tuple) else (status,))
    assert response.headers["content-type"] == "application/problem+json"
    assert re.search(said, response.json()["detail"])


ODD = {
    "empty": "",
    "emoji": "😀👍🏽🇨🇳",
    "right to left": "مرحبا بالعالم",
    "HTML": "<script>alert(1)</script>",
    "looks bad": "NaN \\u0000 Infinity 1e999",
    "beyond 16 bits": "𝒳" * 400,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_but_honest_text_passes_unchanged(client: TestClient, text: str) -> None:
    response = client.post("/v1/chat", json={"message": text})
    assert response.status_code == 200
    assert response.json() == {"text": text}


def test_a_whole_surrogate_pair_in_escapes_passes(client: TestClient) -> None:
    response = client.post("/v1/chat", content=rb'{"message": "\ud83d\ude00"}', headers=JSON)
    assert response.json() == {"text": "😀"}


def test_a_byte_order_mark_passes_or_is_told(client: TestClient) -> None:
    response = client.post("/v1/chat", content=b'\xef\xbb\xbf{"message": "a"}', headers=JSON)
    assert response.status_code in (200, 422)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_named(client: TestClient, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = client.post("/v1/chat", content=b'{"message": "a"}', headers=headers)
    assert response.status_code == 415
    assert "expected Content-Type: application/json" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/stories/a%00b", "/v1/stories/a?cursor=%00"])
def test_nul_in_an_address_is_refused(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 422
    assert "NUL" in response.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/stories/%ed%a0%80", "/v1/stories/%ff?x=%ff%fe", "/%2e%2e/%2f"]
)
def test_broken_utf_8_in_an_address_is_a_plain_404(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_huge_header_is_refused(client: TestClient) -> None:
    response = client.get("/v1/me", headers={"x-filler": "x" * 40_000})
    assert response.status_code == 431
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_without_a_length_is_counted_while_it_comes(client: TestClient) -> None:
    pieces = (b"x" * 10_000 for _ in range(100))
    response = client.post("/v1/chat", content=pieces, headers=JSON)
    assert response.status_code == 413


def test_a_method_nobody_knows_is_a_405(client: TestClient) -> None:
    assert client.request("BREW", "/v1/chat").status_code == 405


def test_a_validation_detail_never_quotes_the_value(client: TestClient) -> None:
    response = client.post("/v1/chat", json={"message": ["my card is 4111"]})
    assert response.status_code == 422
    assert "4111" not in response.text


def test_many_errors_are_told_as_three_and_a_number(client: TestClient) -> None:
    response = client.post("/v1/chat", json={"message": 1, "metadata": 1, "weight": "x"})
    assert response.json()["detail"].count(";") == 2


def test_depth_up_to_the_limit_is_allowed() -> None:
    check_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(InvalidInput, match="nested deeper"):
        check_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_many_flat_items_are_not_deep() -> None:
    check_json(json.dumps([{"n": n} for n in range(2_000)]).encode())
