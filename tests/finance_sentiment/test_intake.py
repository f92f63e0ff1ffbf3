"""Is a story one however many carry it, an edit an edit, and what only sounds alike two?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select
from sqlalchemy.orm import Session, sessionmaker

from services.finance_sentiment.domain import GIVEN, Entry, Label
from services.finance_sentiment.intake import Incoming, add_stories, forget_old
from services.finance_sentiment.tables import mentions, stories, story_bands
from tests.finance_sentiment.conftest import NOW

Sessions = sessionmaker[Session]
OUTAGE = "Merrow Cloud outage hits banks and airlines"


def entry(title: str, entry_id: str = "", *, url: str = "", at: datetime = NOW) -> Entry:
    return Entry(entry_id, url, title, "", at)


def add(sessions: Sessions, *entries: Entry, source: str = "A", now: datetime = NOW) -> int:
    with sessions.begin() as session:
        incoming = [Incoming(item) for item in entries]
        return add_stories(session, incoming, source=source, source_id=None, now=now)


def rows(sessions: Sessions, table: Any) -> list[Row[Any]]:
    with sessions() as session:
        return list(session.execute(select(table).order_by(*table.primary_key.columns)))


def carried(sessions: Sessions) -> list[tuple[str, str]]:
    return [(row.source, row.known_by) for row in rows(sessions, mentions)]


def test_every_source_of_a_story_is_kept_and_the_story_counts_once(sessions: Sessions) -> None:
    assert add(sessions, entry(OUTAGE, "1", url="https://a.example/1")) == 1
    assert add(sessions, entry(OUTAGE.upper(), "x"), source="B") == 0
    assert add(sessions, entry("Words", "y", url="https://www.a.example/1/"), source="C") == 0
    assert add(sessions, entry(f"{OUTAGE} in Europe", "z"), source="D") == 0
    assert carried(sessions) == [("A", "first"), ("B", "text"), ("C", "url"), ("D", "minhash")]
    assert len(rows(sessions, stories)) == 1


def test_the_same_entry_again_is_no_further_mention(sessions: Sessions) -> None:
    for _ in range(3):
        add(sessions, entry(OUTAGE, "1"), entry(OUTAGE, "1"))
    assert carried(sessions) == [("A", "first")]


def test_repeats_within_one_document_are_one_story(sessions: Sessions) -> None:
    assert add(sessions, entry(OUTAGE, "1"), entry(f"{OUTAGE} in Europe", "2")) == 1
    assert carried(sessions) == [("A", "first"), ("A", "minhash")]


@pytest.mark.parametrize(
    "other",
    [
        "Merrow Cloud outage spares banks and airlines, not shops",
        "Tarrant Cloud outage hits banks and airlines",
        "Merrow Cloud outage does not hit banks and airlines",
    ],
)
def test_like_sounding_stories_are_kept_apart(sessions: Sessions, other: str) -> None:
    add(sessions, entry(OUTAGE, "1"))
    assert add(sessions, entry(other, "2"), source="B") == 1


def test_near_words_are_news_again_after_three_days(sessions: Sessions) -> None:
    add(sessions, entry(OUTAGE, "1"))
    later = NOW + timedelta(hours=73)
    assert add(sessions, entry(f"{OUTAGE} again", "2", at=later), source="B", now=later) == 1


def test_an_edited_title_brings_the_story_up_to_date(sessions: Sessions) -> None:
    label = Label(GIVEN, "negative", "banking", None, None, None, None, True)
    with sessions.begin() as session:
        first = [Incoming(entry("Bank fails test", "1"), label)]
        add_stories(session, first, source="A", source_id=None, now=NOW)
    later = NOW + timedelta(hours=1)
    assert add(sessions, entry("Bank passes test after all", "1"), now=later) == 0
    [story] = rows(sessions, stories)
    assert (story.title, story.edited_at) == ("Bank passes test after all", later)
    # The model reads the new words.
    assert (story.state, story.sentiment) == ("pending", None)
    assert [row.title for row in rows(sessions, mentions)] == ["Bank passes test after all"]
    # Its new words are known, its old bands are not.
    assert add(sessions, entry("Bank passes test after all", "9"), source="B", now=later) == 0


def test_an_edit_by_a_later_source_leaves_the_story_as_it_was(sessions: Sessions) -> None:
    add(sessions, entry(OUTAGE, "1"))
    add(sessions, entry(OUTAGE, "x"), source="B")
    add(sessions, entry(f"{OUTAGE}, says firm", "x"), source="B")
    [story] = rows(sessions, stories)
    assert (story.title, story.edited_at) == (OUTAGE, None)


def test_bands_of_old_stories_are_dropped(sessions: Sessions) -> None:
    add(sessions, entry(OUTAGE, "1"))
    assert rows(sessions, story_bands)
    with sessions.begin() as session:
        forget_old(session, NOW + timedelta(days=7))
    assert rows(sessions, story_bands) == []
    assert len(rows(sessions, stories)) == 1
