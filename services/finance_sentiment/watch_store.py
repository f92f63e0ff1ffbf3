"""How is it kept where each watch stands, and in which hours the news were not whole?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.orm import Session

from services.finance_sentiment.domain import LABELLED, hour_of
from services.finance_sentiment.health import FeedState
from services.finance_sentiment.life import NO_DATA, News
from services.finance_sentiment.tables import sources, stories, watch_hours, watch_states

# What a feed brings is judged by so much of the past.
_OF_LATE = timedelta(days=7)


def feed_states(session: Session, now: datetime) -> list[FeedState]:
    """Every feed that is asked."""
    brought = (
        select(stories.c.source_id, func.count().label("stories"))
        .where(stories.c.published_at >= now - _OF_LATE)
        .group_by(stories.c.source_id)
        .subquery()
    )
    query = (
        select(sources.c.name, sources.c.error_count, func.coalesce(brought.c.stories, 0))
        .outerjoin(brought, brought.c.source_id == sources.c.id)
        .where(sources.c.enabled)
        .order_by(sources.c.id)
    )
    return [FeedState(row[0], row[1], int(row[2])) for row in session.execute(query)]


def brought_by_day(session: Session, now: datetime, days: int) -> dict[int, list[int]]:
    """Feed → stories that it brought first on each of the last days; the last one ends with
    this hour."""
    end = hour_of(now) + 1
    hour = stories.c.published_hour
    query = (
        select(stories.c.source_id, hour, func.count())
        .where(stories.c.source_id.is_not(None), hour >= end - 24 * days, hour < end)
        .group_by(stories.c.source_id, hour)
    )
    found: dict[int, list[int]] = {}
    for source, at, count in session.execute(query):
        found.setdefault(source, [0] * days)[days - 1 - (end - 1 - at) // 24] += int(count)
    return found


def model_versions(session: Session, first_hour: int, end_hour: int) -> set[str]:
    """Who labelled the stories of these hours."""
    query = (
        select(stories.c.model_version)
        .where(stories.c.published_hour >= first_hour, stories.c.published_hour < end_hour)
        .where(stories.c.state == LABELLED, stories.c.model_version.is_not(None))
        .distinct()
    )
    return set(session.execute(query).scalars())


def save_hour(session: Session, hour: int, news: News, reason: str) -> None:
    """Keep that the news of this hour were not whole; the worst of the hour stays."""
    before = session.execute(select(watch_hours).where(watch_hours.c.hour == hour)).first()
    values = {"news": news, "reason": reason[:200]}
    if before is None:
        session.execute(insert(watch_hours).values(hour=hour, **values))
    elif before.news != NO_DATA:
        session.execute(update(watch_hours).where(watch_hours.c.hour == hour).values(values))


def news_of_hours(session: Session, first_hour: int, end_hour: int) -> dict[int, News]:
    """The hours from first_hour to end_hour in which the news were not whole."""
    query = select(watch_hours.c.hour, watch_hours.c.news).where(
        watch_hours.c.hour >= first_hour, watch_hours.c.hour < end_hour
    )
    return {row.hour: cast("News", row.news) for row in session.execute(query)}


def save_states(
    session: Session, found: Iterable[tuple[str, str, str, float]], now: datetime
) -> None:
    """(topic, phase, news, nearness) of all topics, in the place of what was kept before."""
    session.execute(delete(watch_states))
    rows = [
        {"topic": topic, "phase": phase, "news": news, "nearness": near, "updated_at": now}
        for topic, phase, news, near in found
    ]
    if rows:
        session.execute(insert(watch_states), rows)


def all_states(session: Session) -> list[Row[Any]]:
    """Where each topic stood at the last look, by name."""
    return list(session.execute(select(watch_states).order_by(watch_states.c.topic)))


def last_hours(session: Session, limit: int = 24) -> list[Row[Any]]:
    """The latest hours in which the news were not whole, latest first."""
    query = select(watch_hours).order_by(watch_hours.c.hour.desc()).limit(limit)
    return list(session.execute(query))
