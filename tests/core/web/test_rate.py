"""Does a window let through what it says, and start anew?"""

from __future__ import annotations

import pytest

from core.web.rate import Rate, WindowCounter, parse_rate


class FakeClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_requests_beyond_the_amount_wait_for_the_next_window(clock: FakeClock) -> None:
    counter = WindowCounter(Rate(2, 60.0, "2/minute"), clock)
    assert [counter.hit("a") for _ in range(3)] == [0.0, 0.0, 60.0]
    clock.now += 45.0
    assert counter.hit("a") == 15.0
    clock.now += 15.0
    assert counter.hit("a") == 0.0


def test_callers_are_counted_apart(clock: FakeClock) -> None:
    counter = WindowCounter(Rate(1, 60.0, "1/minute"), clock)
    assert counter.hit("a") == 0.0
    assert counter.hit("b") == 0.0
    assert counter.hit("a") == 60.0


def test_windows_that_are_over_are_forgotten(clock: FakeClock) -> None:
    counter = WindowCounter(Rate(1, 1.0, "1/second"), clock)
    for number in range(25_000):
        counter.hit(str(number))
        clock.now += 0.001
    assert len(counter._windows) < 12_000


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [("600/minute", 600, 60), ("5 per 10 seconds", 5, 10), (" 1/second ", 1, 1)],
)
def test_a_rate_is_read_from_its_notation(text: str, amount: int, seconds: float) -> None:
    rate = parse_rate(text)
    assert rate is not None
    assert (rate.amount, rate.seconds) == (amount, seconds)


def test_an_empty_rate_is_no_limit() -> None:
    assert parse_rate("") is None
