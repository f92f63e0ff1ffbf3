"""A real browser before real servers. Every page that a test opens is watched: at the end it must
have written no error to its console and asked no other host."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from core.settings import ServiceSettings
from core.web.serve import bound_socket, make_server
from tests.made_services import trained_services

__all__ = ["trained_services"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Milliseconds until something counts as missing; a busy machine is given time.
PATIENCE = 60_000
PHONE = {"width": 375, "height": 740}
DESKTOP = {"width": 1280, "height": 860}
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


def browser_path() -> str | None:
    """The browser to drive: TREFOIL_CHROMIUM, else the first that is installed."""
    return os.environ.get("TREFOIL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


# Of a module, not of the run: while it is open an event loop runs here, and others make their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = browser_path()
    if path is None:
        pytest.skip(
            "no browser found, so the pages are not tested. Debian: apt install chromium; or name "
            "one in TREFOIL_CHROMIUM"
        )
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield running
        running.close()


class Watched:
    """What went wrong in the pages of one test. A test that provokes an error forgives it by a part
    of its text."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.forgiven: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        context.on("console", self._said)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", self._asked)

    def forgive(self, part: str) -> None:
        """Errors with this text are what the test is about."""
        self.forgiven.append(part)

    def check(self) -> None:
        left = [e for e in self.errors if not any(part in e for part in self.forgiven)]
        assert left == [], "the page wrote errors"
        assert self.foreign == [], "the page asked another host"

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(
            ("http://127.0.0.1:", "http://localhost:", "data:", "blob:", "about:")
        ):
            self.foreign.append(request.url)


@pytest.fixture
def watched() -> Iterator[Watched]:
    found = Watched()
    yield found
    found.check()


@pytest.fixture
def open_page(browser: Browser, watched: Watched) -> Iterator[Callable[..., Page]]:
    """open_page(url, phone=False, dark=False, language="en-GB"): a page in a browser of its own."""
    contexts: list[BrowserContext] = []

    def opened(
        url: str, *, phone: bool = False, dark: bool = False, language: str = "en-GB", **more: Any
    ) -> Page:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            locale=language,
            **more,
        )
        context.set_default_timeout(PATIENCE)
        watched.watch(context)
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        return page

    expect.set_options(timeout=PATIENCE)
    yield opened
    for context in contexts:
        context.close()


@contextmanager
def served(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The app on a port of this machine (0: any that is free), as http://127.0.0.1:PORT; by the
    server that a user's is."""
    settings = ServiceSettings()
    with bound_socket(settings.model_copy(update={"host": "127.0.0.1", "port": port})) as listener:
        server = make_server(app, settings)
        # Streams that a page holds open are not waited for.
        server.config.timeout_graceful_shutdown = 1
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        # A page that comes sooner finds nobody there.
        while not server.started and thread.is_alive():
            thread.join(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """serve(app): its address, until the test is over."""
    running: list[AbstractContextManager[str]] = []

    def start(app: FastAPI, port: int = 0) -> str:
        server = served(app, port)
        running.append(server)
        return server.__enter__()

    yield start
    for server in running:
        server.__exit__(None, None, None)


def serious_findings(page: Page) -> list[str]:
    """What axe-core finds serious or critical on the page as it stands, one line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {v['help']} – {node['html'][:160]} – {node.get('failureSummary', '')[:200]}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    width: int = page.evaluate(
        "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    )
    return width


def weight(page: Page) -> int:
    """Bytes that the page and all it loaded take, the chart library left out."""
    total: int = page.evaluate(
        """performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))
        .filter(e => !e.name.includes('plotly')).reduce((sum, e) => sum + e.decodedBodySize, 0)"""
    )
    return total
