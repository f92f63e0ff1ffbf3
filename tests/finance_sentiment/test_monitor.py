"""Does a pass bring stories from feeds to alerts, once, whoever else is at work?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import httpx
import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session, sessionmaker

from core.errors import FetchError
from core.net import Response
from services.finance_sentiment import promise
from services.finance_sentiment.alert_store import page_of_alerts
from services.finance_sentiment.domain import Entry, Label, hour_of, moment_of
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.merging import Reading
from services.finance_sentiment.monitor import LEASE, Monitor
from services.finance_sentiment.rules import Rule
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.source_lists import Listed
from services.finance_sentiment.sources import all_sources, save_sources
from services.finance_sentiment.store import StoryFilter, page_of_stories
from services.finance_sentiment.tables import stories as stories_table
from tests.finance_sentiment.conftest import NOW, Clock

Sessions = sessionmaker[Session]
MakeMonitor = Callable[..., Monitor]


class Web:
    """A small web: addresses with their answers, and how often each was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Response | Exception] = {}
        self.asked: list[str] = []

    def feed(self, name: str, *titles: str) -> Listed:
        url = f"https://{name}.example/feed"
        items = "".join(f"<item><title>{t}</title><guid>{t}</guid></item>" for t in titles)
        body = f"<rss version='2.0'><channel>{items}</channel></rss>".encode()
        self.pages[url] = Response(200, httpx.Headers({"etag": f'"{len(titles)}"'}), body, url)
        return Listed(name, url)

    def get(self, url: str, *, headers: dict[str, str] | None = None) -> Response:
        self.asked.append(url)
        page = self.pages[url]
        if isinstance(page, Exception):
            raise page
        if (headers or {}).get("If-None-Match") == page.headers["etag"]:
            return Response(304, page.headers, b"", url)
        return page


NEGATIVE = Label("v1", "negative", "banking", 0.8, 0.1, 0.1, 0.9, True)


def negative(texts: Sequence[str]) -> Reading:
    return Reading([NEGATIVE] * len(texts))


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def make(sessions: Sessions, web: Web, clock: Clock) -> MakeMonitor:
    def make(owner: str = "one", **options: object) -> Monitor:
        rules: Sequence[Rule] = options.pop("rules", ())  # type: ignore[assignment]
        settings = Settings(label_batch=2, fetch_concurrency=2, **options)
        return Monitor(sessions, settings, web, clock, owner, random.Random(0), rules)

    return make


def watch(sessions: Sessions, *feeds: Listed) -> None:
    with sessions.begin() as session:
        save_sources(session, feeds, NOW)


def titles(sessions: Sessions, **wanted: str) -> list[str]:
    with sessions() as session:
        page, _ = page_of_stories(session, StoryFilter(**wanted), limit=100, cursor=None)
    return sorted(row.title for row in page)


def test_one_pass_fetches_and_labels(sessions: Sessions, web: Web, make: MakeMonitor) -> None:
    watch(sessions, web.feed("a", "Bank fails", "Oil falls", "Gold rises"))
    monitor = make()
    assert monitor.fetch_due(Event()) == 3
    assert monitor.label_pending(negative, Event()) == 3
    assert len(titles(sessions, sentiment="negative", topic="banking")) == 3


def test_a_feed_without_news_is_asked_with_what_it_sent(
    sessions: Sessions, web: Web, make: MakeMonitor, clock: Clock
) -> None:
    watch(sessions, web.feed("a", "Bank fails"))
    monitor = make()
    monitor.fetch_due(Event())
    assert monitor.fetch_due(Event()) == 0
    assert len(web.asked) == 1  # it is not due yet
    clock.forward(minutes=10)
    assert monitor.fetch_due(Event()) == 0
    assert len(web.asked) == 2
    with sessions() as session:
        [row] = all_sources(session)
    assert (row.error_count, row.checked_at) == (0, clock())


@pytest.mark.parametrize(
    "trouble",
    [
        FetchError("no connection"),
        Response(200, httpx.Headers({"etag": "x"}), b"<html/>", "u"),
        Response(200, httpx.Headers({"etag": "x"}), b"\x00\xff" * 1000, "u"),
        Response(500, httpx.Headers({"etag": "x"}), b"", "u"),
    ],
)
def test_one_broken_feed_never_stops_the_rest(
    sessions: Sessions, web: Web, make: MakeMonitor, trouble: Response | Exception
) -> None:
    watch(sessions, web.feed("a", "x"), web.feed("b", "Bank fails"), web.feed("c", "Oil falls"))
    web.pages["https://a.example/feed"] = trouble
    assert make().fetch_due(Event()) == 2
    with sessions() as session:
        broken, *others = all_sources(session)
    assert broken.error_count == 1 and broken.last_error
    assert [row.error_count for row in others] == [0, 0]


def test_two_workers_ask_each_feed_once(sessions: Sessions, web: Web, make: MakeMonitor) -> None:
    watch(sessions, *(web.feed(f"f{n}", f"Story number {n}", "Carried by all") for n in range(6)))
    with ThreadPoolExecutor(2) as pool:
        new = sum(pool.map(lambda owner: make(owner).fetch_due(Event()), ("one", "two")))
    assert sorted(web.asked) == sorted(f"https://f{n}.example/feed" for n in range(6))
    assert new == 7
    assert len(titles(sessions)) == 7


def test_labelling_belongs_to_one_worker_until_it_dies(
    sessions: Sessions, web: Web, make: MakeMonitor, clock: Clock
) -> None:
    watch(sessions, web.feed("a", "Bank fails"))
    one, two = make("one"), make("two")
    one.label_pending(negative, Event())  # takes the lease, finds nothing
    one.fetch_due(Event())
    assert two.label_pending(negative, Event()) == 0
    clock.forward(seconds=LEASE.total_seconds())
    assert two.label_pending(negative, Event()) == 1


def test_a_worker_that_ends_gives_its_leases_back(
    sessions: Sessions, web: Web, make: MakeMonitor
) -> None:
    watch(sessions, web.feed("a", "Bank fails"))
    one, two = make("one"), make("two")
    one.label_pending(negative, Event())  # takes the lease, finds nothing
    one.fetch_due(Event())
    one.release()
    assert two.label_pending(negative, Event()) == 1


def test_a_worker_told_to_stop_begins_nothing_new(
    sessions: Sessions, web: Web, make: MakeMonitor
) -> None:
    watch(sessions, web.feed("a", "Bank fails"))
    stop = Event()
    stop.set()
    assert make().fetch_due(stop) == 0
    assert make().label_pending(negative, stop) == 0


def test_a_model_that_fails_loses_no_story(sessions: Sessions, web: Web, make: MakeMonitor) -> None:
    watch(sessions, web.feed("a", "Bank fails"))
    monitor = make()
    monitor.fetch_due(Event())
    with pytest.raises(RuntimeError):
        monitor.label_pending(failing, Event())
    assert monitor.label_pending(negative, Event()) == 1


def failing(texts: Sequence[str]) -> Reading:
    raise RuntimeError("out of memory")


def test_text_that_cannot_be_read_is_kept_unlabelled(
    sessions: Sessions, web: Web, make: MakeMonitor
) -> None:
    watch(sessions, web.feed("a", "Щось незрозуміле"))
    monitor = make()
    monitor.fetch_due(Event())
    unread = Label("v1", None, None, 0.3, 0.4, 0.3, 0.2, False)
    monitor.label_pending(lambda texts: Reading([unread] * len(texts)), Event())
    with sessions() as session:
        page, _ = page_of_stories(session, StoryFilter(), limit=10, cursor=None)
    [row] = page
    assert (row.state, row.sentiment, row.model_version) == ("unlabelled", None, "v1")


# --- alerts ------------------------------------------------------------------------------------


def past(sessions: Sessions, days: int, bad_hours: int, *, until: int = 0) -> None:
    """Six stories an hour, a sixth of them negative; in the last `bad_hours` five sixths."""
    first = hour_now() - 24 * days
    rows = []
    for hour in range(first, hour_now() - until):
        bad = hour >= hour_now() - bad_hours
        for number in range(6):
            negative_one = number > 0 if bad else (number + hour) % 6 == 0
            sentiment = "negative" if negative_one else "neutral"
            rows.append(story_row(hour, f"{hour}-{number}", sentiment))
    with sessions.begin() as session:
        session.execute(insert(stories_table), rows)


def hour_now() -> int:
    return hour_of(NOW)


def story_row(hour: int, title: str, sentiment: str) -> dict[str, object]:
    moment = moment_of(hour)
    texts = {"source": "A", "url": "", "title": title, "summary": "", "search_text": title}
    times = {"published_at": moment, "published_hour": hour, "fetched_at": moment}
    return {**texts, **times, "state": "labelled", "topic": "banking", "sentiment": sentiment}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 8)


def alerts(sessions: Sessions) -> list[tuple[str, bool, int]]:
    with sessions() as session:
        rows, _ = page_of_alerts(session, topic=None, firing=None, limit=50, cursor=None)
    return [(row.detector, row.resolved_at is None, len(row.story_ids)) for row in rows]


@pytest.mark.usefixtures("quick")
def test_a_surge_raises_one_alert_that_is_resolved_when_it_is_over(
    sessions: Sessions, make: MakeMonitor, clock: Clock
) -> None:
    past(sessions, days=8, bad_hours=6)
    monitor = make()
    assert monitor.evaluate() == 1
    [(detector, firing, behind)] = alerts(sessions)
    assert (detector, firing) == ("beta_binomial_cusum", True)
    assert behind >= 10
    # Told again it stays one alert; calm hours end it.
    assert monitor.evaluate() == 0
    calm = [
        story_row(hour_now() + hour, f"calm {hour}-{n}", "neutral")
        for hour in range(12)
        for n in range(6)
    ]
    with sessions.begin() as session:
        session.execute(insert(stories_table), calm)
    clock.forward(hours=12)
    assert monitor.evaluate() == 0
    [(_, firing, _)] = alerts(sessions)
    assert not firing


@pytest.mark.usefixtures("quick")
def test_nothing_is_judged_while_stories_wait_to_be_read(
    sessions: Sessions, make: MakeMonitor
) -> None:
    past(sessions, days=8, bad_hours=6)
    waiting = [story_row(hour_now() - 30, f"waiting {n}", "neutral") for n in range(3)]
    unread = [row | {"state": "pending", "sentiment": None, "topic": None} for row in waiting]
    with sessions.begin() as session:
        session.execute(insert(stories_table), unread)
    monitor = make()
    assert monitor.evaluate() == 0
    monitor.label_pending(negative, Event())
    assert monitor.evaluate() == 1


@pytest.mark.usefixtures("quick")
def test_without_history_there_is_no_alert(sessions: Sessions, make: MakeMonitor) -> None:
    past(sessions, days=1, bad_hours=6)
    assert make().evaluate() == 0


@pytest.mark.usefixtures("quick")
def test_a_story_that_comes_in_late_still_counts(
    sessions: Sessions, make: MakeMonitor, clock: Clock
) -> None:
    past(sessions, days=8, bad_hours=0, until=6)
    monitor = make()
    assert monitor.evaluate() == 0
    late = [Entry(str(n), "", f"Late {n}", "", NOW - timedelta(hours=3)) for n in range(40)]
    label = NEGATIVE
    with sessions.begin() as session:
        incoming = [Incoming(entry, label) for entry in late]
        add_stories(session, incoming, source="A", source_id=None, now=NOW)
    assert monitor.evaluate() == 1


@pytest.mark.usefixtures("quick")
def test_a_rule_of_ones_own_is_watched_beside(sessions: Sessions, make: MakeMonitor) -> None:
    past(sessions, days=1, bad_hours=6)
    rule = Rule("half", negative_share=0.5, min_stories=6, window_hours=3)
    assert make(rules=[rule]).evaluate() == 1
    assert [detector for detector, _, _ in alerts(sessions)] == ["rule:half"]


@pytest.mark.usefixtures("quick")
def test_alerts_are_evaluated_by_one_worker(sessions: Sessions, make: MakeMonitor) -> None:
    past(sessions, days=8, bad_hours=6)
    assert make("one").evaluate() == 1
    assert make("two").evaluate() == 0
