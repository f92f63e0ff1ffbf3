"""Passwords are bounded, kept as salted Argon2id, and found right or wrong."""

from __future__ import annotations

import unicodedata

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from services.customer_service import passwords
from services.customer_service.passwords import checked, hashed, verify

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def test_a_line_names_its_cost_and_opens_with_its_password_alone() -> None:
    line = hashed("seven grey umbrellas")
    assert line.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert verify("seven grey umbrellas", line)
    assert not verify("seven grey umbrellas ", line)


def test_two_lines_of_one_password_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", CHEAP)
    assert hashed("seven grey umbrellas") != hashed("seven grey umbrellas")


def test_a_line_of_another_cost_still_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", CHEAP)
    line = hashed("seven grey umbrellas")
    monkeypatch.undo()
    assert verify("seven grey umbrellas", line)


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_any_text_is_compared(one: str, other: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", CHEAP)
        line = hashed(one)
        assert verify(one, line)
        same = unicodedata.normalize("NFKC", other) == unicodedata.normalize("NFKC", one)
        assert verify(other, line) == same


@pytest.mark.parametrize("line", [None, "", "$argon2id$v=19$x", "$scrypt$ln=4,r=1,p=1$*$*", "x"])
def test_what_is_no_line_of_ours_opens_nothing(
    line: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "HASHER", CHEAP)
    assert not verify("seven grey umbrellas", line)
    assert not verify("", line)


@pytest.mark.parametrize("password", ["", "nine char", "x" * 201, "aaaaaaaaaaaa", "ababababababab"])
def test_a_password_that_is_too_short_too_long_or_too_plain_is_refused(password: str) -> None:
    with pytest.raises(InvalidInput):
        checked(password)
    assert checked("ten chars!") == "ten chars!"
