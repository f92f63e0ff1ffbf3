"""How are silences kept?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from core.errors import InvalidInput
from services.finance_sentiment.silences import Matcher, Silence, check_times
from services.finance_sentiment.tables import silences

MAX_SILENCES = 1_000


def add_silence(
    session: Session,
    matchers: Sequence[Matcher],
    starts_at: datetime,
    ends_at: datetime,
    *,
    created_by: str,
    comment: str,
    now: datetime,
) -> int:
    """Keep one; its id. InvalidInput: its times, or too many that still hold."""
    check_times(starts_at, ends_at)
    if len(open_silences(session, now)) >= MAX_SILENCES:
        raise InvalidInput(
            f"there are {MAX_SILENCES} silences already", mend="End some that are not needed."
        )
    adding = insert(silences).values(
        matchers=[{"name": m.name, "operator": m.operator, "value": m.value} for m in matchers],
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=created_by[:200],
        comment=comment[:1000],
        created_at=now,
    )
    return int(session.execute(adding.returning(silences.c.id)).scalar_one())


def end_silence(session: Session, silence_id: int, now: datetime) -> bool:
    """Let it end now; whether there was one that still held."""
    open_one = (silences.c.id == silence_id) & (silences.c.ends_at > now)
    ended = session.execute(
        update(silences).where(open_one).values(ends_at=now).returning(silences.c.id)
    )
    return ended.first() is not None


def open_silences(session: Session, now: datetime) -> list[Silence]:
    """Those that hold now or will."""
    query = select(silences).where(silences.c.ends_at > now).order_by(silences.c.id)
    return [_silence(row) for row in session.execute(query)]


def _silence(row: Row[Any]) -> Silence:
    matchers = tuple(Matcher(**said) for said in row.matchers)
    return Silence(row.id, matchers, row.starts_at, row.ends_at)
