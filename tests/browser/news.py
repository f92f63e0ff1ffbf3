"""A news monitor on made-up weeks of news, for tests of its pages: its clock stands still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from services.finance_sentiment import promise
from services.finance_sentiment.app import create_app
from services.finance_sentiment.settings import Settings
from tests.browser.conftest import served
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.made_news import (
    Sessions,
    beat,
    calm,
    feed,
    keep,
    listen_to,
    made_database,
    surge,
    watch,
)

SCRIPT = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
COMPANY = "<b>Acme</b>"
SURGE_HOURS = 4
START = NOW - timedelta(hours=SURGE_HOURS)


@dataclass
class News:
    """A server that may be stopped and started again at the same address."""

    settings: Settings
    sessions: Sessions
    now: datetime = NOW
    url: str = ""
    _running: AbstractContextManager[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """At the port of before, if there was one."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self._running = served(create_app(self.settings, now=lambda: self.now), port)
        self.url = self._running.__enter__()

    def stop(self) -> None:
        """Nothing answers until it starts again."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def raise_alert(self) -> None:
        """Hours of bad news on banking, and what the worker makes of them."""
        keep(self.sessions, surge(self.now, SURGE_HOURS))
        watch(self.sessions, self.now)


@contextmanager
def monitor(folder: Path, *, learned: bool = True) -> Iterator[News]:
    """A running one; `learned`: with ten days of calm news, of which it knows what is normal."""
    companies = folder / "companies.yaml"
    companies.write_text(f"- name: {COMPANY}\n", encoding="utf-8")
    settings = Settings(
        var_dir=folder,
        companies=companies,
        database_url=f"sqlite:///{folder / 'news.db'}",
        threads=1,
        rate_limit="",
        events_tick=0.05,
    )
    news = News(settings, made_database(settings))
    with pytest.MonkeyPatch.context() as patch:
        # How well the promise is kept is not asked here.
        patch.setattr(promise, "MAX_PATHS", 16)
        if learned:
            beat(news.sessions, NOW)
            listen_to(news.sessions, feed(NOW))
            keep(news.sessions, calm(START, 240))
            watch(news.sessions, START)
        news.start()
        try:
            yield news
        finally:
            news.stop()


def tab_to(page: Page, wanted: str, most: int = 80) -> None:
    """Press Tab until the element that this selector means has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement?.matches(s) ?? false", wanted):
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")
