"""What does one conditional request bring, and is every failure data?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from core.errors import FetchError, FetchTimeout
from core.net import Response
from services.finance_sentiment.feeds import Fetched, Source, fetch_feed

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FEED = b"<rss version='2.0'><channel><item><title>Oil falls</title></item></channel></rss>"


class OneAnswer:
    """A client with one answer for everything, that remembers what it was asked."""

    def __init__(self, answer: Response | Exception) -> None:
        self.answer = answer
        self.asked: list[dict[str, str]] = []

    def get(self, url: str, *, headers: dict[str, str] | None = None) -> Response:
        self.asked.append(headers or {})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answer(status: int = 200, body: bytes = FEED, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, httpx.Headers(named), body, "https://a.example/f")


def source(**values: str) -> Source:
    return Source(1, "A", "https://a.example/f", **values)


def fetch(client: OneAnswer, feed: Source | None = None) -> Fetched:
    return fetch_feed(client, feed or source(), now=NOW, max_entries=10)


def test_a_fresh_answer_brings_entries_and_validators() -> None:
    fetched = fetch(OneAnswer(answer(etag='"v1"', last_modified="Mon, 02 Mar 2026 10:00:00 GMT")))
    assert fetched.outcome == "fresh"
    assert [entry.title for entry in fetched.entries] == ["Oil falls"]
    assert (fetched.etag, fetched.last_modified) == ('"v1"', "Mon, 02 Mar 2026 10:00:00 GMT")


def test_what_the_feed_sent_last_time_goes_along() -> None:
    client = OneAnswer(answer(304, b""))
    fetched = fetch(client, source(etag='"v1"', last_modified="yesterday"))
    assert client.asked[0]["If-None-Match"] == '"v1"'
    assert client.asked[0]["If-Modified-Since"] == "yesterday"
    assert (fetched.outcome, fetched.etag) == ("unchanged", '"v1"')


@pytest.mark.parametrize(
    "trouble",
    [
        FetchError("no connection", "https://a.example/f"),
        FetchTimeout("no answer in time", "https://a.example/f"),
        answer(404),
        answer(500, b"oops"),
        answer(200, b"<html>log in</html>"),
        answer(200, b""),
    ],
)
def test_every_failure_says_what_it_was(trouble: Response | Exception) -> None:
    fetched = fetch(OneAnswer(trouble))
    assert fetched.outcome == "failed"
    assert fetched.error
    assert fetched.entries == ()


@pytest.mark.parametrize("value", ["120", "Mon, 02 Mar 2026 12:02:00 GMT"])
def test_a_busy_server_says_when_to_come_back(value: str) -> None:
    assert fetch(OneAnswer(answer(429, b"", retry_after=value))).wait == timedelta(minutes=2)


def test_a_wait_of_centuries_is_bounded() -> None:
    wait = fetch(OneAnswer(answer(503, b"", retry_after="999999999"))).wait
    assert wait == timedelta(days=1)


def test_a_validator_that_cannot_be_sent_back_is_not_kept() -> None:
    assert fetch(OneAnswer(answer(etag="x" * 600))).etag is None
    assert fetch(OneAnswer(answer(etag="a\tb"))).etag is None
