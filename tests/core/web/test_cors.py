"""Do the pages of bound origins read answers, and no others?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from core.errors import StorageError
from core.web import cors
from core.web.auth import CACHE_SECONDS

SHOP = "https://shop.example"
PREFLIGHT = {"origin": SHOP, "access-control-request-method": "POST"}


class Origins:
    """Bound origins in a set; counts how often it is asked."""

    def __init__(self) -> None:
        self.known = {SHOP}
        self.asked = 0
        self.away = False

    def origins(self) -> frozenset[str]:
        self.asked += 1
        if self.away:
            raise StorageError("the database does not answer")
        return frozenset(self.known)


@pytest.fixture
def origins() -> Origins:
    return Origins()


@pytest.fixture
def client(make_app: Callable[..., FastAPI], origins: Origins) -> TestClient:
    return TestClient(make_app(origins=origins), raise_server_exceptions=False)


def named(headers: Iterable[str]) -> list[str]:
    return [name for name in headers if name.startswith("access-control")]


def test_a_preflight_of_a_bound_origin_is_answered(client: TestClient) -> None:
    response = client.options("/v1/chat", headers=PREFLIGHT)
    assert (response.status_code, response.text) == (204, "")
    assert response.headers["access-control-allow-origin"] == SHOP
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in response.headers


def test_answers_and_errors_are_read_by_a_bound_origin(client: TestClient) -> None:
    for path, status in (("/healthz", 200), ("/nowhere", 404), ("/v1/broken", 403)):
        response = client.get(path, headers={"origin": SHOP})
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == SHOP


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://shop.example", ""])
def test_another_origin_gets_no_word_of_it(client: TestClient, origin: str) -> None:
    for response in (
        client.get("/healthz", headers={"origin": origin}),
        client.options("/v1/chat", headers={**PREFLIGHT, "origin": origin}),
    ):
        assert named(response.headers) == []
    assert client.options("/v1/chat", headers={**PREFLIGHT, "origin": origin}).status_code == 405


def test_without_an_origin_nobody_is_asked(client: TestClient, origins: Origins) -> None:
    assert named(client.get("/healthz").headers) == []
    assert origins.asked == 0


def test_a_service_without_publishable_keys_says_nothing(make_app: Callable[..., FastAPI]) -> None:
    response = TestClient(make_app()).get("/healthz", headers={"origin": SHOP})
    assert named(response.headers) == []


async def no_app(scope: object, receive: object, send: object) -> None:
    return None


def test_the_origins_are_looked_up_once_in_a_few_seconds(origins: Origins) -> None:
    import asyncio

    now = [0.0]
    middleware = cors.CorsMiddleware(no_app, origins, clock=lambda: now[0])

    async def ask() -> set[str]:
        return set(await middleware._origins())

    assert [asyncio.run(ask()) for _ in range(3)] == [{SHOP}] * 3
    assert origins.asked == 1
    now[0] += CACHE_SECONDS
    origins.known = set()
    assert asyncio.run(ask()) == set()
    # While the database is away, what was known last holds.
    now[0] += CACHE_SECONDS
    origins.known, origins.away = {SHOP}, True
    assert asyncio.run(ask()) == set()
