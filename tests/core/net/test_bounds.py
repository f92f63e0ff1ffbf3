"""Does every answer end in size and in time?"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest

from core.errors import (
    FetchError,
    FetchTimeout,
    ResponseTooLarge,
)
from core.net import GuardedClient

MakeClient = Callable[..., GuardedClient]
BOMB = b"0" * 5_000_000


def test_an_announced_size_is_refused_before_it_comes(client: GuardedClient, site: Any) -> None:
    site.answers["/big"] = (200, {"content-length": "100001"}, b"only the start")
    with pytest.raises(ResponseTooLarge, match="100001 bytes, allowed are 100000"):
        client.get(site.url("/big"))


def endless(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    while not handler.server.released.is_set():
        handler.wfile.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")


def test_an_endless_answer_is_cut_at_the_limit(client: GuardedClient, site: Any) -> None:
    site.answers["/endless"] = endless
    with pytest.raises(ResponseTooLarge, match="larger than 100000 bytes"):
        client.get(site.url("/endless"))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "two members": ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    "padded": ("gzip", lambda data: gzip.compress(data) + b"\0" * 100),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_answers_are_unpacked(client: GuardedClient, site: Any, name: str) -> None:
    encoding, pack = PACKED[name]
    body = "many words, 很多字. ".encode() * 500
    site.answers["/packed"] = (200, {"Content-Encoding": encoding}, pack(body))
    assert client.get(site.url("/packed")).body == body


@pytest.mark.parametrize("name", PACKED)
def test_a_small_answer_that_unpacks_to_a_huge_one_is_stopped(
    client: GuardedClient, site: Any, name: str
) -> None:
    encoding, pack = PACKED[name]
    packed = pack(BOMB)
    assert len(packed) < 10_000
    site.answers["/bomb"] = (200, {"Content-Encoding": encoding}, packed)
    with pytest.raises(ResponseTooLarge):
        client.get(site.url("/bomb"))


def test_exactly_the_limit_is_allowed(client: GuardedClient, site: Any) -> None:
    site.answers["/a"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"0" * 100_000))
    assert len(client.get(site.url("/a")).body) == 100_000


@pytest.mark.parametrize("encoding", ["zstd", "br, gzip", "gzip, gzip", "compress", "é" * 99])
def test_packings_that_were_not_asked_for_are_refused(
    client: GuardedClient, site: Any, encoding: str
) -> None:
    site.answers["/odd"] = (200, {"Content-Encoding": encoding}, b"x")
    with pytest.raises(FetchError, match="expected one of: gzip, deflate, br"):
        client.get(site.url("/odd"))
    assert site.asked[0][2]["accept-encoding"] == "gzip, deflate, br"


# Named by hand: gzip writes the time into its head, so two collecting processes would not agree.
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", b"not packed at all", id="gzip-text"),
        pytest.param("gzip", gzip.compress(BOMB)[:20], id="gzip-cut"),
        pytest.param("gzip", b"\x1f\x8b", id="gzip-head-alone"),
        pytest.param("br", b"not packed at all", id="br-text"),
        pytest.param("br", brotli.compress(b"many words" * 9)[:-3], id="br-cut"),
    ],
)
def test_a_broken_packing_is_a_fetch_error(
    client: GuardedClient, site: Any, encoding: str, body: bytes
) -> None:
    site.answers["/odd"] = (200, {"Content-Encoding": encoding}, body)
    with pytest.raises(FetchError, match=f"packed as {encoding}"):
        client.get(site.url("/odd"))


class Ticking:
    """A clock that moves a second each time it is read."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_server_that_drips_for_ever_ends_at_the_total_time(
    make_client: MakeClient, site: Any
) -> None:
    client = make_client(clock=Ticking(), total_timeout=30.0, max_bytes=10**9)
    site.answers["/endless"] = endless
    with pytest.raises(FetchTimeout, match="within 30 s"):
        client.get(site.url("/endless"))


def test_a_server_that_never_answers_ends_at_the_read_time(
    make_client: MakeClient, site: Any
) -> None:
    site.answers["/silent"] = lambda handler: handler.server.released.wait()
    with pytest.raises(FetchTimeout, match="no answer in time"):
        make_client(read_timeout=0.05).get(site.url("/silent"))


def test_a_look_up_that_hangs_is_left_behind(make_client: MakeClient) -> None:
    release = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        release.wait()
        return []

    with pytest.raises(FetchTimeout, match="looking up feeds"):
        make_client(resolver=hangs, connect_timeout=0.05).get("http://feeds.example/")
    release.set()
