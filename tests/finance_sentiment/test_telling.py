"""Are messages written with what they tell of, to everybody who waits for it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from services.finance_sentiment import promise
from services.finance_sentiment.alert_store import save_alerts
from services.finance_sentiment.alerts import Alert
from services.finance_sentiment.channels import Channel
from services.finance_sentiment.drill import drill
from services.finance_sentiment.rules import Rule
from services.finance_sentiment.silence_store import add_silence, end_silence
from services.finance_sentiment.silences import Matcher
from services.finance_sentiment.source_lists import Listed
from services.finance_sentiment.sources import save_sources
from services.finance_sentiment.tables import alerts, mentions, outages, outbox, sources, stories
from services.finance_sentiment.telling import Teller
from services.finance_sentiment.watching import Watch, evaluate
from tests.finance_sentiment.conftest import NOW
from tests.finance_sentiment.receiver import messages, raise_alert, resolve
from tests.finance_sentiment.test_monitor import past

Sessions = sessionmaker[Session]
Tell = Callable[..., int]
DESK = Channel("desk", "webhook", "https://desk.example/hook")
BANKS = replace(DESK, name="banks", matchers=(Matcher("topic", "=", "banking"),))
TELLER = Teller((DESK, BANKS), "https://news.example")
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def tell(sessions: Sessions) -> Tell:
    def tell(now: object = NOW, teller: Teller = TELLER) -> int:
        with sessions.begin() as session:
            return teller.tell(session, now)  # type: ignore[arg-type]

    return tell


def test_each_channel_gets_one_message_and_never_another(sessions: Sessions, tell: Tell) -> None:
    raise_alert(sessions)
    raise_alert(sessions, topic="energy")
    assert tell() == 3
    assert tell() == tell(LATER) == 0
    assert [name for name, _, _ in messages(sessions)] == ["desk", "banks", "desk"]


def test_the_start_and_the_end_are_told(sessions: Sessions, tell: Tell) -> None:
    alert = raise_alert(sessions)
    tell()
    resolve(sessions, alert, LATER)
    assert tell(LATER) == 2
    assert [event for _, event, _ in messages(sessions)] == ["firing"] * 2 + ["resolved"] * 2
    with sessions() as session:
        rows = session.execute(select(outbox).order_by(outbox.c.id)).all()
    assert rows[2].payload["after"] == rows[0].idempotency_key
    assert len({row.idempotency_key for row in rows}) == 4


def test_an_alert_that_late_stories_bring_back_is_told_again(
    sessions: Sessions, tell: Tell
) -> None:
    alert = raise_alert(sessions, topic="energy")
    tell()
    for number, at in enumerate([LATER, None, LATER, None]):
        resolve(sessions, alert, at)
        assert tell(LATER + number * timedelta(hours=1)) == 1
    assert [event for _, event, _ in messages(sessions)] == [
        "firing",
        "resolved",
        "firing",
        "resolved",
        "firing",
    ]


def test_a_message_is_written_with_the_alert_or_not_at_all(sessions: Sessions) -> None:
    found = [Alert("banking", "rule:half", NOW - timedelta(hours=2), NOW, None, {"stories": 6})]
    with pytest.raises(KeyError), sessions.begin() as session:
        save_alerts(session, found, known_since=NOW, now=NOW)
        assert TELLER.tell(session, NOW) == 2
        raise KeyError
    assert messages(sessions) == []
    with sessions() as session:
        assert session.execute(select(alerts)).all() == []


def test_an_evaluation_tells_what_it_raised_and_what_it_resolved(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 8)
    past(sessions, days=2, bad_hours=6)
    rule = Rule("half", 0.5, 10, 3)
    watch = Watch(1.0, unread_allowed=0, rules=[rule], teller=TELLER)
    assert evaluate(sessions, watch, NOW) == 1
    assert [event for _, event, _ in messages(sessions)] == ["firing", "firing"]
    evaluate(sessions, watch, NOW + timedelta(hours=8))
    assert [event for _, event, _ in messages(sessions)][2:] == ["resolved", "resolved"]


def test_a_silenced_alert_is_told_when_its_silence_ends(sessions: Sessions, tell: Tell) -> None:
    with sessions.begin() as session:
        silence = add_silence(
            session,
            [Matcher("topic", "=", "banking")],
            NOW - timedelta(hours=1),
            NOW + timedelta(days=1),
            created_by="Ada",
            comment="",
            now=NOW,
        )
    raise_alert(sessions)
    assert tell() == 0
    with sessions.begin() as session:
        end_silence(session, silence, LATER)
    assert tell(LATER) == 2


def test_a_channel_that_is_added_hears_of_what_fires(sessions: Sessions, tell: Tell) -> None:
    over = raise_alert(sessions, topic="energy", raised_at=NOW - timedelta(hours=3))
    resolve(sessions, over, NOW)
    raise_alert(sessions)
    assert tell(NOW, Teller((DESK,))) == 1
    assert tell(LATER) == 1
    assert [name for name, _, _ in messages(sessions)] == ["desk", "banks"]


def test_old_stories_of_a_first_look_back_are_no_news(sessions: Sessions, tell: Tell) -> None:
    two_days_ago = NOW - timedelta(days=2)
    raise_alert(sessions, started_at=two_days_ago, resolved_at=two_days_ago + timedelta(hours=3))
    assert tell() == 0
    today = NOW - timedelta(hours=6)
    raise_alert(sessions, started_at=today, resolved_at=NOW - timedelta(hours=2))
    assert tell() == 4
    assert [event for _, event, _ in messages(sessions)] == ["firing", "resolved"] * 2


def test_an_outage_of_all_feeds_is_told_and_its_end(sessions: Sessions) -> None:
    with sessions.begin() as session:
        save_sources(session, [Listed("A", "https://a.example/feed")], NOW)
    watch = Watch(1.0, unread_allowed=0, teller=TELLER)
    minute = timedelta(minutes=1)
    for step, errors in enumerate([0, 5, 6, 0, 0]):
        with sessions.begin() as session:
            session.execute(update(sources).values(error_count=errors))
        evaluate(sessions, watch, NOW + step * minute)
    assert messages(sessions) == [
        ("desk", "firing", "pending"),
        ("banks", "firing", "pending"),
        ("desk", "resolved", "pending"),
        ("banks", "resolved", "pending"),
    ]
    with sessions() as session:
        [outage] = session.execute(select(outages)).all()
        [first, *_] = session.execute(select(outbox).order_by(outbox.c.id)).all()
    assert (outage.started_at, outage.ended_at) == (NOW + minute, NOW + 3 * minute)
    assert first.payload["note"]["summary"] == "No news come in: nothing is watched"
    assert "none of 1 feeds answers" in first.payload["note"]["details"][0]


def test_a_drill_is_told_as_a_test_and_called_off(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promise, "MAX_PATHS", 8)
    past(sessions, days=8, bad_hours=0)
    watch = Watch(1.0, unread_allowed=0, settle_hours=24, teller=TELLER)
    evaluate(sessions, watch, NOW)
    rng = np.random.default_rng(0)
    drill(sessions, negative_share=0.9, hours=24, now=NOW, rng=rng, teller=TELLER)
    assert [event for _, event, _ in messages(sessions)] == ["firing", "firing"]
    evaluate(sessions, watch, NOW + timedelta(minutes=15))
    assert [event for _, event, _ in messages(sessions)][2:] == ["resolved", "resolved"]
    with sessions() as session:
        notes = [row.payload["note"] for row in session.execute(select(outbox))]
    assert all(note["summary"].startswith("TEST: ") for note in notes)
    assert all(note["labels"]["test"] == "true" for note in notes)


def test_the_strongest_headlines_come_with_their_links_and_sources(
    sessions: Sessions, tell: Tell
) -> None:
    ids = []
    for number, p_negative in enumerate([0.6, 0.9, None, 0.8]):
        row = {
            "source": "Wire",
            "url": f"https://wire.example/{number}",
            "title": f"Story {number}",
            "summary": "",
            "search_text": "",
            "published_at": NOW,
            "published_hour": 0,
            "fetched_at": NOW,
            "state": "labelled",
            "sentiment": "negative",
            "p_negative": p_negative,
        }
        with sessions.begin() as session:
            adding = insert(stories).values(row).returning(stories.c.id)
            ids.append(session.execute(adding).scalar_one())
            for name in ("Wire", "Post"):
                carried = {
                    "story_id": ids[-1],
                    "source": name,
                    "entry_key": f"{name}-{number}",
                    "url": row["url"],
                    "title": row["title"],
                    "published_at": NOW,
                    "seen_at": NOW,
                    "known_by": "first",
                }
                session.execute(insert(mentions).values(carried))
    raise_alert(sessions, story_ids=ids)
    explained = {"stories": [{"id": ids[0], "title": "Kept title", "sources": ["Wire"]}]}
    raise_alert(sessions, topic="energy", explanation=explained)
    raise_alert(sessions, topic="metals", explanation={"stories": []})
    tell(NOW, Teller((DESK,), "https://news.example"))
    with sessions() as session:
        rows = session.execute(select(outbox).order_by(outbox.c.id)).all()
    said = [row.payload["note"]["headlines"] for row in rows]
    assert said == [
        [
            {"title": "Story 1", "url": "https://wire.example/1", "sources": "Wire, Post"},
            {"title": "Story 3", "url": "https://wire.example/3", "sources": "Wire, Post"},
        ],
        [{"title": "Kept title", "url": "https://wire.example/0", "sources": "Wire"}],
        [],
    ]
    assert rows[0].payload["note"]["link"] == "https://news.example/alerts/1"


def test_without_channels_nothing_is_written(sessions: Sessions, tell: Tell) -> None:
    raise_alert(sessions)
    assert tell(NOW, Teller()) == 0


def test_what_fires_still_is_told_as_it_stands_now(sessions: Sessions, tell: Tell) -> None:
    alert = raise_alert(sessions)
    gone = raise_alert(sessions, topic="energy")
    tell()
    with sessions.begin() as session:
        session.execute(update(alerts).where(alerts.c.id == alert).values(evidence={"stories": 0}))
        session.execute(delete(alerts).where(alerts.c.id == gone))
        [note] = TELLER.still_firing(session, "desk")
    assert note.summary == "banking: more negative news than is normal"
    resolve(sessions, alert, LATER)
    tell(LATER)
    with sessions() as session:
        assert TELLER.still_firing(session, "desk") == []


def test_two_workers_at_once_write_each_message_once(sessions: Sessions) -> None:
    raise_alert(sessions)
    with sessions() as session:
        seen = TELLER.due(session, NOW)
    with sessions.begin() as session:
        assert TELLER.tell(session, NOW) == 2
    # The other one had looked before.
    with sessions.begin() as session:
        assert [TELLER._write(session, due, NOW) for due in seen] == [False, False]
    assert len(messages(sessions)) == 2
