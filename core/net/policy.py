"""What may an outgoing request reach and cost, and how is its address shown to a reader?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from core.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """Bounds of one outgoing request. Times are in seconds, sizes in bytes.

    `allow` names what may be reached although it is not public: a network ("10.1.0.0/16"), an
    address ("10.1.0.7", any port), or host:port ("feeds.internal:8080", "127.0.0.1:9000",
    "[::1]:9000"). Everything else that is private, loopback, link-local or reserved is refused.
    """

    max_bytes: int = 5_000_000
    connect_timeout: float = 5.0
    read_timeout: float = 10.0
    # From the first look-up to the last byte, redirects, retries and waits included.
    total_timeout: float = 30.0
    max_redirects: int = 5
    retries: int = 2
    allow: tuple[str, ...] = ()
    user_agent: str = "trefoil"
    networks: tuple[Network, ...] = field(init=False, repr=False)
    hosts: frozenset[tuple[str, int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _at_least("max_bytes", self.max_bytes, 1)
        _at_least("max_redirects", self.max_redirects, 0)
        _at_least("retries", self.retries, 0)
        for name in ("connect_timeout", "read_timeout", "total_timeout"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be above 0 seconds, was: {getattr(self, name)}")
        networks, hosts = _parse_allow(self.allow)
        object.__setattr__(self, "networks", networks)
        object.__setattr__(self, "hosts", hosts)

    def allows(self, host: str, port: int, address: Address) -> bool:
        """Whether this address, though not public, was named by whoever set us up."""
        if (host.lower().rstrip("."), port) in self.hosts:
            return True
        return any(address in network for network in self.networks)


def redact(url: str) -> str:
    """The address without what may be secret, for logs and messages.

    User and password go, the values of the query go, the fragment goes, and path segments that
    look like a token (16 or more characters with small and capital letters and digits) go, since
    chat services put their web-hook's secret there.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(not an address)"
    netloc = f"***@{host}" if "@" in parts.netloc else host
    path = "/".join("***" if _looks_secret(part) else part for part in parts.path.split("/"))
    # An item without "=" may be a secret all by itself.
    items = [item.partition("=") for item in parts.query.split("&") if item]
    query = "&".join(f"{name}=***" if sign else "***" for name, sign, _ in items)
    shown = urlunsplit((parts.scheme, netloc, path, query, ""))
    return shown if len(shown) <= 200 else shown[:197] + "..."


def _looks_secret(segment: str) -> bool:
    return (
        len(segment) >= 16
        and any(c.isdigit() for c in segment)
        and any(c.isupper() for c in segment)
        and any(c.islower() for c in segment)
    )


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise SettingsError(f"{name} must be at least {least}, was: {value}")


def _parse_allow(
    entries: Iterable[str],
) -> tuple[tuple[Network, ...], frozenset[tuple[str, int]]]:
    networks: list[Network] = []
    hosts: set[tuple[str, int]] = set()
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError:
            hosts.add(_parse_host_port(entry))
    return tuple(networks), frozenset(hosts)


def _parse_host_port(entry: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{entry}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or f"{entry.rpartition(':')[0]}:{port}" != entry:
        raise SettingsError(
            f"an allowed address must be a network (10.1.0.0/16) or host:port, was: {entry!r}",
            mend="Name the port too, as in feeds.internal:8080; a network has no bits set "
            "beyond its length.",
        )
    return host.lower().rstrip("."), port
