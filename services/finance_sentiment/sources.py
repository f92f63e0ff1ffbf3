"""Which feeds are watched, which of them is due, and how is each of them doing?

A YAML file lists them:

    - name: Meridian Wire
      url: https://meridianwire.example/feeds/business.xml
      interval_minutes: 5     # optional
      enabled: true           # optional
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.orm import Session

from core.data.tables import read_table
from core.db.statements import rows_changed
from core.errors import DataError
from services.finance_sentiment.domain import wait_before_next_check
from services.finance_sentiment.feeds import Fetched, Source
from services.finance_sentiment.stories import web_address
from services.finance_sentiment.tables import sources

MAX_SOURCES = 10_000
# A worker that dies with a feed in its hands gives it back after this time.
CLAIM = timedelta(minutes=3)
_MOST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Listed:
    """A feed as it stands in the file."""

    name: str
    url: str
    enabled: bool = True
    interval_seconds: float | None = None


def read_sources(path: Path) -> list[Listed]:
    """The feeds of a YAML (or CSV, JSONL) list. DataError names the line that is wrong."""
    rows = read_table(path, ["name", "url"], ["interval_minutes", "enabled"])
    if len(rows) > MAX_SOURCES:
        raise DataError(f"expected at most {MAX_SOURCES} feeds, found {len(rows)}", path)
    listed = [_listed(path, row, row.line) for row in rows]
    for column in ("name", "url"):
        first: dict[str, int] = {}
        for row, feed in zip(rows, listed, strict=True):
            value = getattr(feed, column)
            if value in first:
                raise DataError(
                    f"the {column} {value!r} stands already on line {first[value]}", path, row.line
                )
            first[value] = row.line
    return listed


def _listed(path: Path, row: Mapping[str, Any], line: int) -> Listed:
    name, url = row["name"], row["url"]
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 200:
        raise DataError("`name`: expected a text of 1 to 200 characters", path, line)
    if not isinstance(url, str) or not web_address(url):
        raise DataError(
            f"`url`: expected an http or https address, found {str(url)[:80]!r}", path, line
        )
    enabled = row["enabled"] if row["enabled"] not in (None, "") else True
    if enabled in ("true", "false"):
        enabled = enabled == "true"
    if not isinstance(enabled, bool):
        raise DataError(f"`enabled`: expected true or false, found {enabled!r}", path, line)
    return Listed(name.strip(), web_address(url), enabled, _interval(path, row, line))


def _interval(path: Path, row: Mapping[str, Any], line: int) -> float | None:
    value = row["interval_minutes"]
    if value in (None, ""):
        return None
    try:
        minutes = float(value)
    except (TypeError, ValueError):
        minutes = -1.0
    if isinstance(value, bool) or not 1 / 60 <= minutes <= _MOST_MINUTES:
        raise DataError(
            f"`interval_minutes`: expected a number up to {_MOST_MINUTES}, found {value!r}",
            path,
            line,
        )
    return minutes * 60


def save_sources(session: Session, listed: Iterable[Listed], now: datetime) -> tuple[int, int]:
    """Add feeds that are new, bring the others up to date; (added, known). A feed is known by its
    address or its name; feeds that the list does not name stay as they are."""
    added = known = 0
    for feed in listed:
        values: dict[str, Any] = {
            "name": feed.name,
            "url": feed.url,
            "enabled": feed.enabled,
            "interval_seconds": feed.interval_seconds,
        }
        match = or_(sources.c.url == feed.url, sources.c.name == feed.name)
        found = list(session.execute(select(sources.c.id, sources.c.url).where(match)))
        if len(found) > 1:
            raise DataError(
                f"{feed.name!r} is the name of one known feed and the address of another",
                mend="Give it a name of its own.",
            )
        if not found:
            first = {"next_check_at": now, "error_count": 0, "created_at": now}
            session.execute(insert(sources).values(values | first))
            added += 1
            continue
        if found[0].url != feed.url:
            # Another address: what the old one said of itself does not hold there.
            values |= {"etag": None, "last_modified": None, "next_check_at": now, "error_count": 0}
        session.execute(update(sources).where(sources.c.id == found[0].id).values(values))
        known += 1
    return added, known


def due_sources(session: Session, now: datetime, limit: int) -> list[Source]:
    """Feeds whose time has come, the longest overdue first. Look only: `claim` takes one."""
    query = (
        select(sources)
        .where(sources.c.enabled, sources.c.next_check_at <= now)
        .order_by(sources.c.next_check_at, sources.c.id)
        .limit(limit)
    )
    return [
        Source(
            id=row.id,
            name=row.name,
            url=row.url,
            etag=row.etag,
            last_modified=row.last_modified,
            interval_seconds=row.interval_seconds,
            error_count=row.error_count,
        )
        for row in session.execute(query)
    ]


def claim(session: Session, source: Source, now: datetime) -> bool:
    """Take a due feed; False where another worker was faster. One statement decides."""
    mine = (sources.c.id == source.id) & sources.c.enabled & (sources.c.next_check_at <= now)
    return rows_changed(session, update(sources).where(mine).values(next_check_at=now + CLAIM)) > 0


def record(
    session: Session,
    source: Source,
    fetched: Fetched,
    *,
    now: datetime,
    default_interval: float,
    jitter: float,
) -> None:
    """Keep what came of asking a feed, and when it is asked next."""
    failed = fetched.outcome == "failed"
    errors = source.error_count + 1 if failed else 0
    wait = wait_before_next_check(
        timedelta(seconds=source.interval_seconds or default_interval),
        errors,
        asked=fetched.wait,
        jitter=jitter,
    )
    values: dict[str, Any] = {
        "checked_at": now,
        "next_check_at": now + wait,
        "error_count": errors,
        "last_error": fetched.error if failed else None,
    }
    if fetched.outcome == "fresh":
        values |= {
            "etag": fetched.etag,
            "last_modified": fetched.last_modified,
            "changed_at": now,
        }
    session.execute(update(sources).where(sources.c.id == source.id).values(values))


def all_sources(session: Session) -> list[Row[Any]]:
    """Every feed with its state, by name."""
    return list(session.execute(select(sources).order_by(sources.c.name, sources.c.id)))
