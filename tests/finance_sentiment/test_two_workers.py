"""Do two worker processes do each thing once, and does a killed one leave nothing lost or doubled?

Real processes, a feed server on loopback, SQLite and PostgreSQL. A worker is killed right before a
chosen statement; the next one's clock is so much later that what the dead one held is free again.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from core.artifacts import Registry
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.finance_sentiment.domain import KIND
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import MIGRATIONS, alerts, events, mentions, stories
from tests.finance_sentiment import worker_process
from tests.finance_sentiment.site import Reply, Site

FEEDS, OWN = 3, 6
PLACES = ("Lisbon", "Oslo", "Turin", "Lagos", "Quito", "Delhi")
SHARED = "Bank Perth hit by losses of 99 million as bad loans rise and deposits flee"
RULE = "- {name: half, negative_share: 0.5, min_stories: 6, window_hours: 24}\n"
# Longer than any claim or lease holds.
LATER = timedelta(minutes=5)


def titles_of(feed: int) -> list[str]:
    """The entries of a feed: its own, told apart by their figures, and one that all have."""
    own = [
        f"Bank {place} hit by losses of {100 * feed + number} million as bad loans rise and "
        "deposits flee"
        for number, place in enumerate(PLACES[:OWN], 1)
    ]
    return [*own, SHARED]


ALL = {title for feed in range(FEEDS) for title in titles_of(feed)}


def document(feed: int) -> bytes:
    published = format_datetime(datetime.now(UTC) - timedelta(hours=2))
    items = "".join(
        f"<item><title>{title}</title><guid>{feed}-{number}</guid>"
        f"<pubDate>{published}</pubDate></item>"
        for number, title in enumerate(titles_of(feed))
    )
    return f"<rss version='2.0'><channel><title>F</title>{items}</channel></rss>".encode()


def page(feed: int) -> Callable[[Message], Reply]:
    """A feed that says so when nothing is new: what was asked for and not kept would be lost."""

    def answer(headers: Message) -> Reply:
        tag = f'"{feed}"'
        if headers["If-None-Match"] == tag:
            return Reply(304, headers={"ETag": tag})
        return Reply(body=document(feed), headers={"ETag": tag})

    return answer


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    for feed in range(FEEDS):
        site.pages[f"/{feed}"] = page(feed)
    site.start()
    yield site
    site.stop()


@pytest.fixture
def ready(database_url: str, tmp_path: Path, site: Site, model: Path) -> Settings:
    """A service with a model, feeds and a rule, quick on its feet."""
    listed = tmp_path / "sources.yaml"
    listed.write_text(
        "".join(f"- {{name: F{n}, url: '{site.url(f'/{n}')}'}}\n" for n in range(FEEDS))
    )
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULE)
    settings = Settings(
        var_dir=tmp_path, database_url=database_url, threads=1, sources=listed, rules=rules,
        fetch_allow=(site.address,), label_batch=4, fetch_concurrency=2,
        fetch_tick=0.1, label_tick=0.1, evaluate_tick=0.1, log_level="error",
    )  # fmt: skip
    Registry(settings.models_dir, KIND).promote(model)
    upgrade(database_url, MIGRATIONS)
    return settings


@pytest.fixture(autouse=True)
def no_worker_stays() -> Iterator[None]:
    yield
    for child in multiprocessing.active_children():
        child.kill()
        child.join()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def until(met: Callable[[], bool], *workers: ForkServerProcess) -> None:
    """Wait for it, as long as the workers live."""
    give_up = time.monotonic() + 120
    while not met():
        assert all(worker.is_alive() for worker in workers), "a worker ended by itself"
        assert time.monotonic() < give_up, "it does not come to an end"
        threading.Event().wait(0.05)


def everything_done(engine: Engine) -> Callable[[], bool]:
    def done() -> bool:
        with session_factory(engine, read_only=True)() as session:
            labelled = select(func.count()).where(stories.c.state == "labelled")
            raised = select(func.count()).select_from(alerts)
            return (
                session.execute(labelled).scalar_one() >= len(ALL)
                and session.execute(raised).scalar_one() >= 1
            )

    return done


def check_each_thing_once(engine: Engine) -> None:
    with session_factory(engine, read_only=True)() as session:
        kept = list(session.execute(select(stories.c.title, stories.c.state)))
        carried = Counter(session.execute(select(mentions.c.title)).scalars())
        told = Counter(
            (row.kind, row.subject_id, row.change)
            for row in session.execute(select(events))
            if row.change in ("labelled", "raised")
        )
        raised = list(session.execute(select(alerts.c.topic, alerts.c.detector)))
    assert sorted(row.title for row in kept) == sorted(ALL)
    assert {row.state for row in kept} == {"labelled"}
    assert carried == {title: FEEDS if title == SHARED else 1 for title in ALL}
    assert set(told.values()) == {1}
    assert len(told) == len(ALL) + 1
    assert raised == [("banking", "rule:half")]


def test_two_workers_do_each_thing_once(ready: Settings, site: Site, engine: Engine) -> None:
    workers = [worker_process.start(ready) for _ in range(2)]
    until(everything_done(engine), *workers)
    assert [worker_process.stop(worker) for worker in workers] == [0, 0]
    check_each_thing_once(engine)
    assert Counter(path for path, _ in site.asked) == {f"/{n}": 1 for n in range(FEEDS)}


DEATHS = [
    ("UPDATE sources", 2),  # a feed claimed, not asked
    ("INSERT INTO stories", 1),
    ("INSERT INTO mentions", 2),  # one feed kept, another half
    ("COMMIT", 9),
    ("INSERT INTO story_vectors", 3),  # in the middle of the first batch
    ("UPDATE stories", 7),  # one batch labelled, another half
    ("INSERT INTO events", 2),
    ("INSERT INTO alerts", 1),
    ("COMMIT", 14),
]


def test_a_worker_killed_anywhere_is_taken_over_from(ready: Settings, engine: Engine) -> None:
    for number, death in enumerate(DEATHS):
        worker = worker_process.start(ready, later=number * LATER, death=death)
        worker.join(60)
        assert worker.exitcode == -9, death
    last = worker_process.start(ready, later=len(DEATHS) * LATER)
    until(everything_done(engine), last)
    assert worker_process.stop(last) == 0
    check_each_thing_once(engine)


def test_a_worker_killed_while_it_waits_for_a_feed_is_taken_over_from(
    ready: Settings, site: Site, engine: Engine
) -> None:
    victims: list[ForkServerProcess] = []
    started = threading.Event()

    def fatal(headers: Message) -> Reply:
        started.wait(60)
        if victims:
            victims.pop().kill()
        return page(0)(headers)

    site.pages["/0"] = fatal
    worker = worker_process.start(ready)
    victims.append(worker)
    started.set()
    worker.join(60)
    assert worker.exitcode == -9
    last = worker_process.start(ready, later=LATER)
    until(everything_done(engine), last)
    assert worker_process.stop(last) == 0
    check_each_thing_once(engine)
