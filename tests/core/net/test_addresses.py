"""Are the addresses that we never call never called?"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import (
    AddressRefused,
    FetchError,
    SettingsError,
)
from core.net import FetchPolicy, GuardedClient, is_public

MakeClient = Callable[..., GuardedClient]


def to(*addresses: str) -> Callable[[str, int], list[str]]:
    """A resolver that gives these addresses for every name."""
    return lambda host, port: list(addresses)


PRIVATE = [
    "127.0.0.1", "127.255.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1",
    "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::1", "2001:0:1::1", "100::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_odd_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"])
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_with_a_private_address_is_refused(make_client: MakeClient, address: str) -> None:
    client = make_client(resolver=to(address), allow=())
    with pytest.raises(AddressRefused, match=r"not a public address.*FETCH_ALLOW"):
        client.get("http://feeds.example/")


def test_one_private_address_among_public_ones_is_enough(
    make_client: MakeClient,
) -> None:
    client = make_client(resolver=to("93.184.216.34", "10.0.0.1"), allow=())
    with pytest.raises(AddressRefused, match=r"feeds\.example \(10\.0\.0\.1\)"):
        client.get("http://feeds.example/")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_no_spelling_of_loopback_gets_through(
    make_client: MakeClient, site: Any, host: str
) -> None:
    with pytest.raises(FetchError):
        make_client(allow=()).get(site.url("/", host))
    assert site.asked == []


def test_a_name_that_changes_its_address_between_connections_is_caught(
    make_client: MakeClient, site: Any
) -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    client = make_client(resolver=lambda host, port: answers.pop(0), allow=("127.0.0.1/32",))
    site.answers["/feed"] = (200, {"Connection": "close"}, b"first")
    assert client.get(site.url("/feed", "rebinding.example")).body == b"first"
    with pytest.raises(AddressRefused):
        client.get(site.url("/feed", "rebinding.example"))


def test_a_connection_is_made_to_the_very_address_that_was_checked(
    make_client: MakeClient, site: Any
) -> None:
    """A second look-up for the same connection is where rebinding would slip in."""
    looked_up: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["10.0.0.1"]

    client = make_client(resolver=resolver, allow=("127.0.0.1/32",))
    site.answers["/feed"] = (200, {}, b"ok")
    assert client.get(site.url("/feed", "rebinding.example")).ok
    assert looked_up == ["rebinding.example"]


def test_the_next_address_is_tried_when_the_first_is_silent(
    make_client: MakeClient, site: Any
) -> None:
    site.answers["/feed"] = (200, {}, b"ok")
    client = make_client(resolver=to("127.0.0.9", "127.0.0.1"), allow=("127.0.0.0/8",))
    assert client.get(site.url("/feed", "feeds.example")).ok


@pytest.mark.parametrize(
    ("allow", "reached"),
    [
        (("127.0.0.0/8",), True),
        (("127.0.0.1",), True),
        (("feeds.example:{port}",), True),
        (("FEEDS.example:{port}",), True),
        (("feeds.example:1",), False),
        (("other.example:{port}",), False),
        (("10.0.0.0/8", "::1/128"), False),
    ],
)
def test_what_is_named_may_be_reached(
    make_client: MakeClient, site: Any, allow: tuple[str, ...], reached: bool
) -> None:
    named = tuple(entry.format(port=site.port) for entry in allow)
    client = make_client(resolver=to("127.0.0.1"), allow=named)
    if reached:
        assert client.get(site.url("/", "feeds.example")).status == 404
    else:
        with pytest.raises(AddressRefused):
            client.get(site.url("/", "feeds.example"))


@pytest.mark.parametrize(
    "entry", ["feeds.example", "10.0.0.1/8", "host:port", "host:", ":80", "", "a b"]
)
def test_an_allowed_address_that_cannot_be_read_is_a_settings_error(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"network .* or host:port"):
        FetchPolicy(allow=(entry,))


@pytest.mark.parametrize("bounds", [{"max_bytes": 0}, {"total_timeout": 0}, {"retries": -1}])
def test_a_bound_that_makes_no_sense_is_a_settings_error(bounds: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="must be"):
        FetchPolicy(**bounds)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://feeds.example/", "file:///etc/passwd", "gopher://x/", "data:text/plain,x", "//host/",
        "feeds.example", "", "http://", "http:///path", "http://ho st/", "http://[::1", "http://x:99999/",
        "http://feeds.example/\n", "javascript:alert(1)", "http://" + "a" * 9000,
    ],
)  # fmt: skip
def test_only_http_addresses_are_asked(client: GuardedClient, url: str) -> None:
    with pytest.raises(FetchError, match="expected an http or https address"):
        client.get(url)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "..", "does-not-exist.invalid"])
def test_a_name_that_has_no_address_is_a_fetch_error(make_client: MakeClient, host: str) -> None:
    def nothing(host: str, port: int) -> list[str]:
        host.encode("idna")
        raise OSError("no such name")

    with pytest.raises(FetchError):
        make_client(resolver=nothing).get(f"http://{host}/")
