"""Which addresses do we never call, and how is it made sure at the moment of connecting?

A name is resolved here, every address it gives is checked, and the connection is made to one of
those very addresses: there is no second look-up between check and use, so a name that answers
differently the second time (DNS rebinding) gains nothing. Redirects open a connection like any
other and pass the same check. Proxies from the environment are not used: they would resolve for us.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar

import httpcore

from core.errors import AddressRefused, FetchTimeout
from core.net.policy import Address, FetchPolicy

# host, port -> the addresses it has; OSError where it has none.
Resolver = Callable[[str, int], list[str]]
T = TypeVar("T")

# Only this part of IPv6 is handed out to hosts of the internet; outside it lie loopback, local,
# multicast, IPv4-mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96).
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Inside it, these carry an IPv4 address that could be a private one: Teredo and 6to4.
_CARRY_IPV4 = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))
# Protocol assignments, of which older Pythons call only the first eight addresses private.
_IETF = ipaddress.IPv4Network("192.0.0.0/24")


def is_public(address: Address) -> bool:
    """Whether the address is an ordinary one of the internet."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address not in _IETF
    return address in _GLOBAL_UNICAST and not any(address in net for net in _CARRY_IPV4)


def system_resolver(host: str, port: int) -> list[str]:
    """The operating system's answer, in its order, each address once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Deadline:
    """The moment at which a whole request, redirects and retries included, has to be over."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds left, below 0 when it is over."""
        return self._end - self._clock()

    def remaining(self) -> float:
        """Seconds left; FetchTimeout where there are none."""
        left = self.left()
        if left <= 0:
            raise FetchTimeout(f"no complete answer within {self.seconds:g} s")
        return left

    def bound(self, timeout: float | None) -> float:
        """The smaller of a single step's time-out and what is left."""
        left = self.remaining()
        return left if timeout is None else min(timeout, left)


# The pool below hands connections from one request to the next, so the deadline belongs to the
# calling context and not to the connection.
current_deadline: ContextVar[Deadline | None] = ContextVar("current_deadline", default=None)


def _bounded(timeout: float | None) -> float | None:
    deadline = current_deadline.get()
    return timeout if deadline is None else deadline.bound(timeout)


class GuardedBackend(httpcore.NetworkBackend):
    """Opens TCP connections, only to addresses that the policy lets pass."""

    def __init__(self, policy: FetchPolicy, resolver: Resolver = system_resolver) -> None:
        self._policy = policy
        self._resolver = resolver
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolve(host, port, _bounded(timeout))
        self._check(host, port, addresses)
        failure: Exception | None = None
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(
                    address, port, _bounded(timeout), local_address, socket_options
                )
                return _BoundedStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise AddressRefused("a local socket is not an address we call")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _resolve(self, host: str, port: int, timeout: float | None) -> list[str]:
        try:
            return _within(lambda: self._resolver(host, port), timeout, f"looking up {host}")
        except (OSError, UnicodeError) as error:
            # UnicodeError: a label that is empty or longer than 63 characters.
            raise httpcore.ConnectError(f"{host} cannot be looked up ({error})") from error

    def _check(self, host: str, port: int, addresses: list[str]) -> None:
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            if not is_public(address) and not self._policy.allows(host, port, address):
                shown = host if host == text else f"{host} ({text})"
                raise AddressRefused(
                    f"{shown} is not a public address, and only those are called",
                    mend="If it is meant, name it in the setting FETCH_ALLOW of this service, "
                    f"as {host}:{port} or as a network.",
                )


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose every step also ends with the request's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _bounded(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _bounded(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, _bounded(timeout))
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _within(call: Callable[[], T], timeout: float | None, doing: str) -> T:
    """Run a call that cannot be interrupted (a DNS look-up) and leave it behind when it is late.

    The thread is a daemon, so that one which hangs does not hold up the end of the process.
    """
    done: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(call())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="look-up", daemon=True)
    thread.start()
    thread.join(timeout)
    if failed:
        raise failed[0]
    if not done:
        raise FetchTimeout(f"{doing} took longer than {timeout or 0:g} s")
    return done[0]
