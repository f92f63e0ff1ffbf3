"""What changed, and in which order? The log behind /v1/events.

Every change of a story or an alert that callers are told of is a row here, written in the
transaction of the change itself, so neither is ever without the other. Who reads on from an id that
it has seen misses nothing: ids come in the order of the commits. On SQLite that is so by itself, as
it has one writer; on PostgreSQL writers queue from their row here to their commit. So `note` comes
last in a transaction: who holds that place must wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from services.finance_sentiment.tables import events

Kind = Literal["story", "alert"]
# Of a story: labelled (anew, too) · unlabelled: the model cannot read it · merged: one more source
# carried it. Of an alert: raised · resolved · reopened · acknowledged · marked.
Change = Literal[
    "labelled", "unlabelled", "merged",
    "raised", "resolved", "reopened", "acknowledged", "marked",
]  # fmt: skip

# Who was away for longer begins anew.
KEPT = timedelta(days=7)
# Any number, as long as all of us take the same: "events" in ASCII.
_NOTING = int.from_bytes(b"events", "big")


@dataclass(frozen=True, slots=True)
class Noted:
    """One row of the log; `subject` is the id of the story or alert."""

    id: int
    kind: Kind
    subject: int
    change: Change


def note(
    session: Session, kind: Kind, changed: Iterable[tuple[int, Change]], now: datetime
) -> None:
    """Keep (id of the story or alert, what changed), in this order. The last thing to do in a
    transaction: on PostgreSQL others wait from here to its end."""
    rows = [{"kind": kind, "subject_id": i, "change": change, "at": now} for i, change in changed]
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _NOTING})
    session.execute(insert(events), rows)


def noted_after(session: Session, position: int, limit: int) -> list[Noted]:
    """At most `limit` changes after the one with the id `position`, in their order."""
    columns = (events.c.id, events.c.kind, events.c.subject_id, events.c.change)
    query = select(*columns).where(events.c.id > position).order_by(events.c.id).limit(limit)
    return [Noted(*row) for row in session.execute(query)]


def kept_ids(session: Session) -> tuple[int, int]:
    """(oldest, newest) id in the log, (0, 0) for an empty one."""
    row = session.execute(select(func.min(events.c.id), func.max(events.c.id))).one()
    return (0, 0) if row[0] is None else (int(row[0]), int(row[1]))


def forget_changes(session: Session, now: datetime) -> None:
    """Drop what is older than `KEPT`. The newest stays: SQLite gives the ids of a table that is
    empty once more."""
    newest = select(func.max(events.c.id)).scalar_subquery()
    session.execute(delete(events).where(events.c.at < now - KEPT, events.c.id < newest))
