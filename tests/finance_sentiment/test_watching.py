"""Does an evaluation keep what it found, why, and what people said of it?"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.errors import InvalidInput, NotReady
from services.finance_sentiment import promise
from services.finance_sentiment.alert_store import (
    acknowledge,
    alert_of,
    latest_baseline,
    mark,
    page_of_alerts,
    realised,
    said_false,
)
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.drill import drill
from services.finance_sentiment.explain import replay
from services.finance_sentiment.health import FeedState, judge_news
from services.finance_sentiment.life import DEGRADED, NO_DATA, OK
from services.finance_sentiment.source_lists import Listed
from services.finance_sentiment.sources import save_sources
from services.finance_sentiment.tables import alerts, sources
from services.finance_sentiment.watch_store import all_states, last_hours, save_hour
from services.finance_sentiment.watching import Watch, evaluate
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.test_monitor import past

Sessions = sessionmaker[Session]
WATCH = Watch(1.0, unread_allowed=0, settle_hours=24)


@pytest.fixture(autouse=True)
def quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 8)


@pytest.fixture
def raised(sessions: Sessions) -> int:
    """A surge was found; the id of its alert."""
    past(sessions, days=8, bad_hours=6)
    assert evaluate(sessions, WATCH, NOW) == 1
    with sessions() as session:
        return int(session.execute(select(alerts.c.id)).scalar_one())


# --- what is kept -------------------------------------------------------------------------------


def test_an_alert_is_explained_and_replays(sessions: Sessions, raised: int) -> None:
    with sessions() as session:
        row = alert_of(session, raised)
    assert row is not None
    said = row.explanation
    assert round(replay(said["basis"]), 3) == row.evidence["statistic"]
    assert said["detector"] == row.detector
    assert said["one_source"] == "A"
    assert said["would_not_have_fired_without"]["sources"] == ["A"]
    assert said["stories"] and all(story["moved"] > 0 for story in said["stories"])
    assert said["band"]["seen"] > said["band"]["high"]


def test_where_each_topic_stands_is_kept(sessions: Sessions, raised: int) -> None:
    del raised
    with sessions() as session:
        [row] = all_states(session)
    assert (row.topic, row.phase, row.news, row.nearness) == ("banking", "firing", OK, 1.0)


def test_promised_and_realised_stand_side_by_side(sessions: Sessions, raised: int) -> None:
    with sessions.begin() as session:
        came = realised(session, NOW)
        assert (came["alerts"], came["false"]) == (1, 0)
        mark(session, raised, True, NOW)
        assert realised(session, NOW)["false"] == 1


# --- what people say ----------------------------------------------------------------------------


def test_the_first_to_acknowledge_is_kept(sessions: Sessions, raised: int) -> None:
    with sessions.begin() as session:
        assert acknowledge(session, raised, "Ada", NOW)
        assert acknowledge(session, raised, "Bo", NOW + timedelta(hours=1))
        assert not acknowledge(session, 999, "Ada", NOW)
        row = alert_of(session, raised)
        assert row is not None
        assert (row.acknowledged_by, row.acknowledged_at) == ("Ada", NOW)


def test_a_false_alarm_is_learned_from_until_the_mark_is_taken_back(
    sessions: Sessions, raised: int
) -> None:
    now = hour_of(NOW)
    with sessions.begin() as session:
        assert said_false(session).between(0, now + 1).false == 0
        assert mark(session, raised, True, NOW)
        marks = said_false(session).between(0, now + 1)
        assert marks.false == 1 and 0 < marks.weeks < 2
        [(topic, onset, end)] = marks.spans
        assert topic == "banking" and onset < end == now + 1
        assert said_false(session).between(0, onset).false == 0
        mark(session, raised, None, NOW)
        assert said_false(session).between(0, now + 1).false == 0


# --- news that are not whole --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feeds", "unread", "news"),
    [
        ([], 0, OK),
        ([FeedState("A", 0, 5)], 0, OK),
        ([FeedState("A", 2, 5)], 0, OK),
        ([FeedState("A", 3, 5)], 0, NO_DATA),
        ([FeedState("A", 3, 50), FeedState("B", 0, 50)], 0, DEGRADED),
        ([FeedState("A", 3, 1), FeedState("B", 0, 99)], 0, OK),
        ([FeedState("A", 3, 0), FeedState("B", 0, 0)], 0, DEGRADED),
        ([FeedState("A", 0, 5)], 7, DEGRADED),
    ],
)
def test_news_are_judged_by_what_the_failing_feeds_brought(
    feeds: list[FeedState], unread: int, news: str
) -> None:
    found, reason = judge_news(feeds, unread, 0.25)
    assert found == news
    assert bool(reason) is (news != OK)


def test_hours_without_feeds_are_kept_and_the_worst_of_an_hour_stays(sessions: Sessions) -> None:
    with sessions.begin() as session:
        save_sources(session, [Listed("A", "https://a.example/feed")], NOW)
        session.execute(update(sources).values(error_count=5))
    evaluate(sessions, WATCH, NOW)
    with sessions.begin() as session:
        [row] = last_hours(session)
        assert (row.hour, row.news) == (hour_of(NOW), NO_DATA)
        save_hour(session, hour_of(NOW), DEGRADED, "some")
        assert last_hours(session)[0].news == NO_DATA


# --- drill --------------------------------------------------------------------------------------


def test_a_drill_raises_an_alert_marked_test_that_counts_for_nothing(
    sessions: Sessions, raised: int
) -> None:
    done = drill(sessions, negative_share=0.9, hours=24, now=NOW, rng=np.random.default_rng(0))
    assert done.alert_id not in (None, raised)
    with sessions() as session:
        row = alert_of(session, done.alert_id or 0)
        assert row is not None and row.is_test
        assert row.evidence["test"] == "TEST"
        assert row.explanation["stories"][0]["title"].startswith("TEST")
        assert realised(session, NOW)["alerts"] == 1
    # The worker leaves it alone at first, and ends it when it was long enough to see.
    assert evaluate(sessions, WATCH, NOW + timedelta(minutes=5)) == 0
    assert evaluate(sessions, WATCH, NOW + timedelta(minutes=15)) == 0
    with sessions() as session:
        page, _ = page_of_alerts(session, topic=None, firing=True, limit=9, cursor=None)
    assert [row.id for row in page] == [raised]


def test_a_drill_that_is_too_small_raises_nothing(sessions: Sessions, raised: int) -> None:
    del raised
    done = drill(sessions, negative_share=0.0, hours=3, now=NOW, rng=np.random.default_rng(0))
    assert (done.alert_id, done.delay_hours, done.negative) == (None, None, 0)


def test_a_drill_needs_something_learned_and_a_known_topic(sessions: Sessions) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(NotReady, match="learned"):
        drill(sessions, now=NOW, rng=rng)
    past(sessions, days=8, bad_hours=0)
    evaluate(sessions, WATCH, NOW)
    with sessions() as session:
        assert latest_baseline(session) is not None
    with pytest.raises(InvalidInput, match="no topic"):
        drill(sessions, topic="weather", now=NOW, rng=rng)


def test_drills_of_one_hour_are_alerts_of_their_own(sessions: Sessions, raised: int) -> None:
    del raised
    options = {"negative_share": 0.9, "hours": 24, "rng": np.random.default_rng(0)}
    first = drill(sessions, now=NOW, **options)  # type: ignore[arg-type]
    later = drill(sessions, now=NOW + timedelta(seconds=1), **options)  # type: ignore[arg-type]
    assert None not in (first.alert_id, later.alert_id) and first.alert_id != later.alert_id


def test_an_alert_of_before_explanations_is_still_shown(sessions: Sessions) -> None:
    values = {"topic": "a", "detector": "beta_binomial_cusum", "started_at": NOW, "raised_at": NOW}
    with sessions.begin() as session:
        session.execute(insert(alerts).values(**values, evidence={}, story_ids=[]))
        [row] = page_of_alerts(session, topic=None, firing=None, limit=9, cursor=None)[0]
    assert (row.explanation, row.is_test, row.false_alarm) == (None, False, None)
