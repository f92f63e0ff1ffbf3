"""Does one of two workers win, and does nobody wait for the dead?"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.db.leases import acquire, release

Sessions = sessionmaker[Session]
TTL = timedelta(seconds=30)


@pytest.fixture
def take(sessions: Sessions, tables: SimpleNamespace) -> object:
    def take(owner: str, now: datetime, name: str = "poll") -> bool:
        with sessions.begin() as session:
            return acquire(session, tables.leases, name, owner, now=now, ttl=TTL)

    return take


def test_the_first_one_wins_and_the_second_one_waits(take, now: datetime) -> None:
    assert take("anna", now)
    assert not take("bert", now)


def test_the_owner_makes_the_lease_longer(take, now: datetime) -> None:
    assert take("anna", now)
    assert take("anna", now + TTL / 2)
    assert not take("bert", now + TTL)


def test_a_lease_that_ran_out_is_anybodys(take, now: datetime) -> None:
    assert take("anna", now)
    assert take("bert", now + TTL)
    assert not take("anna", now + TTL)


def test_leases_of_different_names_do_not_meet(take, now: datetime) -> None:
    assert take("anna", now, "poll")
    assert take("bert", now, "retrain")


def test_what_was_released_is_free_at_once(
    take, sessions: Sessions, tables: SimpleNamespace, now: datetime
) -> None:
    assert take("anna", now)
    with sessions.begin() as session:
        assert not release(session, tables.leases, "poll", "bert")
        assert release(session, tables.leases, "poll", "anna")
    assert take("bert", now)


@pytest.mark.parametrize("ran_out_before", [False, True], ids=["never held", "ran out"])
def test_of_many_at_once_one_wins(take, now: datetime, ran_out_before: bool) -> None:
    if ran_out_before:
        assert take("nobody", now - 2 * TTL)
    ready = threading.Barrier(6)
    winners: list[str] = []

    def race(owner: str) -> None:
        ready.wait()
        if take(owner, now):
            winners.append(owner)

    threads = [threading.Thread(target=race, args=(f"worker {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
