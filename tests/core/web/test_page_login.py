"""Does a pasted key open the pages, and nothing for another site's page?"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from core.settings import ServiceSettings
from core.web import create_app
from core.web.page_login import KeyLogIns

OWN = {"sec-fetch-site": "same-origin"}
FOREIGN = {"sec-fetch-site": "cross-site"}


@dataclass
class Key:
    name: str
    scopes: frozenset[str]


@dataclass
class Keys:
    """The keys of a service, by what is presented."""

    known: dict[str, Key] = field(
        default_factory=lambda: {
            "tf_desk": Key("desk", frozenset({"*"})),
            "tf_page": Key("page", frozenset({"publishable"})),
        }
    )

    def verify(self, presented: str) -> Key | None:
        return self.known.get(presented)

    def in_use(self) -> bool:
        return True


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def client(keys: Keys) -> TestClient:
    router = APIRouter()

    @router.get("/v1/figures")
    def figures() -> dict[str, int]:
        return {"n": 1}

    @router.post("/v1/change")
    def change() -> dict[str, int]:
        return {"n": 2}

    logins = KeyLogIns(keys, "trefoil_test")
    app = create_app(
        "x",
        settings=ServiceSettings(),
        router=router,
        keys=keys,
        public=logins.router(),
        logins=logins,
    )
    return TestClient(app)


def test_a_pasted_key_opens_what_the_pages_read_and_change(client: TestClient) -> None:
    assert client.get("/v1/figures").status_code == 401
    cookie = client.post("/login", json={"key": "tf_desk"}, headers=OWN).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert client.get("/v1/figures").json() == {"n": 1}
    assert client.post("/v1/change", headers=OWN).json() == {"n": 2}


@pytest.mark.parametrize("key", ["tf_wrong", "", "tf_page", "x" * 5000])
def test_a_wrong_or_a_publishable_key_does_not(client: TestClient, key: str) -> None:
    assert client.post("/login", json={"key": key}, headers=OWN).status_code == 401
    assert client.get("/v1/figures").status_code == 401


def test_another_sites_page_can_neither_sign_in_nor_change_anything(client: TestClient) -> None:
    assert client.post("/login", json={"key": "tf_desk"}, headers=FOREIGN).status_code == 403
    client.post("/login", json={"key": "tf_desk"}, headers=OWN)
    assert client.post("/v1/change", headers=FOREIGN).status_code == 403
    assert client.post("/v1/change", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post("/v1/change", headers={"origin": "http://testserver"}).status_code == 200


def test_a_revoked_key_ends_the_sign_in(client: TestClient, keys: Keys) -> None:
    client.post("/login", json={"key": "tf_desk"}, headers=OWN)
    keys.known.clear()
    assert client.get("/v1/figures").status_code == 401


def test_signing_out_forgets_the_key(client: TestClient) -> None:
    client.post("/login", json={"key": "tf_desk"}, headers=OWN)
    client.post("/logout", headers=OWN)
    assert client.get("/v1/figures").status_code == 401
