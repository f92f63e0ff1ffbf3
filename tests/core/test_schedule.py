"""Ticks come at once and again, failures end nothing, and one worker at a time has a lease."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import MetaData, Table
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from core.db.tables import leases_table
from core.errors import StorageError
from core.schedule import Exclusive, Tick, owner_name, run_ticks

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
# Longer than any test lasts: such a tick comes at the start and never again.
ONCE = 3600.0
PATIENCE = 30.0


def counted(stop: threading.Event, times: int, fail: Exception | None = None) -> Callable[[], None]:
    """Work that ends everything when it was done so many times; each time it may fail."""
    done = []

    def work() -> None:
        done.append(1)
        if len(done) >= times:
            stop.set()
        if fail is not None:
            raise fail

    return work


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Set after half a minute, so that a mistake ends the run and not the patience."""
    stop = threading.Event()
    timer = threading.Timer(PATIENCE, stop.set)
    timer.start()
    yield stop
    timer.cancel()


# --- ticks ---------------------------------------------------------------------------------------


def test_a_tick_comes_at_the_start(stop: threading.Event) -> None:
    done: list[str] = []
    last = Tick("last", counted(stop, 1), ONCE)
    run_ticks([Tick("first", lambda: done.append("first"), ONCE), last], stop, owner="me")
    assert done == ["first"]


def test_a_tick_comes_again(stop: threading.Event) -> None:
    done: list[int] = []
    again = counted(stop, 3)
    run_ticks([Tick("often", lambda: (done.append(1), again()), 0.01)], stop, owner="me")
    assert len(done) >= 3


@pytest.mark.parametrize("error", [StorageError("it is busy"), ValueError("a mistake of ours")])
def test_a_tick_that_fails_comes_again_and_is_told(
    stop: threading.Event, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    run_ticks([Tick("bad", counted(stop, 2, fail=error), 0.01)], stop, owner="me")
    told = [record for record in caplog.records if "the tick failed" in record.message]
    assert len(told) >= 2
    assert told[0].__dict__["tick"] == "bad"


def test_a_foreseen_failure_is_told_by_its_mend_and_without_a_trace_back(
    stop: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    busy = StorageError("it is busy", mend="Try again.")
    run_ticks([Tick("bad", counted(stop, 1, fail=busy), ONCE)], stop, owner="me")
    [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.message == "the tick failed: it is busy. Try again."
    assert told.exc_info is None


def test_ticks_run_side_by_side_where_each_has_a_thread(stop: threading.Event) -> None:
    met = threading.Barrier(2)
    waits: list[int] = []

    def meet() -> None:
        waits.append(met.wait(PATIENCE))
        if len(waits) == 2:
            stop.set()

    ticks = [Tick("one", meet, ONCE), Tick("other", meet, ONCE)]
    run_ticks(ticks, stop, owner="me", threads=2)
    assert sorted(waits) == [0, 1]


def test_with_one_thread_no_tick_runs_beside_another(stop: threading.Event) -> None:
    busy, together = threading.Lock(), []
    last = counted(stop, 20)

    def work() -> None:
        together.append(not busy.acquire(blocking=False))
        last()
        if not together[-1]:
            busy.release()

    run_ticks([Tick(name, work, 0.01) for name in "abc"], stop, owner="me")
    assert len(together) >= 20
    assert not any(together)


def test_what_has_begun_is_finished_and_nothing_begins_after_the_stop(
    stop: threading.Event,
) -> None:
    done: list[str] = []

    def first() -> None:
        stop.set()
        done.append("finished")

    late = Tick("late", lambda: done.append("begun too late"), ONCE)
    run_ticks([Tick("first", first, ONCE), late], stop, owner="me")
    assert done == ["finished"]


def test_the_owner_is_told(stop: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "core.schedule")
    run_ticks([Tick("t", stop.set, ONCE)], stop, owner="box-7-ab")
    assert [r.message for r in caplog.records] == ["working", "stopped"]
    assert caplog.records[0].__dict__["owner"] == "box-7-ab"


def test_no_two_workers_have_one_name_and_each_fits_the_table() -> None:
    names = {owner_name() for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) <= 200 for name in names)


def test_it_needs_neither_a_web_framework_nor_a_model(run_python: Callable[..., str]) -> None:
    code = """
import sys
import core.schedule
print([name for name in ("fastapi", "starlette", "torch", "onnxruntime") if name in sys.modules])
"""
    assert run_python(code) == "[]"


# --- leases --------------------------------------------------------------------------------------


@pytest.fixture
def leases() -> Table:
    return leases_table(MetaData())


@pytest.fixture
def sessions(sqlite_url: str, leases: Table) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(sqlite_url)
    leases.metadata.create_all(engine)
    yield session_factory(engine)
    engine.dispose()


@pytest.fixture
def exclusive(
    sessions: sessionmaker[Session], leases: Table, stop: threading.Event
) -> Callable[..., Exclusive]:
    def make(owner: str, now: datetime = NOW) -> Exclusive:
        return Exclusive(sessions, leases, owner, lambda: now, stop)

    return make


def portions(*sizes: int) -> Callable[[], int]:
    """Each call does one of them, then nothing is left."""
    left = iter(sizes)
    return lambda: next(left, 0)


def test_portions_are_done_until_one_finds_nothing(exclusive: Callable[..., Exclusive]) -> None:
    assert exclusive("me").repeat("work", portions(3, 2, 0, 7)) == 5


def test_while_one_works_the_other_does_nothing_and_another_thing_is_free(
    exclusive: Callable[..., Exclusive],
) -> None:
    mine, others = exclusive("me"), exclusive("other")
    seen = []

    def portion() -> int:
        seen.append(others.repeat("work", portions(1)))
        seen.append(others.repeat("other work", portions(1)))
        return 0

    mine.repeat("work", portion)
    assert seen == [0, 1]
    assert others.repeat("work", portions(1)) == 1  # given back


def test_a_worker_that_died_keeps_the_others_away_for_the_time_of_the_lease(
    exclusive: Callable[..., Exclusive],
) -> None:
    def die() -> int:
        raise ValueError

    with pytest.raises(ValueError):
        exclusive("dead").repeat("work", die)
    assert exclusive("other", NOW + timedelta(minutes=4)).repeat("work", portions(1)) == 0
    assert exclusive("other", NOW + timedelta(minutes=5)).repeat("work", portions(1)) == 1


def test_the_stop_is_looked_at_between_portions(
    exclusive: Callable[..., Exclusive], stop: threading.Event
) -> None:
    def portion() -> int:
        stop.set()
        return 2

    assert exclusive("me").repeat("work", portion) == 2
    assert exclusive("me").repeat("work", portion) == 0
