"""Weeks of news for tests of pages, put straight into the tables: calm ones, then a surge."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.finance_sentiment.changes import note
from services.finance_sentiment.domain import hour_of
from services.finance_sentiment.settings import Settings
from services.finance_sentiment.tables import (
    MIGRATIONS,
    mentions,
    sources,
    stories,
    worker_ticks,
)
from services.finance_sentiment.watching import Watch, evaluate

Sessions = sessionmaker[Session]
TOPICS = ("banking", "energy")


def made_database(settings: Settings) -> Sessions:
    """An empty database of these settings."""
    engine = make_engine(settings.database_url)
    upgrade(engine, MIGRATIONS)
    return session_factory(engine)


def story(at: datetime, topic: str = "banking", sentiment: str = "negative", **other: Any) -> Any:
    """A row of stories, labelled."""
    return {
        "source": "Wire",
        "url": "https://wire.example/1",
        "title": f"{topic} {sentiment} {at:%d %H:%M}",
        "summary": "",
        "search_text": "",
        "published_at": at,
        "published_hour": hour_of(at),
        "fetched_at": at,
        "state": "labelled",
        "topic": topic,
        "sentiment": sentiment,
        "p_negative": 0.8 if sentiment == "negative" else 0.1,
        "p_neutral": 0.8 if sentiment == "neutral" else 0.1,
        "p_positive": 0.1,
        "p_topic": 0.9,
        "model_version": "v1",
        "labelled_at": at,
    } | other


def keep(sessions: Sessions, rows: Iterable[Any], *, tell: bool = False) -> list[int]:
    """The rows, each carried by its source; told of to streams where asked for. Their ids."""
    with sessions.begin() as session:
        returned = insert(stories).returning(stories.c.id, sort_by_parameter_order=True)
        listed = list(rows)
        ids = list(session.execute(returned, listed).scalars()) if listed else []
        carried = [
            {
                "story_id": i,
                "source": row["source"],
                "entry_key": f"key-{i}",
                "url": row["url"],
                "title": row["title"],
                "published_at": row["published_at"],
                "seen_at": row["fetched_at"],
                "known_by": "first",
            }
            for i, row in zip(ids, listed, strict=True)
        ]
        if carried:
            session.execute(insert(mentions), carried)
        if tell:
            moment = listed[-1]["fetched_at"]
            note(session, "story", [(i, "labelled") for i in ids], moment)
    return ids


def calm(until: datetime, hours: int, per_hour: int = 4) -> list[Any]:
    """Exactly one story in five is negative, before this moment: nothing that could be an alert."""
    end = until.replace(minute=0, second=0, microsecond=0)
    return [
        story(
            end - timedelta(hours=back) + timedelta(minutes=number),
            topic,
            "neutral" if (back * per_hour + number) % 5 else "negative",
        )
        for back in range(hours, 0, -1)
        for topic in TOPICS
        for number in range(per_hour)
    ]


def surge(until: datetime, hours: int = 4, per_hour: int = 6, topic: str = "banking") -> list[Any]:
    """Nothing but bad news on a topic, in the hours before this moment."""
    end = until.replace(minute=0, second=0, microsecond=0)
    return [
        story(
            end - timedelta(hours=back) + timedelta(minutes=30 + number),
            topic,
            title=f"Bank {number} of hour {back} loses deposits",
            source=f"Paper {number % 3}",
        )
        for back in range(hours, 0, -1)
        for number in range(per_hour)
    ]


def watch(sessions: Sessions, now: datetime) -> int:
    """What the worker's tick does; how many alerts are new."""
    return evaluate(sessions, Watch(1.0, unread_allowed=32), now)


def beat(sessions: Sessions, now: datetime) -> None:
    """A worker that has just done all of its ticks."""
    with sessions.begin() as session:
        session.execute(delete(worker_ticks))
        rows = [
            {"name": name, "succeeded_at": now, "seconds": 0.1, "failures": 0}
            for name in ("fetch", "label", "evaluate")
        ]
        session.execute(insert(worker_ticks), rows)


def feed(now: datetime, name: str = "Wire", **other: Any) -> Any:
    """A row of sources that answers."""
    return {
        "name": name,
        "url": f"https://{name.lower().replace(' ', '-')}.example/feed.xml",
        "enabled": True,
        "next_check_at": now + timedelta(minutes=5),
        "checked_at": now - timedelta(minutes=1),
        "changed_at": now - timedelta(minutes=2),
        "error_count": 0,
        "last_error": None,
        "created_at": now - timedelta(days=9),
        "host": "",
    } | other


def listen_to(sessions: Sessions, *rows: Any) -> None:
    """Watch these feeds."""
    with sessions.begin() as session:
        for row in rows:
            session.execute(insert(sources).values(row))
