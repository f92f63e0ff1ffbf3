"""When is a request tried again, and when not?"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import (
    FetchError,
)
from core.net import GuardedClient
from core.net.retry import backoff, retry_after

MakeClient = Callable[..., GuardedClient]


class Ticking:
    """A clock that moves a second each time it is read."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_busy_server_is_asked_again(
    make_client: MakeClient, site: Any, waits: list[float]
) -> None:
    site.answers["/a"] = [(503, {}, b""), (502, {}, b""), (200, {}, b"at last")]
    assert make_client(retries=2).get(site.url("/a")).body == b"at last"
    assert 0.125 <= waits[0] <= 0.25 <= waits[1] <= 0.5


def test_the_last_bad_answer_comes_back_as_it_is(make_client: MakeClient, site: Any) -> None:
    site.answers["/a"] = (504, {}, b"")
    assert make_client(retries=2).get(site.url("/a")).status == 504
    assert len(site.asked) == 3


def test_retry_after_is_kept(make_client: MakeClient, site: Any, waits: list[float]) -> None:
    site.answers["/a"] = [(503, {"Retry-After": "3"}, b""), (200, {}, b"")]
    assert make_client(retries=1).get(site.url("/a")).ok
    assert waits == [3.0]


@pytest.mark.parametrize("asked_for", ["3600", "9" * 50, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_long_retry_after_is_left_to_the_caller(
    make_client: MakeClient, site: Any, waits: list[float], asked_for: str
) -> None:
    site.answers["/a"] = (503, {"Retry-After": asked_for}, b"")
    assert make_client(retries=3).get(site.url("/a")).status == 503
    assert waits == []


def test_other_statuses_are_not_asked_again(make_client: MakeClient, site: Any) -> None:
    for status in (400, 404, 429, 500):
        site.answers["/a"] = (status, {}, b"")
        assert make_client(retries=3).get(site.url("/a")).status == status
    assert len(site.asked) == 4


def test_a_post_is_not_repeated_once_it_may_have_arrived(
    make_client: MakeClient, site: Any
) -> None:
    site.answers["/a"] = (503, {}, b"")
    make_client(retries=3).post(site.url("/a"), json={})
    assert len(site.asked) == 1


def test_a_post_with_an_idempotency_key_is_repeated(make_client: MakeClient, site: Any) -> None:
    site.answers["/a"] = [(503, {}, b""), (200, {}, b"")]
    headers = {"Idempotency-Key": "alert-17"}
    assert make_client(retries=3).post(site.url("/a"), json={}, headers=headers).ok


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_does_not_come_about_is_tried_again(
    make_client: MakeClient, waits: list[float], method: str
) -> None:
    client = make_client(retries=2, allow=("127.0.0.1/32",))
    with pytest.raises(FetchError, match="no connection"):
        client.request(method, "http://127.0.0.1:1/")
    assert len(waits) == 2


def test_an_answer_that_breaks_off_is_asked_for_again(make_client: MakeClient, site: Any) -> None:
    def cut(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "999")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True
        site.answers["/a"] = (200, {}, b"whole")

    site.answers["/a"] = cut
    assert make_client(retries=1).get(site.url("/a")).body == b"whole"


def test_retries_end_with_the_total_time(make_client: MakeClient, site: Any) -> None:
    site.answers["/a"] = (503, {}, b"")
    client = make_client(retries=10_000, clock=Ticking(), total_timeout=60.0)
    assert client.get(site.url("/a")).status == 503
    assert len(site.asked) < 60


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0), ("", 0), ("17", 17), ("soon", 0), ("-5", 0), ("1.5", 0), ("²", 0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30), ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_reads_numbers_and_dates(value: str | None, seconds: float) -> None:
    assert retry_after(value, datetime(2026, 3, 1, 12, tzinfo=UTC)) == seconds


def test_waits_double_up_to_ten_seconds_with_half_left_to_chance() -> None:
    rng = random.Random(0)
    for attempt, full in ((0, 0.25), (1, 0.5), (2, 1.0), (9, 10.0), (10_000, 10.0)):
        assert all(full / 2 <= backoff(attempt, rng) <= full for _ in range(50))
