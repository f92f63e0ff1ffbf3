"""Is the stored history walked through once, as a backtest does, and kept for who asks again?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.finance_sentiment import backtests as module
from services.finance_sentiment import promise
from services.finance_sentiment.alert_store import mark
from services.finance_sentiment.alerts import Terms, advance
from services.finance_sentiment.backtests import Backtests, Look, past, walked
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.life import AT_ONCE
from services.finance_sentiment.store import hourly_counts
from tests.finance_sentiment.conftest import NOW, Clock
from tests.finance_sentiment.made_news import Sessions, calm, keep, story, surge, watch


@pytest.fixture(autouse=True)
def quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 16)


@pytest.fixture
def filled(sessions: Sessions) -> Sessions:
    keep(sessions, [*calm(NOW - timedelta(hours=4), 240), *surge(NOW)])
    return sessions


class Seconds:
    """A clock of seconds that is put forward by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def backtests(sessions: Sessions, clock: Clock, seconds: Seconds) -> Iterator[Backtests]:
    made = Backtests(sessions, clock, lambda: "v1", false_alarms=1.0, clock=seconds)
    yield made
    made.stop()


def done(backtests: Backtests) -> Look:
    look = backtests.look()
    if look.pending is not None:
        look.pending.result(60)
        look = backtests.look()
    return look


def test_it_finds_what_the_worker_would_have(filled: Sessions, backtests: Backtests) -> None:
    result = done(backtests).result
    assert result is not None
    assert [b.false_alarms_per_week for b in result.budgets] == [0.25, 0.5, 1.0, 2.0, 4.0]
    [own] = [b for b in result.budgets if b.in_force]
    with filled() as session:
        counts = hourly_counts(session, hour_of(NOW) - 400, hour_of(NOW))
    assert own.alerts == advance(None, counts, counts.end_hour, Terms(1.0)).alerts
    assert any(alert.topic == "banking" for alert in own.alerts)
    counted = [len(b.alerts) for b in result.budgets]
    assert counted == sorted(counted)


def test_it_is_worked_out_once_for_the_same_history(
    filled: Sessions, backtests: Backtests, clock: Clock, seconds: Seconds,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    walks = []

    def counting(*args: object) -> object:
        walks.append(1)
        return walked(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "walked", counting)
    first = done(backtests)
    assert first.state == "done" and backtests.look() == first and len(walks) == 1
    seconds.at += 3600
    assert done(backtests).result == first.result and len(walks) == 1
    keep(filled, [story(NOW - timedelta(hours=2), "energy")])
    assert done(backtests).result == first.result
    seconds.at += 3600
    assert done(backtests).result != first.result and len(walks) == 2
    clock.forward(hours=1)
    look = backtests.look()
    assert look.state == "computing" and look.result is not None
    assert done(backtests).state == "done" and len(walks) == 3


def test_too_little_history_promises_nothing_and_is_looked_at_again_soon(
    sessions: Sessions, backtests: Backtests, seconds: Seconds
) -> None:
    look = done(backtests)
    assert look.result is not None and look.result.budgets == ()
    keep(sessions, calm(NOW, 240))
    seconds.at += 11
    found = done(backtests).result
    assert found is not None and len(found.budgets) == 5


def test_a_failure_is_said_and_tried_again(
    filled: Sessions, backtests: Backtests, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(module, "walked", broken)
    assert done(backtests).state == "failed"
    monkeypatch.undo()
    monkeypatch.setattr(promise, "MAX_PATHS", 16)
    assert backtests.look().state == "failed"
    seconds.at += 11
    assert done(backtests).state == "done"


def test_it_tells_how_far_it_is_and_ends_with_the_server(
    filled: Sessions, backtests: Backtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    told = Backtests._told

    def slow(self: Backtests, progress: float) -> None:
        told(self, progress)
        reached.set()
        go_on.wait(30)

    monkeypatch.setattr(Backtests, "_told", slow)
    pending = backtests.look().pending
    assert pending is not None and reached.wait(60)
    assert 0 < backtests.look().progress < 1
    backtests.stop()
    go_on.set()
    pending.result(60)
    assert backtests.look().result is None


def test_a_mark_makes_another_history(filled: Sessions) -> None:
    def digest() -> str:
        with filled() as session:
            return past(session, 1.0, AT_ONCE, hour_of(NOW), companies=False).digest

    watch(filled, NOW)
    before = digest()
    with filled.begin() as session:
        assert mark(session, 1, True, NOW)
    assert digest() != before
