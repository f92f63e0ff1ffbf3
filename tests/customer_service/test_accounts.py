"""Agents, their passwords and their sessions, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, select

from core.db.engine import session_factory
from core.errors import Conflict, InvalidInput, NotFound, Unauthorized
from services.customer_service import passwords, tables
from services.customer_service.accounts import Accounts, SessionTimes

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD = "seven grey umbrellas"


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", cheap)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(engine: Engine, clock: Clock) -> Accounts:
    times = SessionTimes(idle=timedelta(minutes=60), longest=timedelta(hours=12))
    readers = session_factory(engine, read_only=True)
    return Accounts(session_factory(engine), readers, clock, times)


def test_an_agent_logs_in_and_is_known_by_the_token(accounts: Accounts) -> None:
    added = accounts.add("Anna@Shop.example", PASSWORD, role="admin", language="zh")
    assert (added.name, added.shown_as, added.role) == ("anna@shop.example", "anna", "admin")
    begun = accounts.log_in("ANNA@shop.example ", PASSWORD)
    assert begun.agent == added
    assert accounts.of_token(begun.token) == added
    assert accounts.of_token(begun.token + "x") is None
    assert accounts.all() == [added]


def test_neither_password_nor_token_stands_in_the_database(
    accounts: Accounts, engine: Engine
) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    token = accounts.log_in("anna", PASSWORD).token
    with session_factory(engine)() as session:
        rows = [*session.execute(select(tables.agents)), *session.execute(_sessions())]
    assert len(rows) == 2
    assert PASSWORD not in str(rows)
    assert token not in str(rows)


def test_a_wrong_name_a_wrong_password_and_a_disabled_agent_look_alike(accounts: Accounts) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    accounts.add("bert", PASSWORD, role="agent")
    accounts.set_disabled("bert", True)
    told = set()
    for name, password in (
        ("anna", "seven grey umbrella"),
        ("nobody", PASSWORD),
        ("bert", PASSWORD),
    ):
        with pytest.raises(Unauthorized) as refused:
            accounts.log_in(name, password)
        told.add(str(refused.value))
    assert len(told) == 1


def test_an_unknown_name_costs_the_same_work(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    costs = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            costs.append(str(hash).rsplit("$", 2)[0])
            return super().verify(hash, password)

    counting = Counting(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", counting)
    for name in ("anna", "nobody"):
        with pytest.raises(Unauthorized):
            accounts.log_in(name, "something else")
    assert len(costs) == 2
    assert costs[0] == costs[1]


def test_a_session_lasts_while_it_is_used_and_at_the_longest_for_its_hours(
    accounts: Accounts, clock: Clock
) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    token = accounts.log_in("anna", PASSWORD).token
    for minutes in range(50, 12 * 60, 50):
        clock.now = NOW + timedelta(minutes=minutes)
        assert accounts.of_token(token) is not None, minutes
    clock.now = NOW + timedelta(hours=12)
    assert accounts.of_token(token) is None


def test_a_session_that_nobody_uses_ends_after_an_hour(accounts: Accounts, clock: Clock) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    token = accounts.log_in("anna", PASSWORD).token
    clock.now = NOW + timedelta(minutes=60)
    assert accounts.of_token(token) is None


def test_sessions_that_are_over_are_cleared_away_by_the_next_log_in(
    accounts: Accounts, clock: Clock, engine: Engine
) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    accounts.log_in("anna", PASSWORD)
    clock.now = NOW + timedelta(hours=2)
    accounts.log_in("anna", PASSWORD)
    with session_factory(engine)() as session:
        assert len(session.execute(_sessions()).all()) == 1


def test_a_new_password_and_disabling_end_all_sessions(accounts: Accounts) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    token = accounts.log_in("anna", PASSWORD).token
    accounts.change_password("anna", PASSWORD, "nine blue umbrellas")
    assert accounts.of_token(token) is None
    with pytest.raises(Unauthorized):
        accounts.log_in("anna", PASSWORD)
    token = accounts.log_in("anna", "nine blue umbrellas").token
    accounts.set_disabled("anna", True)
    assert accounts.of_token(token) is None
    accounts.set_disabled("anna", False)
    assert accounts.of_token(token) is None
    assert accounts.log_in("anna", "nine blue umbrellas")


def test_a_password_is_changed_by_who_knows_the_old_one(accounts: Accounts) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    with pytest.raises(Unauthorized):
        accounts.change_password("anna", "a wrong one here", "nine blue umbrellas")
    assert accounts.log_in("anna", PASSWORD)


def test_logging_out_ends_one_session(accounts: Accounts) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    first, second = (accounts.log_in("anna", PASSWORD).token for _ in range(2))
    accounts.log_out(first)
    accounts.log_out(first)
    assert accounts.of_token(first) is None
    assert accounts.of_token(second) is not None


def test_names_are_taken_once_and_unknown_ones_told(accounts: Accounts) -> None:
    accounts.add("anna", PASSWORD, role="agent")
    with pytest.raises(Conflict):
        accounts.add("Anna", PASSWORD, role="agent")
    with pytest.raises(NotFound):
        accounts.set_disabled("nobody", True)
    with pytest.raises(NotFound):
        accounts.set_password("nobody", PASSWORD)
    for name in ("", "a b", "x" * 201, "a\nb"):
        with pytest.raises(InvalidInput):
            accounts.add(name, PASSWORD, role="agent")


def _sessions() -> object:
    return select(tables.agent_sessions)
