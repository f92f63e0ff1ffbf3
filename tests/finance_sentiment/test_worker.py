"""Does a worker bring a feed served over HTTP into the database, and end when it is told to?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from core.errors import DataError
from services.finance_sentiment.replay import load_replay, make_server, serve
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.sources import all_sources
from services.finance_sentiment.store import StoryFilter, page_of_stories
from services.finance_sentiment.tables import MIGRATIONS
from services.finance_sentiment.worker import run
from tests.finance_sentiment.receiver import Receiver, raise_alert

STORIES = """offset_minutes,title,source,url
-30,bank oslo hit by losses as bad loans rise and deposits flee,Wire,https://a.example/1
-20,oil field near riga starts early and pumps more than planned,Wire,https://a.example/2
"""


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "replay.csv"
    path.write_text(STORIES)
    replay = load_replay(
        path,
        anchor=datetime.now(UTC),
        last_hours=0,
        hours_per_minute=60,
        base_url="http://127.0.0.1",
    )
    server = make_server(replay, "127.0.0.1", 0, lambda: datetime.now(UTC))
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=(server, stop))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    stop.set()
    thread.join()


def labelled(settings: Settings) -> list[tuple[str | None, str | None, str | None]]:
    engine = make_engine(settings.database_url)
    try:
        with session_factory(engine, read_only=True)() as session:
            rows, _ = page_of_stories(session, StoryFilter(state="labelled"), limit=10, cursor=None)
            return [(row.sentiment, row.topic, row.model_version) for row in rows]
    finally:
        engine.dispose()


def last_error(settings: Settings) -> str | None:
    engine = make_engine(settings.database_url)
    try:
        with session_factory(engine, read_only=True)() as session:
            return str(all_sources(session)[0].last_error or "")
    finally:
        engine.dispose()


def work_until(settings: Settings, done: object) -> None:
    """Run a worker beside us until `done()` or half a minute, then stop it."""
    upgrade(settings.database_url, MIGRATIONS)
    stop, met = threading.Event(), threading.Event()

    def watch() -> None:
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up and not stop.wait(0.05):
            if done():  # type: ignore[operator]
                met.set()
                break
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run(settings, stop)
    watcher.join()
    assert met.is_set()


def feeds_file(tmp_path: Path, address: str) -> Path:
    path = tmp_path / "sources.yaml"
    path.write_text(f"- {{name: Wire, url: 'http://{address}/feeds/wire.xml'}}\n")
    return path


def test_a_feed_becomes_labelled_stories(
    live_settings: Settings, tmp_path: Path, feed: str
) -> None:
    settings = live_settings.replace(
        sources=feeds_file(tmp_path, feed), fetch_allow=(feed,), label_tick=0.1
    )
    work_until(settings, lambda: len(labelled(settings)) == 2)
    (first, second) = labelled(settings)
    assert {first[0], second[0]} == {"positive", "negative"}
    assert {first[1], second[1]} == {"energy", "banking"}
    assert first[2]


def test_a_rule_for_a_topic_that_the_model_does_not_know_is_named_in_the_log(
    live_settings: Settings, tmp_path: Path, feed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "- {name: sours, topic: bankng, negative_share: 0.5, min_stories: 3, window_hours: 2}\n"
    )
    sources = feeds_file(tmp_path, feed)
    settings = live_settings.replace(
        sources=sources, fetch_allow=(feed,), label_tick=0.1, rules=rules
    )
    work_until(settings, lambda: len(labelled(settings)) == 2)
    said = "the rule sours waits for the topic 'bankng', which is not known; known are: banking"
    assert said in capsys.readouterr().err


def test_a_local_address_is_refused_unless_it_is_allowed(
    live_settings: Settings, tmp_path: Path, feed: str
) -> None:
    settings = live_settings.replace(sources=feeds_file(tmp_path, feed))
    work_until(settings, lambda: "not a public address" in (last_error_or_none(settings) or ""))
    assert labelled(settings) == []


def last_error_or_none(settings: Settings) -> str | None:
    try:
        return last_error(settings)
    except IndexError:
        return None


def test_a_broken_list_of_feeds_is_told_at_the_start(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("- name: A\n")
    with pytest.raises(DataError, match="url"):
        run(settings.replace(sources=path), threading.Event())


def test_a_worker_tells_of_what_fires(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver()
    try:
        monkeypatch.setenv("DESK_URL", receiver.url())
        monkeypatch.setenv("DESK_SECRET", "s3cret")
        path = tmp_path / "channels.yaml"
        path.write_text(
            "- {name: desk, kind: webhook, address_env: DESK_URL, secret_env: DESK_SECRET}\n"
        )
        chosen = settings.replace(
            channels=path, deliver_allow=(receiver.address,), deliver_tick=0.1, evaluate_tick=3600
        )
        upgrade(settings.database_url, MIGRATIONS)
        engine = make_engine(settings.database_url)
        now = datetime.now(UTC)
        raise_alert(session_factory(engine), is_test=True, started_at=now, raised_at=now)
        engine.dispose()
        work_until(chosen, lambda: receiver.got)
        assert receiver.got[0].headers["X-Trefoil-Signature"].startswith("sha256=")
        assert receiver.got[0].json["commonLabels"]["test"] == "true"
    finally:
        receiver.stop()


def test_a_broken_list_of_channels_is_told_at_the_start(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("- {name: desk, kind: pigeon, address: x}\n")
    with pytest.raises(DataError, match="kind"):
        run(settings.replace(channels=path), threading.Event())
