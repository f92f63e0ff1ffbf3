"""Do keys open what they should, to those who should, as long as they should?"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from core.db.keys import (
    StoredKeys,
    any_key,
    create_key,
    create_publishable_key,
    list_keys,
    origin,
    revoke_key,
    verify_key,
)
from core.errors import Conflict, InvalidInput, NotFound

Sessions = sessionmaker[Session]


@pytest.fixture
def session(sessions: Sessions) -> Session:
    return sessions()


def test_a_new_key_verifies_with_its_scopes(session: Session, tables: SimpleNamespace) -> None:
    plain = create_key(session, tables.api_keys, "shop", ["chat", "feedback"])
    found = verify_key(session, tables.api_keys, plain)
    assert found is not None
    assert (found.name, found.scopes) == ("shop", {"chat", "feedback"})


def test_without_scopes_a_key_may_do_everything(session: Session, tables: SimpleNamespace) -> None:
    create_key(session, tables.api_keys, "owner")
    assert list_keys(session, tables.api_keys)[0].scopes == {"*"}


def test_the_secret_is_nowhere_in_the_database(session: Session, tables: SimpleNamespace) -> None:
    plain = create_key(session, tables.api_keys, "shop", ["chat"])
    stored = " ".join(map(str, session.execute(select(tables.api_keys)).one()))
    assert plain.startswith("tf_")
    assert plain.rpartition("_")[2] not in stored


def test_a_wrong_secret_behind_a_right_id_is_refused(
    session: Session, tables: SimpleNamespace
) -> None:
    plain = create_key(session, tables.api_keys, "shop", ["chat"])
    wrong = plain[:-1] + ("0" if plain[-1] != "0" else "1")
    assert verify_key(session, tables.api_keys, wrong) is None


@pytest.mark.parametrize(
    "presented",
    ["", "tf_", "password", "tf_" + "0" * 12 + "_" + "0" * 64, "tf_\x00", "é" * 80, "tf_" * 9999],
)
def test_what_was_never_a_key_is_refused(
    session: Session, tables: SimpleNamespace, presented: str
) -> None:
    create_key(session, tables.api_keys, "shop", ["chat"])
    assert verify_key(session, tables.api_keys, presented) is None


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_revoked_key_is_refused_but_stays_listed(
    session: Session, tables: SimpleNamespace, now: datetime, by: str
) -> None:
    plain = create_key(session, tables.api_keys, "shop", ["chat"], now=now)
    key = list_keys(session, tables.api_keys)[0]
    later = now + timedelta(days=1)
    revoke_key(session, tables.api_keys, key.name if by == "name" else key.key_id, now=later)
    assert verify_key(session, tables.api_keys, plain) is None
    assert [key.revoked_at for key in list_keys(session, tables.api_keys)] == [later]


def test_a_name_is_free_again_after_its_key_was_revoked(
    session: Session, tables: SimpleNamespace
) -> None:
    old = create_key(session, tables.api_keys, "shop", ["chat"])
    with pytest.raises(Conflict, match="named 'shop' already"):
        create_key(session, tables.api_keys, "shop", ["chat"])
    revoke_key(session, tables.api_keys, "shop")
    new = create_key(session, tables.api_keys, "shop", ["chat"])
    assert verify_key(session, tables.api_keys, old) is None
    assert verify_key(session, tables.api_keys, new) is not None


def test_revoking_what_is_not_there_says_so(session: Session, tables: SimpleNamespace) -> None:
    with pytest.raises(NotFound, match=r"no live key named 'ghost'. `keys list`"):
        revoke_key(session, tables.api_keys, "ghost")


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201])
def test_a_name_must_be_printable(session: Session, tables: SimpleNamespace, name: str) -> None:
    with pytest.raises(InvalidInput, match="printable"):
        create_key(session, tables.api_keys, name, ["chat"])


@pytest.mark.parametrize("scopes", [[], ["two words"], [""], ["chat\x00"]])
def test_scopes_must_be_words(session: Session, tables: SimpleNamespace, scopes: list[str]) -> None:
    with pytest.raises(InvalidInput, match="scope"):
        create_key(session, tables.api_keys, "shop", scopes)


def test_a_revoked_key_still_counts_as_keys_in_use(
    session: Session, tables: SimpleNamespace
) -> None:
    assert not any_key(session, tables.api_keys)
    create_key(session, tables.api_keys, "shop", ["chat"])
    revoke_key(session, tables.api_keys, "shop")
    assert any_key(session, tables.api_keys)
    assert not any_key(session, tables.api_keys, live=True)


def test_the_verifier_reads_what_was_committed(sessions: Sessions, tables: SimpleNamespace) -> None:
    keys = StoredKeys(sessions, tables.api_keys)
    assert not keys.in_use()
    with sessions.begin() as session:
        plain = create_key(session, tables.api_keys, "shop", ["chat"])
    found = keys.verify(plain)
    assert keys.in_use()
    assert found is not None
    assert found.name == "shop"


# publishable keys


def test_a_publishable_key_carries_its_origins_and_nothing_else(
    session: Session, tables: SimpleNamespace
) -> None:
    websites = ["https://Shop.example/", "http://localhost:3000"]
    plain = create_publishable_key(session, tables.api_keys, "widget", websites)
    assert plain.startswith("tfp_")
    found = verify_key(session, tables.api_keys, plain)
    assert found is not None
    assert found.origins == {"https://shop.example", "http://localhost:3000"}
    bound = {"origin:https://shop.example", "origin:http://localhost:3000"}
    assert found.scopes == {"publishable", *bound}


def test_a_publishable_key_without_an_origin_is_refused(
    session: Session, tables: SimpleNamespace
) -> None:
    with pytest.raises(InvalidInput, match="at least one origin"):
        create_publishable_key(session, tables.api_keys, "widget", [])


@pytest.mark.parametrize("scope", ["publishable", "origin:x"])
def test_an_ordinary_key_cannot_have_the_scopes_of_a_publishable_one(
    session: Session, tables: SimpleNamespace, scope: str
) -> None:
    with pytest.raises(InvalidInput, match="kept for publishable keys"):
        create_key(session, tables.api_keys, "shop", ["chat", scope])


def test_the_origins_are_those_of_live_publishable_keys(
    sessions: Sessions, tables: SimpleNamespace
) -> None:
    keys = StoredKeys(sessions, tables.api_keys)
    assert keys.origins() == frozenset()
    with sessions.begin() as session:
        create_key(session, tables.api_keys, "server", ["chat"])
        create_publishable_key(session, tables.api_keys, "a", ["https://a.example"])
        create_publishable_key(
            session, tables.api_keys, "b", ["https://a.example", "https://b.example"]
        )
    assert keys.origins() == {"https://a.example", "https://b.example"}
    with sessions.begin() as session:
        revoke_key(session, tables.api_keys, "b")
    assert keys.origins() == {"https://a.example"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://shop.example", "https://shop.example"),
        (" HTTPS://Shop.Example/ ", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_written_as_a_browser_sends_it(text: str, expected: str) -> None:
    assert origin(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "null",
        "shop.example",
        "https://",
        "https://*.example",
        "https://a.example/page",
        "https://a.example?b",
        "https://a.example:x",
        "https://a.example:99999",
        "https://me@a.example",
        "https://a b.example",
        "https://[",
        "ftp://a.example",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_origin_is_told(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"such as https://shop\.example"):
        origin(text)
