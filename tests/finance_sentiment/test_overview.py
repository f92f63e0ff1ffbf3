"""Does the overview say whether anything is watched, and never calm where nothing is?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from services.finance_sentiment import promise
from services.finance_sentiment.overview import Patience, overview
from services.finance_sentiment.tables import alerts
from services.finance_sentiment.watch_store import save_hour, save_states
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.made_news import (
    Sessions,
    beat,
    calm,
    feed,
    keep,
    listen_to,
    story,
    surge,
    watch,
)

PATIENCE = Patience({"fetch": 2.0, "label": 1.0, "evaluate": 30.0}, 32, 0.25)
Look = Callable[[], dict[str, Any]]


@pytest.fixture(autouse=True)
def quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 16)


@pytest.fixture
def look(sessions: Sessions) -> Look:
    def now() -> dict[str, Any]:
        with sessions() as session:
            return overview(session, NOW, PATIENCE)

    return now


def test_without_feeds_and_stories_there_is_nothing_to_watch(look: Look) -> None:
    seen = look()
    assert (seen["state"], seen["stories_day"], seen["last_story_at"]) == ("empty", 0, None)


def test_without_a_worker_nothing_is_calm(sessions: Sessions, look: Look) -> None:
    keep(sessions, calm(NOW, 100))
    assert (look()["state"], look()["reason"]) == ("no_worker", "fetch: never")
    long_ago = NOW - timedelta(minutes=6)
    beat(sessions, long_ago)
    assert look()["reason"] == f"fetch: {long_ago.isoformat()}"
    beat(sessions, NOW - timedelta(minutes=4))
    assert look()["state"] == "learning"


def test_dead_feeds_are_never_calm(sessions: Sessions, look: Look) -> None:
    beat(sessions, NOW)
    listen_to(sessions, feed(NOW, "A", error_count=3, last_error="503"))
    assert (look()["state"], look()["reason"]) == ("no_data", "none of 1 feeds answers")
    listen_to(sessions, feed(NOW, "B"))
    seen = look()
    assert seen["state"] == "degraded" and "1 of 2 feeds fail" in seen["reason"]
    assert (seen["feeds"]["failing"], seen["feeds"]["fine"]) == (1, 1)


def test_an_hour_of_which_something_was_missed_stays_so(sessions: Sessions, look: Look) -> None:
    beat(sessions, NOW)
    listen_to(sessions, feed(NOW))
    with sessions.begin() as session:
        save_hour(session, int(NOW.timestamp() // 3600), "degraded", "1 of 2 feeds fail")
    assert look()["state"] == "degraded"


def test_learning_says_how_far_it_is(sessions: Sessions, look: Look) -> None:
    beat(sessions, NOW)
    keep(sessions, calm(NOW, 5, per_hour=2))
    assert (look()["state"], look()["reason"]) == ("learning", "20/5")


def test_a_surge_is_told_and_a_drill_is_not_counted(sessions: Sessions, look: Look) -> None:
    beat(sessions, NOW)
    keep(sessions, calm(NOW - timedelta(hours=4), 200))
    watch(sessions, NOW - timedelta(hours=4))
    assert (look()["state"], look()["open_alerts"]) == ("watching", 0)
    keep(sessions, surge(NOW))
    assert watch(sessions, NOW) == 1
    with sessions.begin() as session:
        drill = {"topic": "energy", "detector": "drill", "started_at": NOW, "raised_at": NOW}
        session.execute(insert(alerts).values(**drill, evidence={}, story_ids=[], is_test=True))
    seen = look()
    assert seen["open_alerts"] == 1
    assert [row.topic for row in seen["firing"]] == ["banking"]
    assert [row.topic for row in seen["series"] if row.phase == "firing"] == ["banking"]
    assert seen["negative_day"] >= 24 and seen["alerts_per_week"] is not None


def test_stories_that_wait_or_cannot_be_read_are_counted_apart(
    sessions: Sessions, look: Look
) -> None:
    beat(sessions, NOW)
    unread: dict[str, Any] = {"sentiment": None, "p_negative": None}
    before = NOW - timedelta(minutes=5)
    rows = [
        story(before, **unread | {"state": "pending"}),
        story(before, **unread | {"state": "unlabelled"}),
        story(before),
    ]
    keep(sessions, rows)
    seen = look()
    assert (seen["waiting"], seen["unlabelled_day"], seen["stories_day"]) == (1, 1, 1)


def test_companies_are_listed_only_where_something_goes_on(sessions: Sessions, look: Look) -> None:
    with sessions.begin() as session:
        rows = [
            ("banking", "inactive", "ok", 0.1),
            ("company:Calm", "inactive", "ok", 0.1),
            ("company:Bad", "firing", "ok", 1.0),
        ]
        save_states(session, rows, NOW)
    assert [row.topic for row in look()["series"]] == ["banking", "company:Bad"]
