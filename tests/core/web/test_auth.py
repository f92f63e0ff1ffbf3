"""Who gets in, and who does not?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from core.errors import SettingsError
from core.settings import ServiceSettings
from core.web import Caller, requires
from core.web.auth import CACHE_SECONDS, Authenticator, is_local_name, is_loopback


class FakeKeys:
    """Keys in a dictionary; counts how often it is asked."""

    def __init__(self, **scopes_by_key: set[str]) -> None:
        self.keys = dict(scopes_by_key)
        self.ever = bool(scopes_by_key)
        self.asked = 0

    def verify(self, presented: str) -> SimpleNamespace | None:
        self.asked += 1
        scopes = self.keys.get(presented)
        return None if scopes is None else SimpleNamespace(name=f"{presented}!", scopes=scopes)

    def in_use(self) -> bool:
        return self.ever


class FakeClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys(shop={"me", "chat"}, reader={"stories"}, owner={"*"})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def app(make_app: Callable[..., FastAPI], keys: FakeKeys, clock: FakeClock) -> FastAPI:
    app = make_app(keys=keys)
    app.state.authenticator = Authenticator(keys, "127.0.0.1", clock=clock)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "headers",
    [bearer("shop"), {"authorization": "bearer  shop "}, {"X-API-Key": "shop"}],
    ids=["bearer", "small letters", "X-API-Key"],
)
def test_a_right_key_is_let_in(client: TestClient, headers: dict[str, str]) -> None:
    response = client.get("/v1/me", headers=headers)
    assert (response.status_code, response.json()) == (200, "shop!")


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("wrong"), bearer(""), {"Authorization": "Basic c2hvcA=="}, {"X-API-Key": "é"}],
    ids=["none", "wrong", "empty", "basic", "odd"],
)
def test_without_a_right_key_nobody_gets_in(client: TestClient, headers: dict[str, str]) -> None:
    response = client.get("/v1/me", headers={k: v.encode("latin-1") for k, v in headers.items()})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "keys create" in response.json()["detail"]


def test_a_key_without_the_scope_is_forbidden_by_its_name(client: TestClient) -> None:
    response = client.get("/v1/me", headers=bearer("reader"))
    assert response.status_code == 403
    assert "no scope 'me'" in response.json()["detail"]


def test_the_scope_star_opens_everything(client: TestClient) -> None:
    assert client.get("/v1/me", headers=bearer("owner")).status_code == 200


def test_a_route_without_a_scope_still_needs_a_key(client: TestClient) -> None:
    assert client.get("/v1/stories/1").status_code == 401
    assert client.get("/v1/stories/1", headers=bearer("reader")).status_code == 404


def test_metrics_need_a_key_and_probes_need_none(client: TestClient) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers=bearer("reader")).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_a_public_router_needs_no_key(make_app: Callable[..., FastAPI], keys: FakeKeys) -> None:
    public = APIRouter()
    public.add_api_route("/widget.js", lambda: "script")
    assert TestClient(make_app(keys=keys, public=public)).get("/widget.js").status_code == 200


def test_a_key_is_looked_up_once_in_a_few_seconds(
    client: TestClient, keys: FakeKeys, clock: FakeClock
) -> None:
    for _ in range(5):
        client.get("/v1/me", headers=bearer("shop"))
    assert keys.asked == 1
    clock.now += CACHE_SECONDS
    client.get("/v1/me", headers=bearer("shop"))
    assert keys.asked == 2


def test_a_revoked_key_is_refused_within_the_few_seconds(
    client: TestClient, keys: FakeKeys, clock: FakeClock
) -> None:
    assert client.get("/v1/me", headers=bearer("shop")).status_code == 200
    del keys.keys["shop"]
    clock.now += CACHE_SECONDS
    assert client.get("/v1/me", headers=bearer("shop")).status_code == 401


def test_revoking_the_last_key_closes_the_server(
    client: TestClient, keys: FakeKeys, clock: FakeClock
) -> None:
    keys.keys.clear()
    clock.now += CACHE_SECONDS
    assert client.get("/v1/me").status_code == 401


def test_without_keys_this_machine_is_let_in(make_app: Callable[..., FastAPI]) -> None:
    client = TestClient(make_app(keys=FakeKeys()))
    assert client.get("/v1/me").json() == "local"


def test_the_first_key_closes_the_server_for_others(
    make_app: Callable[..., FastAPI], clock: FakeClock
) -> None:
    keys = FakeKeys()
    app = make_app(keys=keys)
    app.state.authenticator = Authenticator(keys, "127.0.0.1", clock=clock)
    client = TestClient(app)
    assert client.get("/v1/me").status_code == 200
    keys.keys["shop"], keys.ever = {"me"}, True
    clock.now += CACHE_SECONDS
    assert client.get("/v1/me").status_code == 401
    assert client.get("/v1/me", headers=bearer("shop")).status_code == 200


def test_without_keys_another_machine_is_not_let_in(make_app: Callable[..., FastAPI]) -> None:
    client = TestClient(make_app(), client=("192.168.0.9", 5000))
    response = client.get("/v1/me")
    assert response.status_code == 403
    assert "keys create" in response.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [{"Host": "rebound.example.com:8001"}, {"Origin": "https://example.com"}, {"Origin": "null"}],
    ids=["rebinding", "cross-site", "sandboxed"],
)
def test_without_keys_a_web_page_cannot_call_behind_ones_back(
    make_app: Callable[..., FastAPI], header: dict[str, str]
) -> None:
    assert TestClient(make_app()).get("/v1/me", headers=header).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.5", "box", "box.example.com", ""])
def test_without_keys_a_server_elsewhere_refuses_to_start(
    make_app: Callable[..., FastAPI], settings: ServiceSettings, host: str
) -> None:
    app = make_app(settings=settings.replace(host=host))
    with pytest.raises(SettingsError, match=r"keys create NAME --scope"), TestClient(app):
        pass


def test_with_a_key_a_server_elsewhere_starts(
    make_app: Callable[..., FastAPI], settings: ServiceSettings, keys: FakeKeys
) -> None:
    with TestClient(make_app(settings=settings.replace(host="0.0.0.0"), keys=keys)) as client:
        assert client.get("/v1/me", headers=bearer("shop")).status_code == 200


def test_an_open_server_reached_elsewhere_after_all_stays_closed(
    make_app: Callable[..., FastAPI], settings: ServiceSettings
) -> None:
    """Without its lifespan (another way to start it) the check at each request remains."""
    client = TestClient(make_app(settings=settings.replace(host="0.0.0.0")))
    assert client.get("/v1/me").status_code == 403


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_what_counts_as_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("localhost:8001", True),
        ("127.0.0.1:8001", True),
        ("[::1]:8001", True),
        ("http://localhost:8000", True),
        ("shop.localhost", True),
        ("box", True),
        ("example.com", False),
        ("https://example.com", False),
        ("null", False),
        ("", False),
        ("[broken", False),
    ],
)
def test_what_counts_as_a_local_name(value: str, expected: bool) -> None:
    assert is_local_name(value) is expected


# bound callers


class FakeTokens:
    """A token is "ts_" and its subject; "ts_over" is over."""

    def is_token(self, presented: str) -> bool:
        return presented.startswith("ts_")

    def verify(self, presented: str, origin: str | None) -> Caller | None:
        subject = presented.removeprefix("ts_")
        ours = subject != "over" and origin in (None, "https://shop.example")
        return Caller("widget", frozenset({"session"}), subject) if ours else None


@pytest.fixture
def bound_client(make_app: Callable[..., FastAPI]) -> TestClient:
    bound = APIRouter()
    for path, scopes in (("/talk", ("chat", "session")), ("/open", ("publishable",))):
        bound.add_api_route(path, lambda: "yes", dependencies=[requires(*scopes)])
    keys = FakeKeys(page={"publishable", "origin:https://shop.example"}, shop={"chat", "me"})
    return TestClient(make_app(keys=keys, tokens=FakeTokens(), bound=bound))


def test_what_lies_in_a_page_opens_only_what_is_meant_for_it(bound_client: TestClient) -> None:
    for path, scope in (("/talk", "ts_c1"), ("/open", "page")):
        assert bound_client.get(path, headers=bearer(scope)).status_code == 200
    for path, key in (("/open", "ts_c1"), ("/talk", "page"), ("/open", "shop")):
        assert bound_client.get(path, headers=bearer(key)).status_code == 403
    for path in ("/v1/me", "/v1/stories/1", "/metrics"):
        for key in ("ts_c1", "page"):
            assert bound_client.get(path, headers=bearer(key)).status_code == 403


def test_an_ordinary_key_opens_those_routes_by_its_scope(bound_client: TestClient) -> None:
    assert bound_client.get("/talk", headers=bearer("shop")).status_code == 200
    assert bound_client.get("/talk").status_code == 401


@pytest.mark.parametrize(
    ("token", "origin"), [("ts_over", None), ("ts_c1", "https://evil.example")]
)
def test_a_token_that_is_over_or_elsewhere_is_not_valid(
    bound_client: TestClient, token: str, origin: str | None
) -> None:
    headers = bearer(token) if origin is None else {**bearer(token), "origin": origin}
    response = bound_client.get("/talk", headers=headers)
    assert response.status_code == 401
    assert "new session" in response.json()["detail"]


def test_an_open_server_takes_tokens_from_this_machine_alone(
    make_app: Callable[..., FastAPI],
) -> None:
    app = make_app(tokens=FakeTokens())
    assert TestClient(app).get("/v1/me", headers=bearer("ts_c1")).status_code == 403
    stranger = TestClient(app, client=("192.168.0.9", 5000))
    assert "this machine" in stranger.get("/v1/me", headers=bearer("ts_c1")).json()["detail"]


def test_several_scopes_are_named_where_none_is_there(bound_client: TestClient) -> None:
    detail = bound_client.get("/talk", headers=bearer("page")).json()["detail"]
    assert "'chat' or 'session'" in detail


@pytest.mark.parametrize(
    ("protocols", "status"),
    [
        ("trefoil, trefoil-key.shop", 200),
        ("trefoil-key.wrong", 401),
        ("trefoil", 401),
        ("trefoil-key.", 401),
    ],
)
def test_a_key_may_be_a_subprotocol(bound_client: TestClient, protocols: str, status: int) -> None:
    response = bound_client.get("/talk", headers={"sec-websocket-protocol": protocols})
    assert response.status_code == status
