"""Where a webhook may lie, what is sent to it, and what of its answer is used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_service.calls import (
    Asked,
    Call,
    CallCase,
    address,
    facts_of,
    is_plain,
    signature,
)

BASES = ("https://shop.example/hooks", "http://10.0.0.5:8080")


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("/orders", "https://shop.example/hooks/orders"),
        ("/orders?kind=1", "https://shop.example/hooks/orders?kind=1"),
        ("https://shop.example/hooks", "https://shop.example/hooks"),
        ("https://shop.example/hooks/a/b", "https://shop.example/hooks/a/b"),
        ("http://10.0.0.5:8080/a", "http://10.0.0.5:8080/a"),
        # elsewhere
        ("https://shop.example/other", None),
        ("https://shop.example/hooksmith", None),
        ("https://shop.example.evil.example/hooks", None),
        ("http://shop.example/hooks", None),
        ("https://shop.example:444/hooks", None),
        ("http://10.0.0.5:80801/a", None),
        ("ftp://shop.example/hooks", None),
        # no way out
        ("/../admin", None),
        ("/a/../../b", None),
        ("//evil.example/a", None),
        ("/%2e%2e/admin", None),
        ("/a\\..\\b", None),
        ("/a#b", None),
        ("/a b", None),
        ("https://shop.example/hooks/../admin", None),
        ("https://shop.example@evil.example/hooks", None),
        ("https://shop.example/hooks\n/a", None),
        ("", None),
    ],
)
def test_only_what_lies_below_a_named_address_is_called(url: str, whole: str | None) -> None:
    assert address(url, BASES) == whole


def test_without_addresses_nothing_is_called() -> None:
    assert address("/orders", ()) is None


@given(st.text(max_size=60))
def test_whatever_is_called_begins_with_a_named_address(url: str) -> None:
    whole = address(url, BASES)
    assert whole is None or whole.startswith(BASES)
    assert whole is None or (is_plain(url) and ".." not in whole.partition("?")[0].split("/"))


CALL = Call("look_up", "/orders", ("number", "email"))


def test_only_the_slots_of_the_call_are_sent() -> None:
    asked = Asked(CALL, "会话", "m", "zh", {"number": "1", "secret": "x"})
    assert json.loads(asked.body) == {
        "action": "look_up",
        "conversation_id": "会话",
        "message_id": "m",
        "locale": "zh",
        "slots": {"number": "1"},
    }


def test_the_key_is_the_same_for_the_same_message_alone() -> None:
    def key(conversation: str, message: str, call: Call = CALL) -> str:
        return Asked(call, conversation, message, "en").key

    assert key("c", "m") == Asked(CALL, "c", "m", "zh", {"number": "2"}).key
    other = [key("c", "m2"), key("c2", "m"), key("cm", ""), key("c", "m", Call("x", "/"))]
    assert key("c", "m") not in other
    assert key("会话", "m").isascii()


def test_the_signature_is_what_openssl_makes_and_covers_time_and_secret() -> None:
    # printf '1772366400.{}' | openssl dgst -sha256 -hmac 0123456789abcdefghij
    expected = "e9f776647664cd750e78a0a24a9465ae61b498958b3e0e71a58160c4a6be0346"
    assert signature("0123456789abcdefghij", "1772366400", b"{}") == f"sha256={expected}"
    assert signature("a" * 20, "1", b"{}") != signature("a" * 20, "2", b"{}")
    assert signature("a" * 20, "1", b"{}") != signature("b" * 20, "1", b"{}")


@pytest.mark.parametrize(
    ("reply", "facts"),
    [
        ({"a": "x", "b": 2, "c": 1.5, "d": True}, {"a": "x", "b": "2", "c": "1.5", "d": "true"}),
        ({"a": None, "b": [], "c": {}, "d": "", "e": "\u200b"}, {}),
        ({"a": float("inf"), "b": float("nan"), "c": 10**400}, {}),
        ({"a": " x\r\n\ty\x00\u202e "}, {"a": "x y"}),
        ({"a": "y" * 501}, {"a": "y" * 500}),
        ([{"a": "x"}], None),
        ("x", None),
        (None, None),
    ],
)
def test_of_a_reply_the_flat_values_are_used(reply: Any, facts: Any) -> None:
    assert facts_of(reply) == facts


def test_of_a_reply_at_most_fifty_keys_are_read() -> None:
    assert len(facts_of({str(n): n for n in range(100)}) or {}) == 50


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_no_reply_gives_anything_but_short_printable_text(reply: Any) -> None:
    for value in (facts_of(reply) or {}).values():
        assert 0 < len(value) <= 500
        assert value == " ".join(value.split())


def test_the_first_case_that_holds_is_taken() -> None:
    none, lost = CallCase({"found": "false"}, {}), CallCase({"found": "true", "state": "lost"}, {})
    call = Call("x", "/", cases=(none, lost))
    assert call.case({"found": "FALSE"}) is none
    assert call.case({"found": "true", "state": "Lost"}) is lost
    assert call.case({"found": "true"}) is None
