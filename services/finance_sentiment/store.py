"""How are stories kept, found again, labelled and counted?

Every function takes a session; who opened it commits. Nothing here runs a model or fetches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, func, insert, select, text, update
from sqlalchemy.orm import Session

from core.text import comparison_key
from services.finance_sentiment.counts import HourlyCounts
from services.finance_sentiment.domain import (
    LABELLED,
    PENDING,
    UNLABELLED,
    Entry,
    Label,
    hour_of,
    publication,
    story_text,
)
from services.finance_sentiment.paging import newest_page
from services.finance_sentiment.stories import (
    TEXT_KEY_HOLDS,
    TEXT_PREFIX,
    canonical_url,
    identity_keys,
    shared_urls,
)
from services.finance_sentiment.tables import stories, story_keys

# What a story counts under where the model knows no topics.
NO_TOPIC = "all"
# SQLite takes so many variables in one statement, and some more.
_CHUNK = 500
# Any number, as long as all of us take the same: "stories" in ASCII.
_STORING = int.from_bytes(b"stories", "big")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A story on its way in; `label` where it came with one."""

    entry: Entry
    label: Label | None = None


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


# --- in ----------------------------------------------------------------------------------------


def add_stories(
    session: Session,
    incoming: Sequence[Incoming],
    *,
    source: str,
    source_id: int | None,
    now: datetime,
) -> int:
    """Keep those that are new; how many they were. Repeats of what is there, or of one another,
    are left out."""
    _one_at_a_time(session)
    shared = shared_urls([item.entry for item in incoming])
    keyed = []
    for item in incoming:
        own_url = canonical_url(item.entry.url) not in shared
        keyed.append((item, identity_keys(item.entry, source, own_url=own_url)))
    known = _known_keys(session, {key for _, keys in keyed for key in keys})
    fresh: list[tuple[Incoming, list[str], datetime]] = []
    for item, keys in keyed:
        published = publication(item.entry.published_at, now)
        if not any(_holds(key, known, published) for key in keys):
            fresh.append((item, keys, published))
            known.update(dict.fromkeys(keys, published))
    if fresh:
        _insert(session, fresh, source, source_id, now)
    return len(fresh)


def _one_at_a_time(session: Session) -> None:
    """Two workers that store the same story at the same moment would both find it new. SQLite has
    one writer as it is; on PostgreSQL they queue here until the other has committed."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STORING})


def _known_keys(session: Session, keys: set[str]) -> dict[str, datetime]:
    known: dict[str, datetime] = {}
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        query = select(story_keys.c.key, story_keys.c.seen_at).where(
            story_keys.c.key.in_(ordered[start : start + _CHUNK])
        )
        known.update({row.key: row.seen_at for row in session.execute(query)})
    return known


def _holds(key: str, known: dict[str, datetime], published: datetime) -> bool:
    """Whether a key says that the story is there: words do so for three days only."""
    if key not in known:
        return False
    return not key.startswith(TEXT_PREFIX) or abs(published - known[key]) <= TEXT_KEY_HOLDS


def _insert(
    session: Session,
    fresh: Sequence[tuple[Incoming, list[str], datetime]],
    source: str,
    source_id: int | None,
    now: datetime,
) -> None:
    rows = [
        _story_values(item, published, now) | {"source": source[:200], "source_id": source_id}
        for item, _, published in fresh
    ]
    adding = insert(stories).returning(stories.c.id, sort_by_parameter_order=True)
    ids = list(session.execute(adding, rows).scalars())
    # The last one wins where words come again after their three days.
    owners = {
        key: {"key": key, "story_id": story_id, "seen_at": published}
        for story_id, (_, keys, published) in zip(ids, fresh, strict=True)
        for key in keys
    }
    taken = _known_keys(session, set(owners))
    for key in taken:
        session.execute(update(story_keys).where(story_keys.c.key == key).values(owners[key]))
    new = [values for key, values in owners.items() if key not in taken]
    if new:
        session.execute(insert(story_keys), new)


def _story_values(item: Incoming, published: datetime, now: datetime) -> dict[str, Any]:
    entry = item.entry
    values = {
        "url": entry.url,
        "title": entry.title,
        "summary": entry.summary,
        "search_text": comparison_key(story_text(entry.title, entry.summary)),
        "published_at": published,
        "published_hour": hour_of(published),
        "fetched_at": now,
    }
    return values | _label_values(item.label, now)


def _label_values(label: Label | None, now: datetime) -> dict[str, Any]:
    names = ("topic", "sentiment", "p_negative", "p_neutral", "p_positive", "p_topic")
    if label is None:
        empty = dict.fromkeys((*names, "model_version", "labelled_at"))
        return {**empty, "state": PENDING}
    kept = {name: getattr(label, name) for name in names}
    return {
        **kept,
        "state": label.state,
        "model_version": label.model_version,
        "labelled_at": now,
    }


# --- labels ------------------------------------------------------------------------------------


def pending_texts(session: Session, limit: int) -> list[tuple[int, str]]:
    """(id, text) of stories that wait for a label, the latest news first."""
    query = (
        select(stories.c.id, stories.c.title, stories.c.summary)
        .where(stories.c.state == PENDING)
        .order_by(stories.c.published_at.desc(), stories.c.id.desc())
        .limit(limit)
    )
    return [(row.id, story_text(row.title, row.summary)) for row in session.execute(query)]


def write_labels(session: Session, labels: Iterable[tuple[int, Label]], now: datetime) -> None:
    """Keep the labels of stories that still wait for one."""
    for story_id, label in labels:
        waiting = (stories.c.id == story_id) & (stories.c.state == PENDING)
        session.execute(update(stories).where(waiting).values(_label_values(label, now)))


# --- out ---------------------------------------------------------------------------------------


def page_of_stories(
    session: Session, wanted: StoryFilter, *, limit: int, cursor: str | None
) -> tuple[list[Row[Any]], str | None]:
    """A page, newest first, and the cursor of the next one (None after the last)."""
    query = select(stories).where(*_conditions(wanted))
    return newest_page(session, query, (stories.c.published_at, stories.c.id), limit, cursor)


def _conditions(wanted: StoryFilter) -> list[Any]:
    same = {name: getattr(wanted, name) for name in ("topic", "sentiment", "state", "source")}
    found: list[Any] = [stories.c[name] == value for name, value in same.items() if value]
    if wanted.since:
        found.append(stories.c.published_at >= wanted.since)
    if wanted.until:
        found.append(stories.c.published_at < wanted.until)
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
    session: Session, topic: str, since: datetime, until: datetime, limit: int
) -> list[int]:
    """The negative stories of a topic, oldest first."""
    query = (
        select(stories.c.id)
        .where(
            func.coalesce(stories.c.topic, NO_TOPIC) == topic,
            stories.c.sentiment == "negative",
            stories.c.published_at >= since,
            stories.c.published_at < until,
        )
        .order_by(stories.c.published_at, stories.c.id)
        .limit(limit)
    )
    return list(session.execute(query).scalars())
