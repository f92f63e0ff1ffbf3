"""Do stories that mean the same become one when the model has read them, and others never?"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from services.finance_sentiment.domain import Entry, Label
from services.finance_sentiment.intake import Incoming, add_stories
from services.finance_sentiment.merging import Reading, RecentVectors, Vectors
from services.finance_sentiment.store import pending_texts, write_labels
from services.finance_sentiment.tables import mentions, stories
from tests.finance_sentiment.conftest import NOW

Sessions = sessionmaker[Session]
FIRST = "Tessaro names Ines Valdez as chief executive"
AGAIN = "Ines Valdez appointed CEO of Tessaro"
ALIKE = np.array([0.9, np.sqrt(1 - 0.81)], np.float32)
UNIT = np.array([1.0, 0.0], np.float32)


def tell(
    sessions: Sessions,
    recent: RecentVectors,
    title: str,
    vector: Vectors,
    *,
    sentiment: str = "neutral",
    version: str = "v1",
    at: datetime = NOW,
) -> bool:
    """Bring a story in and label it; whether it was folded into another."""
    with sessions.begin() as session:
        incoming = [Incoming(Entry(title, "", title, "", at))]
        assert add_stories(session, incoming, source=title[:20], source_id=None, now=at) == 1
        [(story, _)] = pending_texts(session, 10)
        label = Label(version, sentiment, "deals", 0.1, 0.8, 0.1, 0.9, True)
        gone = recent.merge(session, [story], Reading([label], vector[None]), at)
        write_labels(session, [(story, label)] if story not in gone else [], at)
    return story in gone


def known_by(sessions: Sessions) -> list[tuple[int, str]]:
    with sessions() as session:
        query = select(mentions.c.story_id, mentions.c.known_by).order_by(mentions.c.id)
        return [(row[0], row[1]) for row in session.execute(query)]


def count(sessions: Sessions) -> int:
    with sessions() as session:
        return len(list(session.execute(select(stories.c.id))))


def test_two_tellings_become_one_story_with_two_mentions(sessions: Sessions) -> None:
    recent = RecentVectors()
    assert not tell(sessions, recent, FIRST, UNIT)
    assert tell(sessions, recent, AGAIN, ALIKE)
    [(first, how), (again, why)] = known_by(sessions)
    assert (first, how, why) == (again, "first", "embedding")
    assert count(sessions) == 1
    # The same entry again is known by its keys.
    with sessions.begin() as session:
        again_entry = [Incoming(Entry(AGAIN, "", AGAIN, "", NOW))]
        assert add_stories(session, again_entry, source="B", source_id=None, now=NOW) == 0


def test_a_worker_that_takes_over_knows_what_the_other_read(sessions: Sessions) -> None:
    assert not tell(sessions, RecentVectors(), FIRST, UNIT)
    assert tell(sessions, RecentVectors(), AGAIN, ALIKE)


@pytest.mark.parametrize(
    ("title", "options"),
    [
        ("Ines Valdez appointed CEO of Orrin", {}),
        ("Ines Valdez not appointed CEO of Tessaro", {}),
        ("Ines Valdez appointed CFO of Tessaro", {}),
        (AGAIN, {"at": NOW + timedelta(hours=73)}),
        (AGAIN, {"version": "v2"}),
        (AGAIN, {"sentiment": "negative"}),
    ],
    ids=["other company", "denial", "other role", "too late", "other model", "other sentiment"],
)
def test_what_speaks_against_it_keeps_two_stories(
    sessions: Sessions, title: str, options: dict[str, object]
) -> None:
    recent = RecentVectors()
    tell(sessions, recent, FIRST, UNIT, sentiment="positive")
    assert not tell(sessions, recent, title, ALIKE, **options)  # type: ignore[arg-type]
    assert count(sessions) == 2


def test_what_is_not_near_or_cannot_be_read_is_another_story(sessions: Sessions) -> None:
    recent = RecentVectors()
    tell(sessions, recent, FIRST, UNIT)
    assert not tell(sessions, recent, AGAIN, np.array([0.7, 0.714], np.float32))
    assert not tell(sessions, recent, "远望银行发布公告", np.zeros(2, np.float32))
    assert count(sessions) == 3
