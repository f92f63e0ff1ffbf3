"""Does a feed on a real server come in as its server wants, and recover by itself when it broke?"""

from __future__ import annotations

import gzip
import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import Message
from email.utils import format_datetime
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Row
from sqlalchemy.orm import Session, sessionmaker

from core.net import FetchPolicy, GuardedClient
from services.finance_sentiment.monitor import Monitor
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.source_lists import Listed
from services.finance_sentiment.sources import all_sources, due_sources, save_sources
from tests.finance_sentiment.conftest import NOW, Clock
from tests.finance_sentiment.site import Reply, Site, rss

Sessions = sessionmaker[Session]
Check = Callable[..., int]
FEED = rss("Oil falls")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.start()
    yield site
    site.stop()


@pytest.fixture
def other() -> Iterator[Site]:
    site = Site()
    site.start()
    yield site
    site.stop()


@pytest.fixture
def check(sessions: Sessions, clock: Clock, site: Site) -> Iterator[Check]:
    """One pass over all feeds that are due; how many new stories came."""
    clients: list[GuardedClient] = []

    def check(**options: Any) -> int:
        allow = options.pop("allow", (site.address,))
        settings = Settings(**options)
        policy = FetchPolicy(
            max_bytes=settings.max_feed_bytes, allow=allow, retries=0, read_timeout=0.5
        )
        clients.append(GuardedClient(policy))
        monitor = Monitor(sessions, settings, clients[-1], clock, "one", random.Random(0))
        return monitor.fetch_due(Event())

    yield check
    for client in clients:
        client.close()


def watch(sessions: Sessions, *urls: str, interval: float | None = None) -> None:
    feeds = [Listed(f"F{n}", url, interval_seconds=interval) for n, url in enumerate(urls)]
    with sessions.begin() as session:
        save_sources(session, feeds, NOW)


def states(sessions: Sessions) -> list[Row[Any]]:
    with sessions() as session:
        return all_sources(session)


def rest(sessions: Sessions) -> float:
    """Minutes until the (one) feed is asked again, without its jitter of up to a tenth."""
    [row] = states(sessions)
    return float((row.next_check_at - row.checked_at) / timedelta(minutes=1))


def test_validators_come_back_and_an_unchanged_feed_costs_nothing(
    sessions: Sessions, site: Site, check: Check, clock: Clock
) -> None:
    date = "Mon, 02 Mar 2026 10:00:00 GMT"

    def page(headers: Message) -> Reply:
        if headers["If-None-Match"] == '"v1"' and headers["If-Modified-Since"] == date:
            return Reply(304)
        return Reply(200, FEED, {"ETag": '"v1"', "Last-Modified": date})

    site.pages["/f"] = page
    watch(sessions, site.url("/f"))
    assert check() == 1
    clock.forward(hours=1)
    assert check() == 0
    [row] = states(sessions)
    assert (row.error_count, row.last_error, row.etag) == (0, None, '"v1"')
    assert len(site.asked) == 2


def test_gzip_is_asked_for_and_unpacked(sessions: Sessions, site: Site, check: Check) -> None:
    site.pages["/f"] = Reply(200, gzip.compress(FEED), {"Content-Encoding": "gzip"})
    watch(sessions, site.url("/f"))
    assert check() == 1
    assert "gzip" in site.asked[0][1]["Accept-Encoding"]


def test_a_small_answer_that_unpacks_to_a_huge_one_is_stopped(
    sessions: Sessions, site: Site, check: Check
) -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    site.pages["/f"] = Reply(200, bomb, {"Content-Encoding": "gzip"})
    watch(sessions, site.url("/f"))
    assert check(max_feed_bytes=100_000) == 0
    [row] = states(sessions)
    assert "larger than 100000 bytes" in row.last_error


def test_a_server_that_never_answers_holds_up_nobody(
    sessions: Sessions, site: Site, check: Check
) -> None:
    over = threading.Event()

    def silent(headers: Message) -> Reply:
        over.wait(10)
        return Reply(200, FEED)

    site.pages |= {"/slow": silent, "/f": Reply(200, FEED)}
    watch(sessions, site.url("/slow"), site.url("/f"))
    assert check() == 1
    over.set()
    slow, fine = states(sessions)
    assert "no answer in time" in slow.last_error
    assert fine.last_error is None


def test_a_feed_that_moved_for_good_is_asked_at_its_new_address(
    sessions: Sessions, site: Site, check: Check, clock: Clock
) -> None:
    site.pages |= {
        "/old": Reply(301, headers={"Location": "/new"}),
        "/new": Reply(200, FEED, {"ETag": '"v"'}),
    }
    watch(sessions, site.url("/old"))
    assert check() == 1
    [row] = states(sessions)
    assert (row.url, row.moved_from) == (site.url("/new"), site.url("/old"))
    assert row.moved_at == clock()
    clock.forward(hours=2)
    check()
    assert [path for path, _ in site.asked] == ["/old", "/new", "/new"]
    # The list that named the old address does not move it back.
    watch(sessions, site.url("/old"))
    [row] = states(sessions)
    assert (row.url, row.etag) == (site.url("/new"), '"v"')


def test_a_move_for_now_is_followed_and_not_recorded(
    sessions: Sessions, site: Site, check: Check
) -> None:
    site.pages |= {
        "/a": Reply(308, headers={"Location": "/b"}),
        "/b": Reply(302, headers={"Location": "/c"}),
        "/c": Reply(200, FEED),
    }
    watch(sessions, site.url("/a"))
    assert check() == 1
    [row] = states(sessions)
    assert row.url == site.url("/b")


def test_a_move_onto_another_feed_is_told_and_not_made(
    sessions: Sessions, site: Site, check: Check
) -> None:
    site.pages |= {"/a": Reply(301, headers={"Location": "/b"}), "/b": Reply(200, FEED)}
    watch(sessions, site.url("/a"), site.url("/b"))
    check()
    moved, _ = states(sessions)
    assert moved.url == site.url("/a")
    assert "'F1'" in moved.last_error


def test_redirects_in_a_ring_are_an_error(sessions: Sessions, site: Site, check: Check) -> None:
    site.pages["/f"] = Reply(302, headers={"Location": "/f"})
    watch(sessions, site.url("/f"))
    check()
    [row] = states(sessions)
    assert "redirects" in row.last_error


def test_a_redirect_to_a_private_address_is_refused_when_it_connects(
    sessions: Sessions, site: Site, other: Site, check: Check
) -> None:
    other.pages["/f"] = Reply(200, FEED)
    mapped = other.url("/f").replace("127.0.0.1", "[::ffff:127.0.0.1]")
    site.pages |= {
        "/plain": Reply(302, headers={"Location": other.url("/f")}),
        "/mapped": Reply(302, headers={"Location": mapped}),
        "/moved": Reply(301, headers={"Location": other.url("/f")}),
    }
    watch(sessions, *(site.url(path) for path in ("/plain", "/mapped", "/moved")))
    assert check() == 0
    assert all("not a public address" in row.last_error for row in states(sessions))
    assert other.asked == []
    assert [row.moved_from for row in states(sessions)] == [None] * 3


def test_an_undeclared_encoding_is_found_out(sessions: Sessions, site: Site, check: Check) -> None:
    body = rss("远望银行上调全年利润预期").decode().encode("gb18030")
    site.pages["/f"] = Reply(200, body, {"Content-Type": "application/rss+xml"})
    watch(sessions, site.url("/f"))
    assert check() == 1
    [row] = states(sessions)
    assert row.last_error is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    sessions: Sessions, site: Site, check: Check, clock: Clock, status: int, form: str
) -> None:
    value = "7200" if form == "seconds" else format_datetime(NOW + timedelta(hours=2), usegmt=True)
    site.pages |= {"/f": Reply(status, headers={"Retry-After": value}), "/g": Reply(200, FEED)}
    watch(sessions, site.url("/f"))
    check()
    assert 120 <= rest(sessions) <= 132
    # Another feed of the same host rests with it, and both are asked again by themselves.
    watch(sessions, site.url("/f"), site.url("/g"))
    assert check() == 0
    assert {row.host_rests_until for row in states(sessions)} == {NOW + timedelta(hours=2)}
    site.pages["/f"] = Reply(200, rss("Gold rises"))
    clock.forward(hours=3)
    assert check() == 2
    assert {row.host_rests_until for row in states(sessions)} == {None}


@pytest.mark.parametrize(
    ("reply", "least", "most"),
    [
        (Reply(200, FEED), 5, 5.5),
        (Reply(200, FEED, {"Cache-Control": "max-age=1800"}), 30, 33),
        (Reply(200, FEED, {"Expires": "Mon, 02 Mar 2026 13:00:00 GMT"}), 30, 33),
        (Reply(200, rss("Oil falls", head="<ttl>45</ttl>")), 45, 49.5),
        # Never longer than the longer bound: a wrong header must not silence a feed.
        (Reply(200, FEED, {"Cache-Control": "max-age=31536000"}), 60, 66),
    ],
    ids=["nothing", "max-age", "expires", "ttl", "a year"],
)
def test_what_the_server_calls_fresh_is_not_asked_for(
    sessions: Sessions, site: Site, check: Check, reply: Reply, least: float, most: float
) -> None:
    # A server's own Date would speak of another day than the clock of this test.
    headers = {"Date": "Mon, 02 Mar 2026 12:30:00 GMT"} if "Expires" in reply.headers else {}
    site.pages["/f"] = Reply(reply.status, reply.body, reply.headers | headers)
    watch(sessions, site.url("/f"))
    check()
    assert least <= rest(sessions) <= most


def test_a_ttl_holds_for_answers_without_a_body_too(
    sessions: Sessions, site: Site, check: Check, clock: Clock
) -> None:
    site.pages["/f"] = Reply(200, rss("Oil falls", head="<ttl>45</ttl>"), {"ETag": '"v"'})
    watch(sessions, site.url("/f"))
    check()
    site.pages["/f"] = Reply(304)
    clock.forward(hours=1)
    check()
    assert 45 <= rest(sessions) <= 49.5


def test_a_quiet_feed_is_asked_less_and_less_and_a_busy_one_more(
    sessions: Sessions, site: Site, check: Check, clock: Clock
) -> None:
    site.pages["/f"] = Reply(200, FEED)
    watch(sessions, site.url("/f"))
    rests = []
    for _ in range(16):
        check()
        rests.append(rest(sessions))
        clock.forward(hours=2)
    assert rests[0] < 6 and 60 <= rests[-1] <= 66
    site.pages["/f"] = Reply(200, rss("Gold rises"))
    check()
    assert 30 <= rest(sessions) <= 33


def test_a_stated_interval_does_not_change(
    sessions: Sessions, site: Site, check: Check, clock: Clock
) -> None:
    site.pages["/f"] = Reply(200, FEED)
    watch(sessions, site.url("/f"), interval=600)
    for _ in range(5):
        check()
        assert 10 <= rest(sessions) <= 11
        clock.forward(hours=2)


def test_a_broken_feed_rests_twice_as_long_each_time_and_recovers(
    sessions: Sessions, site: Site, check: Check, clock: Clock
) -> None:
    watch(sessions, site.url("/f"))
    for minutes in (10, 20, 40):
        check()
        assert minutes <= rest(sessions) <= minutes * 1.1
        clock.forward(hours=7)
    site.pages["/f"] = Reply(200, FEED)
    assert check() == 1
    assert rest(sessions) < 6


def test_a_host_that_fails_again_and_again_rests_with_all_its_feeds(
    sessions: Sessions, site: Site, check: Check, clock: Clock
) -> None:
    for number in range(6):
        site.pages[f"/{number}"] = Reply(502)
    watch(sessions, *(site.url(f"/{n}") for n in range(6)))
    check(fetch_per_host=1)
    assert len(site.asked) == 3
    with sessions() as session:
        assert due_sources(session, clock(), 10) == []
    for number in range(6):
        site.pages[f"/{number}"] = Reply(200, rss(f"Story {number}"))
    clock.forward(hours=1)
    assert check() == 6


def test_a_host_is_asked_by_as_many_at_once_as_allowed(
    sessions: Sessions, site: Site, check: Check
) -> None:
    pair = threading.Barrier(2, timeout=10)

    def together(headers: Message) -> Reply:
        pair.wait()
        return Reply(200, FEED)

    for number in range(6):
        site.pages[f"/{number}"] = together
    watch(sessions, *(site.url(f"/{n}") for n in range(6)))
    check(fetch_per_host=2, fetch_concurrency=6)
    assert site.most_at_once == 2
    assert len(site.asked) == 6
