"""A website's visitor has a conversation of their own, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from core.db.engine import make_engine, session_factory
from core.db.keys import create_key, create_publishable_key, revoke_key
from core.db.migrations import upgrade
from core.web import Caller, auth
from services.customer_service.app import create_app
from services.customer_service.cli import group
from services.customer_service.sessions import SessionTokens
from services.customer_service.settings import Settings
from services.customer_service.tables import MIGRATIONS, api_keys

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHOP, OTHER, STRANGER = "https://shop.example", "https://other.example", "https://evil.example"
HELLO = {"message": "hello bot"}


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(shop: Settings) -> dict[str, str]:
    """A publishable key of each website, and a server's key."""
    engine = make_engine(shop.database_url)
    upgrade(engine, MIGRATIONS)
    with session_factory(engine).begin() as session:
        return {
            "shop": create_publishable_key(session, api_keys, "shop", [SHOP]),
            "other": create_publishable_key(session, api_keys, "other", [OTHER]),
            "server": create_key(session, api_keys, "server", ["chat"]),
        }


@pytest.fixture
def client(shop: Settings, keys: dict[str, str], clock: Clock) -> Iterator[TestClient]:
    with TestClient(create_app(shop, now=clock), base_url="http://bot.example") as client:
        yield client


def page(key: str, origin: str | None = SHOP) -> dict[str, str]:
    """The headers of a page's request."""
    headers = {"authorization": f"Bearer {key}"}
    return headers if origin is None else {**headers, "origin": origin}


def opened(client: TestClient, key: str, origin: str = SHOP) -> dict[str, Any]:
    response = client.post("/v1/sessions", headers=page(key, origin))
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def test_a_page_of_the_keys_origin_chats_in_a_conversation_of_its_own(
    client: TestClient, keys: dict[str, str]
) -> None:
    session = opened(client, keys["shop"])
    assert session["expires_at"] == "2026-03-01T14:00:00Z"
    headers = page(session["token"])
    answer = client.post("/v1/chat", json=HELLO, headers=headers).json()
    assert answer["conversation_id"] == session["conversation_id"]
    named = {**HELLO, "conversation_id": session["conversation_id"]}
    assert client.post("/v1/chat", json=named, headers=headers).status_code == 200
    url = f"/v1/conversations/{session['conversation_id']}"
    body = client.get(url, headers=headers).json()
    assert (len(body["turns"]), body["channel"]) == (2, "widget")


def test_a_session_opens_nobody_elses_conversation(
    client: TestClient, keys: dict[str, str]
) -> None:
    mine, yours = opened(client, keys["shop"]), opened(client, keys["shop"])
    client.post("/v1/chat", json=HELLO, headers=page(yours["token"]))
    headers, theirs = page(mine["token"]), yours["conversation_id"]
    assert client.get(f"/v1/conversations/{theirs}", headers=headers).status_code == 403
    message = {**HELLO, "conversation_id": theirs}
    assert client.post("/v1/chat", json=message, headers=headers).status_code == 403
    opinion = {"conversation_id": theirs, "message_id": "m", "rating": "up"}
    assert client.post("/v1/feedback", json=opinion, headers=headers).status_code == 403


def test_a_page_of_another_origin_opens_no_session(
    client: TestClient, keys: dict[str, str]
) -> None:
    for origin in (STRANGER, OTHER, "null", "https://shop.example:8443", None):
        response = client.post("/v1/sessions", headers=page(keys["shop"], origin))
        assert response.status_code == 403, origin
        assert "--publishable --origin" in response.json()["detail"]


def test_a_token_is_not_good_on_a_page_of_another_origin(
    client: TestClient, keys: dict[str, str]
) -> None:
    token = opened(client, keys["shop"])["token"]
    for origin, status in ((SHOP, 200), (None, 200), (OTHER, 401), (STRANGER, 401)):
        response = client.post("/v1/chat", json=HELLO, headers=page(token, origin))
        assert response.status_code == status


def test_a_session_ends_by_time_and_is_made_longer_before(
    client: TestClient, keys: dict[str, str], clock: Clock
) -> None:
    first = opened(client, keys["shop"])
    clock.now = NOW + timedelta(minutes=119)
    longer = client.post(
        "/v1/sessions", json={"token": first["token"]}, headers=page(keys["shop"])
    ).json()
    assert longer["conversation_id"] == first["conversation_id"]
    clock.now = NOW + timedelta(minutes=121)
    for token, status in ((first["token"], 401), (longer["token"], 200)):
        response = client.post("/v1/chat", json=HELLO, headers=page(token))
        assert response.status_code == status
    again = client.post("/v1/sessions", json={"token": first["token"]}, headers=page(keys["shop"]))
    assert again.status_code == 401


def test_a_session_of_one_key_is_not_made_longer_with_another(
    client: TestClient, keys: dict[str, str]
) -> None:
    token = opened(client, keys["shop"])["token"]
    response = client.post(
        "/v1/sessions", json={"token": token}, headers=page(keys["other"], OTHER)
    )
    assert response.status_code == 401


CLOSED_TO_KEYS = [("POST", "/v1/chat"), ("POST", "/v1/feedback"), ("GET", "/v1/conversations/c")]
CLOSED_TO_ALL = [
    ("GET", "/v1/conversations/c"),
    ("GET", "/v1/admin/feedback"),
    ("GET", "/v1/admin/intents/greeting"),
    ("POST", "/webhooks/rest/webhook"),
    ("POST", "/model/parse"),
    ("GET", "/status"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
]


def test_what_stands_in_a_page_opens_nothing_else(client: TestClient, keys: dict[str, str]) -> None:
    token = opened(client, keys["shop"])["token"]
    assert client.post("/v1/sessions", headers=page(token)).status_code == 403
    for method, url in CLOSED_TO_ALL + CLOSED_TO_KEYS:
        response = client.request(method, url, headers=page(keys["shop"]))
        assert response.status_code == 403, url
    for method, url in CLOSED_TO_ALL:
        assert client.request(method, url, headers=page(token)).status_code == 403, url


def test_a_servers_key_without_the_scope_opens_no_session(
    client: TestClient, keys: dict[str, str]
) -> None:
    assert client.post("/v1/sessions", headers=page(keys["server"])).status_code == 403


def test_a_body_with_something_unknown_is_refused(client: TestClient, keys: dict[str, str]) -> None:
    body = {"conversation_id": "c"}
    response = client.post("/v1/sessions", json=body, headers=page(keys["shop"]))
    assert response.status_code == 422


def test_only_pages_of_bound_origins_may_read_answers(
    client: TestClient, keys: dict[str, str]
) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x"}
    allowed = client.options("/v1/chat", headers={"origin": SHOP, **asked})
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    # Errors are read too, or a page could not tell what is wrong.
    refused = client.post("/v1/chat", json=HELLO, headers={"origin": SHOP})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP)
    for origin in (STRANGER, "null", "https://shop.example.evil.example"):
        for response in (
            client.options("/v1/chat", headers={"origin": origin, **asked}),
            client.post("/v1/chat", json=HELLO, headers=page(keys["server"], origin)),
        ):
            assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_revoked_key_opens_no_session_and_its_origin_reads_nothing(
    client: TestClient, keys: dict[str, str], shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "CACHE_SECONDS", 0.0)
    with session_factory(make_engine(shop.database_url)).begin() as session:
        revoke_key(session, api_keys, "shop")
    response = client.post("/v1/sessions", headers=page(keys["shop"]))
    assert response.status_code == 401
    assert "access-control-allow-origin" not in response.headers


def test_all_visitors_of_a_page_do_not_share_one_limit(
    shop: Settings, keys: dict[str, str]
) -> None:
    app = create_app(shop.replace(rate_limit="2/hour"))
    visitors = [
        TestClient(app, base_url="http://bot.example", client=(f"192.0.2.{n}", 1)) for n in (1, 2)
    ]
    with visitors[0]:
        statuses = [
            visitor.post("/v1/sessions", headers=page(keys["shop"])).status_code
            for visitor in visitors
            for _ in range(3)
        ]
    assert statuses == [201, 201, 429, 201, 201, 429]


def test_another_process_believes_the_token(
    client: TestClient, keys: dict[str, str], shop: Settings, clock: Clock
) -> None:
    token = opened(client, keys["shop"])["token"]
    with TestClient(create_app(shop, now=clock), base_url="http://bot.example") as other:
        assert other.post("/v1/chat", json=HELLO, headers=page(token)).status_code == 200


def test_the_open_server_of_a_developer_gives_sessions_that_are_bound_too(shop: Settings) -> None:
    with TestClient(create_app(shop), base_url="http://localhost") as client:
        session = client.post("/v1/sessions", headers={"origin": "http://localhost:3000"}).json()
        headers = page(session["token"], "http://localhost:3000")
        assert client.get("/v1/conversations/c", headers=headers).status_code == 403
        assert client.post("/v1/chat", json=HELLO, headers=headers).status_code == 200


# --- the token itself ----------------------------------------------------------------------------


def tokens(secret: str = "s" * 32) -> SessionTokens:
    made = SessionTokens(lambda: NOW, timedelta(hours=1))
    made.use(secret)
    return made


def token_of(made: SessionTokens) -> str:
    caller = Caller("shop", frozenset({"publishable", f"origin:{SHOP}"}))
    return made.open(caller, SHOP).token


def test_a_token_of_another_secret_is_not_believed() -> None:
    assert tokens().verify(token_of(tokens("t" * 32)), SHOP) is None
    assert tokens().verify(token_of(tokens()), SHOP) is not None


def test_nobody_is_believed_before_there_is_a_secret() -> None:
    early = SessionTokens(lambda: NOW, timedelta(hours=1))
    assert early.verify("ts_e30.", None) is None
    assert early.verify(token_of(tokens()), SHOP) is None


@given(st.integers(min_value=3), st.characters())
def test_a_token_with_any_other_character_is_not_believed(place: int, character: str) -> None:
    token = token_of(tokens())
    place %= len(token)
    forged = token[:place] + character + token[place + 1 :]
    if forged != token and forged.startswith("ts_"):
        assert tokens().verify(forged, SHOP) is None


@given(st.text(max_size=50))
def test_what_was_never_a_token_is_not_believed(text: str) -> None:
    assert tokens().verify(f"ts_{text}", None) is None


# --- the command that makes a publishable key ----------------------------------------------------


def test_a_publishable_key_is_made_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREFOIL_VAR", str(tmp_path))
    create = ["keys", "create", "website"]
    made = CliRunner().invoke(group, [*create, "--publishable", "--origin", "https://Shop.example"])
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("tfp_")
    listed = CliRunner().invoke(group, ["keys", "list"]).stdout
    assert "website  origin:https://shop.example publishable" in listed
    for wrong in ([], ["--publishable"], ["--origin", SHOP], ["--scope", "chat", "--publishable"]):
        told = CliRunner().invoke(group, [*create, *wrong])
        assert told.exit_code == 2, wrong
        assert "--publishable with --origin" in told.output
