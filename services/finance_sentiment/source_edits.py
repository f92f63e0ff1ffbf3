"""How is one feed added, changed or removed by hand?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from core.db.statements import rows_changed
from core.errors import Conflict, InvalidInput, NotFound
from services.finance_sentiment.feeds import host_of
from services.finance_sentiment.source_lists import MAX_SOURCES, Listed
from services.finance_sentiment.tables import sources


def add_source(session: Session, listed: Listed, now: datetime) -> int:
    """Its id. Conflict where its name or address is taken, InvalidInput where the list is full."""
    if session.execute(select(func.count()).select_from(sources)).scalar_one() >= MAX_SOURCES:
        raise InvalidInput(f"there are {MAX_SOURCES} feeds already, which is the most there can be")
    _refuse_taken(session, listed.name, listed.url, but=0)
    values = {
        "name": listed.name,
        "url": listed.url,
        "host": host_of(listed.url),
        "enabled": listed.enabled,
        "interval_seconds": listed.interval_seconds,
        "next_check_at": now,
        "error_count": 0,
        "created_at": now,
    }
    added = session.execute(insert(sources).values(values).returning(sources.c.id))
    return int(added.scalar_one())


def change_source(
    session: Session, source_id: int, given: Mapping[str, Any], now: datetime
) -> None:
    """Set the columns `given` (name, url, enabled, interval_seconds). NotFound, Conflict."""
    found = session.execute(select(sources).where(sources.c.id == source_id)).first()
    if found is None:
        raise _unknown(source_id)
    values = dict(given)
    name, url = values.get("name", found.name), values.get("url", found.url)
    _refuse_taken(session, name, url, but=source_id)
    if url != found.url:
        values |= dict.fromkeys(("etag", "last_modified", "learned_seconds", "last_error"))
        values |= dict.fromkeys(("moved_from", "moved_at"))
        values |= {"error_count": 0, "ttl_seconds": 0.0, "host": host_of(url)}
    if values:
        # Whatever changes is tried at once; its host's rest holds all the same.
        asked = {"next_check_at": now}
        session.execute(update(sources).where(sources.c.id == source_id).values(values | asked))


def remove_source(session: Session, source_id: int) -> None:
    """Forget a feed; its stories stay under its name. NotFound."""
    if not rows_changed(session, delete(sources).where(sources.c.id == source_id)):
        raise _unknown(source_id)


def _refuse_taken(session: Session, name: str, url: str, *, but: int) -> None:
    same = or_(sources.c.name == name, sources.c.url == url)
    query = select(sources.c.name, sources.c.id).where(same, sources.c.id != but)
    other = session.execute(query).first()
    if other is not None:
        what = "name" if other.name == name else "address"
        raise Conflict(
            f"the feed {other.name!r} has this {what} already",
            mend=f"Change that one: PATCH /v1/sources/{other.id}.",
        )


def _unknown(source_id: int) -> NotFound:
    return NotFound(
        f"there is no source {source_id}", mend="GET /v1/sources lists those that there are."
    )
