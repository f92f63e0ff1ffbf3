"""How does one outgoing request go, from the address typed to the bytes that came?"""

from __future__ import annotations

import base64
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from core.errors import (
    FetchError,
    FetchTimeout,
    InvalidInput,
    ResponseTooLarge,
    TooManyRedirects,
)
from core.net.guard import Deadline, GuardedBackend, Resolver, current_deadline, system_resolver
from core.net.policy import FetchPolicy, redact
from core.net.retry import LONGEST_WAIT, backoff, retry_after
from core.net.unpack import ACCEPT_ENCODING, read_body

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRY_STATUS = frozenset({502, 503, 504})
_REPEATABLE = frozenset({"GET", "HEAD"})
# Following a redirect to another origin, only these go along: no cookie, no key, no signature.
_PUBLIC_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "user-agent", "content-type"}
    | {"if-none-match", "if-modified-since"}
)
_LONGEST_URL = 8_000
_LAST_PORT = 65_535
# A name after IDNA, or an address; the resolver need not see anything else.
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class Response:
    """What came. `redirects` holds (status, address that was asked) for each hop on the way."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(repr=False)
    redirects: tuple[tuple[int, str], ...] = field(default=(), repr=False)
    elapsed: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; FetchError where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise FetchError("expected JSON, the answer is none", redact(self.url)) from error

    def __str__(self) -> str:
        return f"{self.status} {redact(self.url)} ({len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: httpx.URL
    headers: dict[str, str]
    content: bytes | None

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no harm."""
        return self.method in _REPEATABLE or "idempotency-key" in self.headers


class GuardedClient:
    """The one client for requests to the outside; safe to share between threads.

    A status of 400 or more is an answer and no exception. What raises: AddressRefused,
    FetchTimeout, ResponseTooLarge, TooManyRedirects, and FetchError for all the rest.
    """

    def __init__(
        self,
        policy: FetchPolicy | None = None,
        *,
        resolver: Resolver = system_resolver,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.policy = policy or FetchPolicy()
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=20,
            max_keepalive_connections=5,
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(self.policy, resolver),
        )

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Response:
        """Fetch `url`; repeated on connection trouble and on 502, 503 and 504."""
        return self.request("GET", url, headers=headers)

    def post(
        self,
        url: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send `json` or `content` to `url`.

        Repeated only where no connection came about, unless an Idempotency-Key header says that
        the receiver knows a repeat when it sees one.
        """
        given = dict(headers or {})
        if json is not None:
            content = _json_bytes(json)
            given.setdefault("content-type", "application/json")
        return self.request("POST", url, content=content or b"", headers=given)

    def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request with its redirects and retries, all within the policy's total time."""
        started = self._clock()
        deadline = Deadline(self.policy.total_timeout, self._clock)
        request = self._build(method, url, content, headers)
        redirects: list[tuple[int, str]] = []
        while True:
            status, received, body = self._with_retries(request, deadline)
            location = received.get("location")
            if status not in _REDIRECTS or location is None:
                elapsed = self._clock() - started
                return Response(status, received, body, str(request.url), tuple(redirects), elapsed)
            redirects.append((status, str(request.url)))
            if len(redirects) > self.policy.max_redirects:
                raise TooManyRedirects(
                    f"more than {self.policy.max_redirects} redirects", redact(url)
                )
            request = _redirected(request, status, location)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _build(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str] | None
    ) -> _Request:
        parsed = _parse(url)
        sent = {"user-agent": self.policy.user_agent, "accept-encoding": ACCEPT_ENCODING}
        sent.update({name.lower(): value for name, value in (headers or {}).items()})
        if parsed.username or parsed.password:
            pair = f"{parsed.username}:{parsed.password}".encode()
            sent.setdefault("authorization", f"Basic {base64.b64encode(pair).decode()}")
            parsed = parsed.copy_with(username=None, password=None)
        return _Request(method.upper(), parsed, sent, content)

    def _with_retries(
        self, request: _Request, deadline: Deadline
    ) -> tuple[int, httpx.Headers, bytes]:
        attempt = 0
        while True:
            wait = backoff(attempt, self._rng)
            last = attempt >= self.policy.retries
            attempt += 1
            try:
                with _mapped(request):
                    status, headers, body = self._once(request, deadline)
            except _Transient as error:
                if last or not (request.repeatable or error.unsent) or not _fits(wait, deadline):
                    raise error.fetch_error from error.__cause__
            else:
                if status not in _RETRY_STATUS or not request.repeatable or last:
                    return status, headers, body
                wait = max(wait, retry_after(headers.get("retry-after"), datetime.now(UTC)))
                if wait > LONGEST_WAIT or not _fits(wait, deadline):
                    return status, headers, body
            self._sleep(wait)

    def _once(self, request: _Request, deadline: Deadline) -> tuple[int, httpx.Headers, bytes]:
        token = current_deadline.set(deadline)
        try:
            with self._pool.stream(
                request.method,
                _wire_url(request.url),
                headers=_wire_headers(request),
                content=request.content,
                extensions={"timeout": self._timeouts(deadline)},
            ) as answer:
                headers = httpx.Headers(answer.headers)
                if answer.status in _REDIRECTS and "location" in headers:
                    return answer.status, headers, b""
                self._refuse_announced(headers)
                encoding = headers.get("content-encoding", "")
                body = read_body(answer.iter_stream(), encoding, self.policy.max_bytes)
                return answer.status, headers, body
        finally:
            current_deadline.reset(token)

    def _timeouts(self, deadline: Deadline) -> dict[str, float]:
        return {
            "connect": self.policy.connect_timeout,
            "read": self.policy.read_timeout,
            "write": self.policy.read_timeout,
            "pool": deadline.remaining(),
        }

    def _refuse_announced(self, headers: httpx.Headers) -> None:
        announced = headers.get("content-length", "")
        if announced.isdigit() and int(announced[:18]) > self.policy.max_bytes:
            raise ResponseTooLarge(
                f"the answer has {announced[:18]} bytes, allowed are {self.policy.max_bytes}"
            )


class _Transient(Exception):
    """Trouble on the way that may be gone at the next try; `unsent`: no connection came about."""

    def __init__(self, fetch_error: FetchError, *, unsent: bool) -> None:
        super().__init__(str(fetch_error))
        self.fetch_error = fetch_error
        self.unsent = unsent


@contextmanager
def _mapped(request: _Request) -> Iterator[None]:
    """The one place where the library's errors become ours."""
    shown = redact(str(request.url))
    try:
        yield
    except FetchError as error:
        error.url = error.url or shown
        raise
    except httpcore.ConnectTimeout as error:
        raise _Transient(FetchTimeout("no connection in time", shown), unsent=True) from error
    except httpcore.ConnectError as error:
        raise _Transient(FetchError(f"no connection: {error}", shown), unsent=True) from error
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise FetchTimeout("no answer in time", shown) from error
    except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
        raise _Transient(
            FetchError(f"the answer broke off: {error}", shown), unsent=False
        ) from error
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
        raise FetchError(f"not a sensible exchange: {error}", shown) from error


def _fits(wait: float, deadline: Deadline) -> bool:
    return wait < deadline.left()


def _parse(url: str) -> httpx.URL:
    try:
        if len(url) > _LONGEST_URL:
            raise ValueError(f"longer than {_LONGEST_URL} characters")
        parsed = httpx.URL(url)
        if not 1 <= (parsed.port or 80) <= _LAST_PORT:
            raise ValueError("there is no such port")
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise FetchError("expected an http or https address", redact(url[:300])) from error
    host = parsed.raw_host.decode("ascii")
    if parsed.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise FetchError(
            "expected an http or https address",
            redact(url),
            mend="Write it out, as in https://example.com/feed.xml.",
        )
    return parsed


def _redirected(request: _Request, status: int, location: str) -> _Request:
    try:
        target = _parse(str(request.url.join(location)))
    except httpx.InvalidURL as error:
        raise FetchError("redirected to what is no address", redact(str(request.url))) from error
    headers = dict(request.headers)
    if (target.scheme, target.host, target.port) != (
        request.url.scheme,
        request.url.host,
        request.url.port,
    ):
        headers = {name: value for name, value in headers.items() if name in _PUBLIC_HEADERS}
    target = target.copy_with(username=None, password=None, fragment=None)
    if status in (307, 308) or request.method in _REPEATABLE:
        return _Request(request.method, target, headers, request.content)
    headers.pop("content-type", None)
    return _Request("GET", target, headers, None)


def _wire_url(url: httpx.URL) -> httpcore.URL:
    # From parts, so that no second parser can read another host out of the same text.
    host = url.raw_host.decode("ascii")
    return httpcore.URL(scheme=url.scheme, host=host, port=url.port, target=url.raw_path)


def _wire_headers(request: _Request) -> list[tuple[bytes, bytes]]:
    headers = {"host": request.url.netloc.decode("ascii"), "accept": "*/*", **request.headers}
    if request.content is not None:
        headers["content-length"] = str(len(request.content))
    try:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    except UnicodeEncodeError as error:
        raise InvalidInput("a header may hold Latin-1 characters only") from error


def _json_bytes(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this cannot be sent as JSON: {error}") from error
