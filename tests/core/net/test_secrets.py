"""Do secrets go only where they belong?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.errors import (
    FetchError,
    InvalidInput,
)
from core.net import GuardedClient, redact

MakeClient = Callable[..., GuardedClient]


def test_a_password_in_an_address_is_sent_as_a_header_and_never_shown(
    client: GuardedClient, site: Any
) -> None:
    site.answers["/feed"] = (200, {}, b"")
    secret = f"http://me:hunter2@127.0.0.1:{site.port}/feed?token=abc"
    response = client.get(secret)
    assert site.asked[0][1] == "/feed?token=abc" or response.status == 404
    assert site.asked[0][2]["authorization"] == "Basic bWU6aHVudGVyMg=="
    assert "hunter2" not in repr(response) + str(response) + response.url
    assert "abc" not in repr(response) + str(response)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@127.0.0.2/a?key=hunter2",
        "ftp://me:hunter2@host/?hunter2",
        "http://me:hunter2@[x/",
    ],
)
def test_errors_do_not_show_secrets(client: GuardedClient, url: str) -> None:
    with pytest.raises(FetchError) as caught:
        client.get(url)
    assert "hunter2" not in str(caught.value) + caught.value.url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/feed.xml", "https://a.example/feed.xml"),
        ("https://me:pw@a.example:8/f?k=v=w&x#y", "https://***@a.example:8/f?k=***&***"),
        (
            "https://hooks.example/T024BE7LD/xoxb9A8b7C6d5E4f3G2h",
            "https://hooks.example/T024BE7LD/***",
        ),
        (
            "https://a.example/a-very-long-title-of-2026",
            "https://a.example/a-very-long-title-of-2026",
        ),
        ("http://[broken", "(not an address)"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"X A": "b"}, {"X-A": "绿"}])
def test_a_header_cannot_smuggle_another(
    client: GuardedClient, site: Any, headers: dict[str, str]
) -> None:
    with pytest.raises((FetchError, InvalidInput)):
        client.get(site.url("/"), headers=headers)
    assert site.asked == []
