"""What comes back from a server, and where do redirects lead?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import (
    AddressRefused,
    FetchError,
    InvalidInput,
    TooManyRedirects,
)
from core.net import GuardedClient

MakeClient = Callable[..., GuardedClient]


def to(*addresses: str) -> Callable[[str, int], list[str]]:
    """A resolver that gives these addresses for every name."""
    return lambda host, port: list(addresses)


def test_a_plain_answer_comes_back_whole(client: GuardedClient, site: Any) -> None:
    site.answers["/feed"] = (200, {"ETag": '"1"'}, "grün 绿".encode())
    response = client.get(site.url("/feed"))
    assert (response.status, response.ok, response.body) == (200, True, "grün 绿".encode())
    assert response.headers["etag"] == '"1"'
    assert response.url == site.url("/feed")
    assert response.redirects == ()
    assert response.elapsed > 0


def test_a_bad_status_is_an_answer_and_no_exception(client: GuardedClient, site: Any) -> None:
    response = client.get(site.url("/missing"))
    assert (response.status, response.ok) == (404, False)


def test_headers_and_a_304_pass_through(client: GuardedClient, site: Any) -> None:
    site.answers["/feed"] = (304, {}, b"")
    assert client.get(site.url("/feed"), headers={"If-None-Match": '"1"'}).status == 304
    assert site.asked[0][2]["if-none-match"] == '"1"'
    assert site.asked[0][2]["user-agent"] == "trefoil"
    assert site.asked[0][2]["host"] == f"127.0.0.1:{site.port}"


def test_json_is_posted_and_read(client: GuardedClient, site: Any) -> None:
    site.answers["/hook"] = (200, {}, b'{"ok": true}')
    response = client.post(site.url("/hook"), json={"text": "绿 😀"})
    assert response.json() == {"ok": True}
    method, _, headers, body = site.asked[0]
    assert (method, headers["content-type"]) == ("POST", "application/json")
    assert json.loads(body) == {"text": "绿 😀"}


def test_an_answer_that_is_no_json_says_so(client: GuardedClient, site: Any) -> None:
    site.answers["/hook"] = (200, {}, b"<html>")
    with pytest.raises(FetchError, match="expected JSON"):
        client.get(site.url("/hook")).json()


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, "\ud800"], ids=["NaN", "set", "surrogate"])
def test_what_is_no_json_is_not_sent(client: GuardedClient, site: Any, value: object) -> None:
    with pytest.raises(InvalidInput, match="cannot be sent as JSON"):
        client.post(site.url("/hook"), json={"value": value})
    assert site.asked == []


def test_connections_are_used_again(client: GuardedClient, site: Any) -> None:
    ports = []
    site.answers["/a"] = lambda handler: (
        ports.append(handler.client_address[1]),
        handler.send_response(204),
        handler.end_headers(),
    )
    client.get(site.url("/a"))
    client.get(site.url("/a"))
    assert len(set(ports)) == 1


def test_redirects_are_followed_and_listed(client: GuardedClient, site: Any) -> None:
    site.answers["/old"] = (301, {"Location": "/newer"}, b"")
    site.answers["/newer"] = (302, {"Location": site.url("/new")}, b"")
    site.answers["/new"] = (200, {}, b"here")
    response = client.get(site.url("/old"))
    assert (response.body, response.url) == (b"here", site.url("/new"))
    assert response.redirects == ((301, site.url("/old")), (302, site.url("/newer")))


def test_a_loop_of_redirects_ends(client: GuardedClient, site: Any) -> None:
    site.answers["/a"] = (302, {"Location": "/b"}, b"")
    site.answers["/b"] = (302, {"Location": "/a"}, b"")
    with pytest.raises(TooManyRedirects, match="more than 5"):
        client.get(site.url("/a"))
    assert len(site.asked) == 6


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest", "http://127.0.0.2/", "http://[::1]/", "http://0/"]
)
def test_a_redirect_to_a_private_address_is_refused(
    client: GuardedClient, site: Any, target: str
) -> None:
    site.answers["/away"] = (302, {"Location": target}, b"")
    with pytest.raises(AddressRefused):
        client.get(site.url("/away"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/", "http://[broken", "http://"])
def test_a_redirect_to_what_is_no_http_address_is_refused(
    client: GuardedClient, site: Any, target: str
) -> None:
    site.answers["/away"] = (302, {"Location": target}, b"")
    with pytest.raises(FetchError):
        client.get(site.url("/away"))


def test_secrets_do_not_follow_to_another_origin(make_client: MakeClient, site: Any) -> None:
    client = make_client(resolver=to("127.0.0.1"), allow=("127.0.0.1/32",))
    site.answers["/a"] = (302, {"Location": site.url("/b", "other.example")}, b"")
    site.answers["/b"] = (200, {}, b"")
    headers = {
        "Authorization": "Bearer x",
        "Cookie": "a=b",
        "X-Signature": "c",
        "Accept": "text/xml",
    }
    client.get(site.url("/a", "feeds.example"), headers=headers)
    first, second = (headers for _, _, headers, _ in site.asked)
    assert {"authorization", "cookie", "x-signature"} <= first.keys()
    assert not {"authorization", "cookie", "x-signature"} & second.keys()
    assert second["accept"] == "text/xml"


def test_secrets_follow_within_one_origin(client: GuardedClient, site: Any) -> None:
    site.answers["/a"] = (302, {"Location": "/b"}, b"")
    client.get(site.url("/a"), headers={"Authorization": "Bearer x"})
    assert site.asked[1][2]["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(302, "GET", b""), (303, "GET", b""), (307, "POST", b"data"), (308, "POST", b"data")],
)
def test_a_redirected_post_does_what_its_status_says(
    client: GuardedClient, site: Any, status: int, method: str, body: bytes
) -> None:
    site.answers["/a"] = (status, {"Location": "/b"}, b"")
    client.post(site.url("/a"), content=b"data")
    assert (site.asked[1][0], site.asked[1][3]) == (method, body)
