"""A support bot with people at its desk, for the tests of the desk and the dashboard."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from playwright.sync_api import Page, expect

from services.customer_service import passwords
from services.customer_service.app import create_app
from services.customer_service.settings import Settings
from tests.browser.conftest import served

PASSWORD = "seven grey umbrellas"
HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
_numbers = itertools.count()


class Shop:
    """The running service: its address, and what customers do."""

    def __init__(self, url: str, app: FastAPI, settings: Settings) -> None:
        self.url, self.app, self.settings = url, app, settings

    def say(self, conversation_id: str, message: str) -> dict[str, Any]:
        """A customer's message; the answer."""
        body = {"conversation_id": conversation_id, "message": message}
        response = httpx.post(f"{self.url}/v1/chat", json=body, timeout=60)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def waiting(self, *messages: str) -> str:
        """A new conversation that waits for a person after these messages; its id."""
        name = f"c-{next(_numbers)}"
        for message in messages:
            self.say(name, message)
        assert self.say(name, "/talk_to_human")["action"] == "handoff"
        return name

    def resolve_all(self) -> None:
        """Leave nobody waiting, for the next test."""
        handoffs = self.app.state.people.handoffs
        for queued in handoffs.queue(limit=200, cursor=0)[0]:
            handoffs.resolve(queued.handoff.conversation_id, "chief", anybodys=True)


@contextmanager
def support(services: Path, folder: Path, *, accounts: bool = True) -> Iterator[Shop]:
    """A service of its own on a copy of the trained one, with an agent each and an admin."""
    shutil.copytree(services / "customer_service", folder / "customer_service")
    settings = Settings(var_dir=folder, threads=1, refresh_seconds=0.2, login_rate="")
    app = create_app(settings)
    with served(app) as url:
        httpx.get(f"{url}/readyz", timeout=60)
        if accounts:
            with pytest.MonkeyPatch.context() as patch:
                cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
                patch.setattr(passwords, "HASHER", cheap)
                for name, role in (("anna", "agent"), ("bert", "agent"), ("chief", "admin")):
                    app.state.people.accounts.add(name, PASSWORD, role=role)
        yield Shop(url, app, settings)


def log_in(page: Page, name: str = "anna") -> Page:
    """Through the form that stands there."""
    page.locator("#name").fill(name)
    password = page.locator("#password")
    password.fill(PASSWORD)
    password.press("Enter")
    expect(page.locator("#who")).to_be_visible()
    return page
