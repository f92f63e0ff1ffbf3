"""Do the figures say how the monitor and its workers stand, in a bounded number of lines?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.db.outbox import DEAD, SENT, enqueue
from core.errors import StorageError
from core.schedule import Tick
from services.finance_sentiment.alert_store import save_alerts
from services.finance_sentiment.alerts import Alert
from services.finance_sentiment.app import create_app
from services.finance_sentiment.domain import Entry, Label, hour_of
from services.finance_sentiment.figures import MOST_TOPICS, OTHERS, MonitorFigures
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.source_lists import Listed
from services.finance_sentiment.sources import save_sources
from services.finance_sentiment.tables import MIGRATIONS, hosts, outbox, sources
from services.finance_sentiment.tick_log import EVERY_SECONDS, TickLog
from services.finance_sentiment.watch_store import save_hour
from tests.finance_sentiment.conftest import NOW, Clock

Sessions = sessionmaker[Session]
Samples = dict[tuple[str, str], float]
BAD = Label("v1", "negative", "banking", 0.8, 0.1, 0.1, 0.9, True)


def read(text: str) -> Samples:
    """(name without its prefix, value of its one label or "") → value."""
    return {
        (sample.name.removeprefix("trefoil_news_"), "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("trefoil_news_")
    }


@pytest.fixture
def samples(sessions: Sessions, clock: Clock) -> object:
    def now() -> Samples:
        registry = CollectorRegistry()
        figures = MonitorFigures(sessions, clock, lambda: 3, registry)
        figures.refresh()
        return read(generate_latest(registry).decode())

    return now


def store(sessions: Sessions, title: str, label: Label | None, *, minutes: int = 0) -> None:
    with sessions.begin() as session:
        incoming = [Incoming(Entry(title, "", title, "", NOW), label)]
        at = NOW - timedelta(minutes=minutes)
        add_stories(session, incoming, source="A", source_id=None, now=at)


def test_stories_are_counted_by_state_and_the_oldest_wait_is_told(
    sessions: Sessions, samples: object
) -> None:
    assert callable(samples)
    empty = samples()
    assert empty["stories", "pending"] == empty["oldest_waiting_seconds", ""] == 0
    store(sessions, "Bank fails", BAD)
    store(sessions, "Oil rises", None, minutes=30)
    store(sessions, "Gold falls", None, minutes=5)
    full = samples()
    assert [full["stories", s] for s in ("pending", "labelled", "unlabelled")] == [2, 1, 0]
    assert full["oldest_waiting_seconds", ""] == 1800
    assert full["event_streams", ""] == 3
    assert full["figures_timestamp_seconds", ""] == NOW.timestamp()


def test_each_feed_is_counted_under_one_state(sessions: Sessions, samples: object) -> None:
    assert callable(samples)
    names = ("new", "fine", "failing", "resting", "off")
    checked: dict[str, dict[str, object]] = {
        "new": {},
        "fine": {"checked_at": NOW - timedelta(minutes=2)},
        "failing": {"checked_at": NOW, "error_count": 2},
        "resting": {"checked_at": NOW, "error_count": 3},
        "off": {"enabled": False, "error_count": 1},
    }
    with sessions.begin() as session:
        save_sources(session, [Listed(n, f"https://{n}.example/f") for n in names], NOW)
        for name, values in checked.items():
            if values:
                session.execute(update(sources).where(sources.c.name == name).values(values))
        rest = {"host": "resting.example:443", "troubles": 3, "last_error": "x"}
        session.execute(insert(hosts).values(rest | {"rests_until": NOW + timedelta(minutes=1)}))
    found = samples()
    assert {name: found["feeds", name] for name in names} == dict.fromkeys(names, 1)
    assert found["last_fetch_timestamp_seconds", ""] == (NOW - timedelta(minutes=2)).timestamp()


def test_open_alerts_have_a_line_for_each_of_so_many_topics(
    sessions: Sessions, samples: object
) -> None:
    assert callable(samples)
    start = NOW - timedelta(hours=2)
    names = [f"t{number:03}" for number in range(MOST_TOPICS + 5)]
    found = [Alert(name, "beta_binomial_cusum", start, start, None, {}) for name in names]
    ended = Alert("over", "beta_binomial_cusum", start, start, NOW, {})
    with sessions.begin() as session:
        save_alerts(session, [*found, ended], known_since=start, now=NOW)
        save_hour(session, hour_of(NOW), "degraded", "two of three feeds fail")
    told = samples()
    lines = {topic: value for (name, topic), value in told.items() if name == "open_alerts"}
    assert len(lines) == MOST_TOPICS + 1
    assert (lines["t000"], lines[OTHERS]) == (1, 5)
    assert "over" not in lines
    assert [told["state", s] for s in ("ok", "degraded", "no_data")] == [0, 1, 0]


def test_messages_that_wait_or_were_given_up_are_told(
    sessions: Sessions, samples: object, clock: Clock
) -> None:
    assert callable(samples)
    calm = samples()
    assert [calm["messages", state] for state in ("pending", "sent", "dead")] == [0, 0, 0]
    assert calm["oldest_message_seconds", ""] == 0
    early = NOW - timedelta(minutes=20)
    with sessions.begin() as session:
        for key, since in (("waits", early + timedelta(minutes=5)), ("gone", early)):
            enqueue(session, outbox, kind="desk", payload={}, idempotency_key=key, now=since)
        enqueue(session, outbox, kind="desk", payload={}, idempotency_key="arrived", now=early)
        dead = outbox.c.idempotency_key == "gone"
        session.execute(update(outbox).where(dead).values(state=DEAD))
        sent = outbox.c.idempotency_key == "arrived"
        session.execute(update(outbox).where(sent).values(state=SENT, sent_at=NOW))
    told = samples()
    assert [told["messages", state] for state in ("pending", "sent", "dead")] == [1, 1, 1]
    assert told["oldest_message_seconds", ""] == 15 * 60


def test_the_workers_ticks_are_told(sessions: Sessions, samples: object, clock: Clock) -> None:
    assert callable(samples)
    seconds = iter(range(0, 10_000))
    log = TickLog(sessions, clock, clock=lambda: float(next(seconds)))
    fine = log.watched(Tick("label", lambda: None, 1))
    fine.work()
    clock.forward(minutes=1)

    def fail() -> None:
        raise StorageError("gone")

    for _ in range(2):
        with pytest.raises(StorageError):
            log.watched(Tick("fetch", fail, 1)).work()
    told = samples()
    assert told["worker_tick_success_timestamp_seconds", "label"] == NOW.timestamp()
    assert told["worker_tick_seconds", "label"] == 1
    assert told["worker_tick_failures_total", "fetch"] == 2
    assert told["worker_tick_failures_total", "label"] == 0
    assert told["worker_tick_failure_timestamp_seconds", "fetch"] == clock().timestamp()
    assert ("worker_tick_success_timestamp_seconds", "fetch") not in told


def test_a_success_is_written_every_so_often_and_at_once_after_a_failure(
    sessions: Sessions, samples: object, clock: Clock
) -> None:
    assert callable(samples)
    moment = [0.0]
    outcome: list[Exception] = []

    def work() -> None:
        if outcome:
            raise outcome.pop()

    tick = TickLog(sessions, clock, clock=lambda: moment[0]).watched(Tick("label", work, 1))

    def succeeded_at() -> float:
        told: Samples = samples()
        return told["worker_tick_success_timestamp_seconds", "label"]

    tick.work()
    clock.forward(seconds=1)
    tick.work()
    assert succeeded_at() == NOW.timestamp()
    moment[0] = EVERY_SECONDS
    tick.work()
    assert succeeded_at() == clock().timestamp()
    outcome.append(StorageError("gone"))
    with pytest.raises(StorageError):
        tick.work()
    clock.forward(seconds=1)
    tick.work()
    assert succeeded_at() == clock().timestamp()


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    store(session_factory(engine), "Bank fails", BAD)
    yield create_app(settings, now=lambda: NOW)
    engine.dispose()


def test_the_server_shows_them_beside_its_own(app: FastAPI) -> None:
    with TestClient(app) as client:
        app.state.figures.refresh()
        told = read(client.get("/metrics").text)
        assert client.get("/v1/stories").status_code == 200
        own = client.get("/metrics").text
    assert told["stories", "labelled"] == 1
    assert "trefoil_http_requests" in own
