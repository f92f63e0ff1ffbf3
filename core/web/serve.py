"""How does a server start, and how does it end?

One process, no reloading. It ends on Ctrl-C or SIGTERM: no new requests, ten seconds for those that
run, then out with exit status 0. What keeps it from starting is raised as an error of one line.
"""

from __future__ import annotations

import errno
import json
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from threadpoolctl import threadpool_limits
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.errors import SettingsError, TrefoilError
from core.memory import keep_few_arenas
from core.settings import ServiceSettings
from core.web.errors import MEDIA_TYPE
from core.web.logs import configure_logging

logger = logging.getLogger("trefoil.serve")

GRACE_SECONDS = 10
MAX_CONNECTIONS = 1_000


def run_server(app_factory: Callable[[], FastAPI], settings: ServiceSettings) -> None:
    """Serve until told to stop. TrefoilError where it cannot start: a taken port, no model, an open
    server on a foreign address. The socket is bound first, so that a taken port is told at once."""
    configure_logging(settings.log_level)
    keep_few_arenas()
    with bound_socket(settings) as listener:
        app = StartWatch(app_factory(), shown_address(listener))
        # Between two products BLAS threads wait by spinning, and take the cores from the encoder:
        # a turn of the support bot costs 25 ms of CPU with one of them, 41 with two.
        threadpool_limits(1, user_api="blas")
        server = make_server(app, settings)
        # What uvicorn says of its steps, we say ourselves, and failures are raised below.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        with _sigterm_as_interrupt():
            try:
                server.run(sockets=[listener])
            except KeyboardInterrupt:
                # uvicorn has finished by itself and hands the signal on; the end was asked for.
                logger.info("stopped")
            except OSError as error:
                raise _cannot_listen(error, settings) from error
            except SystemExit:
                if app.failure is None:
                    raise
        if app.failure is not None:
            raise app.failure


def make_server(app: ASGIApp, settings: ServiceSettings) -> uvicorn.Server:
    """uvicorn, set up; for tests that want to stop it themselves."""
    config = uvicorn.Config(
        app,
        # One HTTP parser for everyone, the strict one, which also bounds the size of a head.
        http=ProblemH11Protocol,
        # WebSockets where the library for them is installed; a message is as large as a body.
        ws="auto",
        ws_max_size=settings.max_body_bytes,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(config)


class StartWatch:
    """Says when the app has started; keeps the error it failed with, to be told in one line."""

    def __init__(self, app: ASGIApp, address: str) -> None:
        self._app = app
        self._address = address
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                logger.info("serving", extra={"address": self._address})
            # Its "message" is a whole trace back, which uvicorn would log as text.
            await send({"type": message["type"]})

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            self.failure = error
            if not isinstance(error, TrefoilError):
                logger.error("the app failed to start or to stop", exc_info=error)
            # For uvicorn, which must know that there is nothing to serve.
            raise


@contextmanager
def bound_socket(settings: ServiceSettings) -> Iterator[socket.socket]:
    """A socket bound to host and port; SettingsError with the mend where that fails."""
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With its protocol: asyncio sends at once (TCP_NODELAY) only on what says that it is TCP.
        # Else the body of an answer waits up to 40 ms for the client to confirm its head.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise _cannot_listen(error, settings) from error
    try:
        yield listener
    finally:
        listener.close()


def shown_address(listener: socket.socket) -> str:
    """http://host:port of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class ProblemH11Protocol(H11Protocol):
    """Answers what is not even HTTP in the same shape as everything else."""

    def send_400_response(self, msg: str) -> None:
        """`msg` is uvicorn's own sentence; ours says what to look at."""
        body = {
            "type": "about:blank",
            "title": "Bad Request",
            "status": 400,
            "detail": "this is not a sensible HTTP request: its head is malformed or too long",
            "request_id": "",
        }
        content = json.dumps(body).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(content)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + content)
        self.transport.close()


def _cannot_listen(error: OSError, settings: ServiceSettings) -> SettingsError:
    where = f"port {settings.port} on {settings.host}"
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            f"port {settings.port} is taken",
            mend="Stop what uses it, or choose another one with --port.",
        )
    if error.errno == errno.EACCES:
        return SettingsError(f"{where} may not be used", mend="Choose one from 1024 up (--port).")
    return SettingsError(
        f"{where} cannot be used ({error.strerror or error})",
        mend="Choose an address of this machine with --host.",
    )


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does, also before and after uvicorn listens to it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    previous: Any = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
