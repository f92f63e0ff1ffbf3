"""Which feeds are watched, which of them is due, and how is each of them doing?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, exists, or_, select, update
from sqlalchemy.orm import Session

from core.db.statements import insert_or_ignore, rows_changed
from core.errors import DataError
from services.finance_sentiment.feeds import Fetched, Source, host_of
from services.finance_sentiment.hosts import note_host
from services.finance_sentiment.pacing import Bounds, adapted, wait_before_next_check
from services.finance_sentiment.source_lists import Listed
from services.finance_sentiment.tables import hosts, sources

# A worker that dies with a feed in its hands gives it back after this time.
CLAIM = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a look at a feed, besides its entries: `new` stories, and the pace it is held
    to. `jitter` in [0, 1]."""

    now: datetime
    bounds: Bounds
    jitter: float
    new: int = 0


def save_sources(
    session: Session, listed: Iterable[Listed], now: datetime, *, only_new: bool = False
) -> tuple[int, int]:
    """Add feeds that are new, bring the others up to date (not with `only_new`); (added, known). A
    feed is known by its address or its name; feeds that the list does not name stay as they are."""
    added = known = 0
    for feed in listed:
        values: dict[str, Any] = {
            "name": feed.name,
            "url": feed.url,
            "enabled": feed.enabled,
            "interval_seconds": feed.interval_seconds,
            "host": host_of(feed.url),
        }
        same = (sources.c.url == feed.url, sources.c.name == feed.name)
        columns = (sources.c.id, sources.c.url, sources.c.moved_from)
        found = list(session.execute(select(*columns).where(or_(*same))))
        if found and only_new:
            known += 1
            continue
        if len(found) > 1:
            raise DataError(
                f"{feed.name!r} is the name of one known feed and the address of another",
                mend="Give it a name of its own.",
            )
        if not found:
            first = {"next_check_at": now, "error_count": 0, "created_at": now}
            # Another worker that starts with the same list may have been quicker.
            new = insert_or_ignore(session, sources, values | first)
            added, known = added + new, known + (not new)
            continue
        if found[0].moved_from == feed.url:
            # The list still has the address that the server moved it away from.
            values |= {"url": found[0].url, "host": host_of(found[0].url)}
        elif found[0].url != feed.url:
            # Another address: what the old one said of itself does not hold there.
            values |= {"etag": None, "last_modified": None, "next_check_at": now, "error_count": 0}
        session.execute(update(sources).where(sources.c.id == found[0].id).values(values))
        known += 1
    return added, known


def due_sources(session: Session, now: datetime, limit: int) -> list[Source]:
    """Feeds whose time has come and whose host does not rest, the longest overdue first. Look
    only: `claim` takes one."""
    query = (
        select(sources)
        .where(sources.c.enabled, sources.c.next_check_at <= now, ~_host_rests(now))
        .order_by(sources.c.next_check_at, sources.c.id)
        .limit(limit)
    )
    names = Source.__dataclass_fields__
    return [
        Source(**{name: getattr(row, name) for name in names}) for row in session.execute(query)
    ]


def claim(session: Session, source: Source, now: datetime) -> bool:
    """Take a due feed; False where another worker was faster, or its host has begun to rest. One
    statement decides."""
    mine = (
        (sources.c.id == source.id)
        & sources.c.enabled
        & (sources.c.next_check_at <= now)
        & ~_host_rests(now)
    )
    return rows_changed(session, update(sources).where(mine).values(next_check_at=now + CLAIM)) > 0


def _host_rests(now: datetime) -> Any:
    return exists().where(hosts.c.host == sources.c.host, hosts.c.rests_until > now)


def record(session: Session, source: Source, fetched: Fetched, checked: Checked) -> None:
    """Keep what came of asking a feed, and when it is asked next; its host's state as well."""
    now = checked.now
    failed = fetched.outcome == "failed"
    errors = source.error_count + 1 if failed else 0
    interval = _interval(source, fetched, checked)
    wait = wait_before_next_check(
        interval,
        errors,
        asked=fetched.wait,
        fresh=min(fetched.fresh, checked.bounds.longest),
        jitter=checked.jitter,
    )
    values: dict[str, Any] = {
        "checked_at": now,
        "next_check_at": now + wait,
        "error_count": errors,
        "last_error": fetched.error if failed else None,
    }
    if not failed:
        values |= {"learned_seconds": interval.total_seconds(), "ttl_seconds": fetched.ttl_seconds}
        values |= _move(session, source, fetched, now)
    if fetched.outcome == "fresh":
        values |= {
            "etag": fetched.etag,
            "last_modified": fetched.last_modified,
            "changed_at": now,
        }
    session.execute(update(sources).where(sources.c.id == source.id).values(values))
    note_host(session, source.host, fetched, now)


def _interval(source: Source, fetched: Fetched, checked: Checked) -> timedelta:
    """The stated interval, else the learned one, moved on by what this look found."""
    if source.interval_seconds:
        return timedelta(seconds=source.interval_seconds)
    shortest = checked.bounds.shortest
    learned = timedelta(seconds=source.learned_seconds) if source.learned_seconds else shortest
    if fetched.outcome == "failed":
        return max(learned, shortest)
    return adapted(learned, found_news=checked.new > 0, bounds=checked.bounds)


def _move(session: Session, source: Source, fetched: Fetched, now: datetime) -> dict[str, Any]:
    """The columns of a feed that its server moved for good."""
    if not fetched.moved_to or fetched.moved_to == source.url:
        return {}
    taken = select(sources.c.name).where(sources.c.url == fetched.moved_to)
    other = session.execute(taken).scalar_one_or_none()
    if other is not None:
        told = f"it moved to the address of the feed {other!r}: remove one of the two"
        return {"last_error": told[:500]}
    return {
        "url": fetched.moved_to,
        "host": host_of(fetched.moved_to),
        "moved_from": source.url,
        "moved_at": now,
    }


def all_sources(session: Session) -> list[Row[Any]]:
    """Every feed with its state, by name; `host_rests_until` where its host is in trouble."""
    return list(session.execute(_with_hosts().order_by(sources.c.name, sources.c.id)))


def one_source(session: Session, source_id: int) -> Row[Any]:
    """As `all_sources`, of one that is there."""
    return session.execute(_with_hosts().where(sources.c.id == source_id)).one()


def _with_hosts() -> Select[Any]:
    rests = hosts.c.rests_until.label("host_rests_until")
    return select(sources, rests).outerjoin(hosts, hosts.c.host == sources.c.host)
