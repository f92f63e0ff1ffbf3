"""How are stories labelled, found again and counted? intake.py brings them in.

Every function takes a session; who opened it commits. Nothing here runs a model or fetches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, func, select, update
from sqlalchemy.orm import Session

from core.db.statements import rows_changed
from core.text import comparison_key
from services.finance_sentiment.changes import Change, note
from services.finance_sentiment.counts import HourlyCounts
from services.finance_sentiment.domain import (
    GIVEN,
    LABELLED,
    PENDING,
    PERSON,
    UNLABELLED,
    Label,
    story_text,
)
from services.finance_sentiment.paging import newest_page
from services.finance_sentiment.series_store import NO_TOPIC, stories_of
from services.finance_sentiment.tables import mentions, stories, story_companies


@dataclass(frozen=True, slots=True)
class StoryFilter:
    """Which stories a page shows; None and "" let all pass."""

    topic: str | None = None
    sentiment: str | None = None
    state: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str = ""
    company: str | None = None


# --- labels ------------------------------------------------------------------------------------


def label_values(label: Label | None, now: datetime) -> dict[str, Any]:
    """The columns of a label; without one the story waits for it."""
    names = ("topic", "sentiment", "p_negative", "p_neutral", "p_positive", "p_topic")
    if label is None:
        empty = dict.fromkeys((*names, "model_version", "labelled_at", "companies_version"))
        return {**empty, "state": PENDING}
    kept = {name: getattr(label, name) for name in names}
    return {
        **kept,
        # What it says of companies goes by this label: it is found out with it, or anew.
        "companies_version": None,
        "state": label.state,
        "model_version": label.model_version,
        "labelled_at": now,
    }


def pending_texts(session: Session, limit: int) -> list[tuple[int, str]]:
    """(id, text) of stories that wait for a label, the latest news first."""
    query = (
        select(stories.c.id, stories.c.title, stories.c.summary)
        .where(stories.c.state == PENDING)
        .order_by(stories.c.published_at.desc(), stories.c.id.desc())
        .limit(limit)
    )
    return [(row.id, story_text(row.title, row.summary)) for row in session.execute(query)]


def write_labels(
    session: Session, labels: Iterable[tuple[int, Label]], now: datetime, *, again: bool = False
) -> set[int]:
    """Keep the labels of stories that still wait for one, or with `again` those of stories that
    another model labelled, which is told to nobody; the ids of those that were kept."""
    told: list[tuple[int, Change]] = []
    for story_id, label in labels:
        wanted = stories.c.state == PENDING
        if again:
            kept = (GIVEN, PERSON, label.model_version)
            wanted = (stories.c.state != PENDING) & stories.c.model_version.not_in(kept)
        mine = update(stories).where(stories.c.id == story_id, wanted)
        if rows_changed(session, mine.values(label_values(label, now))):
            told.append((story_id, "labelled" if label.readable else "unlabelled"))
    if not again:
        note(session, "story", told, now)
    return {story_id for story_id, _ in told}


# --- out ---------------------------------------------------------------------------------------


def page_of_stories(
    session: Session, wanted: StoryFilter, *, limit: int, cursor: str | None
) -> tuple[list[Row[Any]], str | None]:
    """A page, newest first, and the cursor of the next one (None after the last)."""
    query = select(stories).where(*_conditions(wanted))
    return newest_page(session, query, (stories.c.published_at, stories.c.id), limit, cursor)


def stories_by_id(session: Session, ids: Sequence[int]) -> list[Row[Any]]:
    """Those of these stories that are there, in the order of the ids."""
    query = select(stories).where(stories.c.id.in_(ids))
    found = {row.id: row for row in session.execute(query)}
    return [found[story] for story in ids if story in found]


def carried_by(session: Session, ids: Sequence[int]) -> dict[int, list[str]]:
    """Who carried each of these stories, in the order they came."""
    query = select(mentions.c.story_id, mentions.c.source).where(mentions.c.story_id.in_(ids))
    found: dict[int, list[str]] = {story: [] for story in ids}
    for row in session.execute(query.order_by(mentions.c.id)):
        if row.source not in found[row.story_id]:
            found[row.story_id].append(row.source)
    return found


def _conditions(wanted: StoryFilter) -> list[Any]:
    same = {name: getattr(wanted, name) for name in ("topic", "sentiment", "state", "source")}
    found: list[Any] = [stories.c[name] == value for name, value in same.items() if value]
    if wanted.since:
        found.append(stories.c.published_at >= wanted.since)
    if wanted.until:
        found.append(stories.c.published_at < wanted.until)
    if wanted.company:
        named = select(story_companies.c.story_id).where(
            story_companies.c.company == wanted.company
        )
        found.append(stories.c.id.in_(named))
    key = comparison_key(wanted.q) if wanted.q else ""
    if key:
        found.append(stories.c.search_text.contains(key, autoescape=True))
    return found


def sentiment_counts(
    session: Session, first_hour: int, end_hour: int, topic: str | None = None
) -> list[tuple[str, int, str, int]]:
    """(topic, hour, sentiment, stories) of labelled stories from first_hour to end_hour."""
    named = func.coalesce(stories.c.topic, NO_TOPIC)
    query = (
        select(named, stories.c.published_hour, stories.c.sentiment, func.count())
        .where(*_counted(first_hour, end_hour))
        .group_by(named, stories.c.published_hour, stories.c.sentiment)
    )
    if topic:
        query = query.where(named == topic)
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(query)]


def unread_counts(session: Session, first_hour: int, end_hour: int) -> dict[str, int]:
    """How many stories of these hours carry no label, by state: so that silence is not calm."""
    query = (
        select(stories.c.state, func.count())
        .where(stories.c.published_hour >= first_hour, stories.c.published_hour < end_hour)
        .where(stories.c.state.in_([PENDING, UNLABELLED]))
        .group_by(stories.c.state)
    )
    return {PENDING: 0, UNLABELLED: 0, **{row[0]: row[1] for row in session.execute(query)}}


def waiting_before(session: Session, end_hour: int) -> int:
    """How many stories published before this hour wait for a label."""
    query = select(func.count()).where(
        stories.c.state == PENDING, stories.c.published_hour < end_hour
    )
    return int(session.execute(query).scalar_one())


def hourly_counts(session: Session, first_hour: int, end_hour: int) -> HourlyCounts:
    """What the detectors read: labelled stories by topic and hour, from the first hour that has
    one, so that time before the first story is no history."""
    named = func.coalesce(stories.c.topic, NO_TOPIC)
    negative = func.sum(case((stories.c.sentiment == "negative", 1), else_=0))
    query = (
        select(named, stories.c.published_hour, func.count(), negative)
        .where(*_counted(first_hour, end_hour))
        .group_by(named, stories.c.published_hour)
    )
    rows = [(row[0], row[1], row[2], int(row[3])) for row in session.execute(query)]
    return HourlyCounts.from_rows(rows, end_hour=end_hour if rows else None)


def _counted(first_hour: int, end_hour: int) -> list[Any]:
    return [
        stories.c.state == LABELLED,
        stories.c.sentiment.is_not(None),
        stories.c.published_hour >= first_hour,
        stories.c.published_hour < end_hour,
    ]


def negative_story_ids(
    session: Session, series: str, since: datetime, until: datetime, limit: int
) -> list[int]:
    """The negative stories of a topic or a company, oldest first."""
    told = stories_of(series)
    query = (
        select(stories.c.id)
        .select_from(told.source)
        .where(
            told.belongs,
            told.sentiment == "negative",
            stories.c.published_at >= since,
            stories.c.published_at < until,
        )
        .order_by(stories.c.published_at, stories.c.id)
        .limit(limit)
    )
    return list(session.execute(query).scalars())
