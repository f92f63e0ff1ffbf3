"""Are stories kept once, found again and counted, on both databases?"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import InvalidInput
from services.finance_sentiment.domain import GIVEN, Entry, Label, hour_of
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.store import (
    StoryFilter,
    hourly_counts,
    negative_story_ids,
    page_of_stories,
    pending_texts,
    sentiment_counts,
    unread_counts,
    write_labels,
)
from tests.finance_sentiment.conftest import NOW

Sessions = sessionmaker[Session]


def entry(
    title: str,
    *,
    url: str = "",
    entry_id: str = "",
    published_at: datetime | None = None,
    summary: str = "",
) -> Entry:
    return Entry(entry_id, url, title, summary, published_at or NOW - timedelta(hours=1))


def label(sentiment: str = "negative", topic: str | None = "banking") -> Label:
    return Label(GIVEN, sentiment, topic, None, None, None, None, True)


def add(
    sessions: Sessions,
    *entries: Entry,
    source: str = "A",
    labelled: Label | None = None,
    now: datetime = NOW,
) -> int:
    with sessions.begin() as session:
        incoming = [Incoming(item, labelled) for item in entries]
        return add_stories(session, incoming, source=source, source_id=None, now=now)


def titles(sessions: Sessions, **wanted: object) -> list[str]:
    with sessions() as session:
        page, _ = page_of_stories(session, StoryFilter(**wanted), limit=100, cursor=None)  # type: ignore[arg-type]
    return [row.title for row in page]


def test_a_story_comes_in_once_however_often_it_is_sent(sessions: Sessions) -> None:
    story = entry("Oil falls", url="https://a.example/1", entry_id="1")
    assert add(sessions, story, story) == 1
    assert add(sessions, story) == 0


@pytest.mark.parametrize(
    "again",
    [
        entry("Oil falls, again", url="https://a.example/9", entry_id="1"),
        entry("Other words", url="http://www.a.example/1?utm_source=x", entry_id="2"),
        entry("OIL FALLS!", url="https://b.example/7", entry_id="3"),
    ],
    ids=["same id", "same address", "same words"],
)
def test_a_repeat_is_known_by_id_address_or_words(sessions: Sessions, again: Entry) -> None:
    add(sessions, entry("Oil falls", url="https://a.example/1", entry_id="1"))
    assert add(sessions, again) == 0


def test_ids_of_different_feeds_do_not_clash(sessions: Sessions) -> None:
    add(sessions, entry("Oil falls", entry_id="1"), source="A")
    assert add(sessions, entry("Gold rises", entry_id="1"), source="B") == 1


def test_the_same_words_are_news_again_after_three_days(sessions: Sessions) -> None:
    add(sessions, entry("Week ahead", url="https://a.example/1", published_at=NOW))
    week = NOW + timedelta(days=7)
    later = entry("Week ahead", url="https://a.example/2", published_at=week)
    assert add(sessions, later, now=week) == 1
    soon = entry("Week ahead", url="https://a.example/3", published_at=week + timedelta(hours=1))
    assert add(sessions, soon, now=week + timedelta(hours=2)) == 0


def test_entries_that_share_one_address_are_all_kept(sessions: Sessions) -> None:
    page = "https://a.example/ticker"
    shared = [entry(f"Story number {n}", url=page, entry_id=str(n)) for n in range(3)]
    assert add(sessions, *shared) == 3


def test_many_entries_at_once_are_kept(sessions: Sessions) -> None:
    many = [entry(f"Story number {n}", url=f"https://a.example/{n}") for n in range(700)]
    assert add(sessions, *many) == 700
    assert add(sessions, *many) == 0


def test_stories_wait_for_a_label_the_latest_first(sessions: Sessions) -> None:
    add(sessions, entry("Old", published_at=NOW - timedelta(hours=5)), entry("New", summary="More"))
    with sessions() as session:
        assert [text for _, text in pending_texts(session, 10)] == ["New. More", "Old"]


def test_a_label_is_written_once(sessions: Sessions) -> None:
    add(sessions, entry("Bank fails"))
    with sessions.begin() as session:
        [(story_id, _)] = pending_texts(session, 10)
        write_labels(session, [(story_id, label("negative"))], NOW)
        write_labels(session, [(story_id, label("positive"))], NOW)
        assert pending_texts(session, 10) == []
    assert titles(sessions, sentiment="negative") == ["Bank fails"]


def test_filters_narrow_what_is_shown(sessions: Sessions) -> None:
    add(sessions, entry("Bank fails 100%"), labelled=label("negative", "banking"))
    add(
        sessions,
        entry("Oil_field found", published_at=NOW - timedelta(days=2)),
        labelled=label("positive", "energy"),
        source="B",
    )
    add(sessions, entry("Unlabelled words"))
    assert titles(sessions, topic="banking") == ["Bank fails 100%"]
    assert titles(sessions, sentiment="positive") == ["Oil_field found"]
    assert titles(sessions, state="pending") == ["Unlabelled words"]
    assert titles(sessions, source="B") == ["Oil_field found"]
    assert titles(sessions, until=NOW - timedelta(days=1)) == ["Oil_field found"]
    assert titles(sessions, q="BANK FAILS") == ["Bank fails 100%"]
    assert titles(sessions, q="nothing like it") == []
    assert titles(sessions, q="%") == titles(sessions, q="_") == []  # no wildcards


def test_pages_show_every_story_once(sessions: Sessions) -> None:
    # All of one moment: the id alone keeps them in order.
    add(sessions, *(entry(f"Story number {n}", url=f"https://a.example/{n}") for n in range(7)))
    seen: list[int] = []
    cursor = None
    with sessions() as session:
        while True:
            page, cursor = page_of_stories(session, StoryFilter(), limit=3, cursor=cursor)
            seen += [row.id for row in page]
            if cursor is None:
                break
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize("cursor", ["x", "AAAA", "é", "MjAyNnwx", "=" * 50])
def test_a_cursor_of_somebody_else_is_refused(sessions: Sessions, cursor: str) -> None:
    with sessions() as session, pytest.raises(InvalidInput):
        page_of_stories(session, StoryFilter(), limit=3, cursor=cursor)


def test_counts_are_of_labelled_stories_by_topic_and_hour(sessions: Sessions) -> None:
    for number, sentiment in enumerate(("negative", "negative", "positive")):
        add(sessions, entry(f"Bank {number}"), labelled=label(sentiment))
    add(sessions, entry("No topic"), labelled=label("neutral", None))
    add(sessions, entry("Waiting"))
    hour = hour_of(NOW - timedelta(hours=1))
    with sessions() as session:
        counts = hourly_counts(session, hour - 10, hour + 1)
        rows = sentiment_counts(session, hour, hour + 1, "banking")
        unread = unread_counts(session, hour, hour + 1)
    assert counts.topics == ("all", "banking")
    assert counts.total("banking", hour, hour + 1) == (3, 2)
    assert counts.total("all", hour, hour + 1) == (1, 0)
    assert sorted(rows) == [("banking", hour, "negative", 2), ("banking", hour, "positive", 1)]
    assert unread == {"pending": 1, "unlabelled": 0}


def test_an_empty_database_has_no_counts(sessions: Sessions) -> None:
    with sessions() as session:
        counts = hourly_counts(session, 0, 500_000)
    assert counts.topics == ()


def test_the_negative_stories_of_a_topic_are_found(sessions: Sessions) -> None:
    add(sessions, entry("Bank fails"), labelled=label("negative"))
    add(sessions, entry("Bank wins"), labelled=label("positive"))
    with sessions() as session:
        found = negative_story_ids(session, "banking", NOW - timedelta(hours=2), NOW, 10)
    assert len(found) == 1
