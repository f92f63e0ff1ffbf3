"""How does a message reach the outside at least once?

What is decided and the message about it are committed together; a worker then sends what is due.

    enqueue     in the transaction that decided; a repeat of the same idempotency key is ignored
    due         a worker claims messages: each counts an attempt and is hidden for `hold`
    mark_sent   it arrived
    mark_failed it did not: due again after a growing delay, or dead after its last attempt

A worker that dies between sending and `mark_sent` leaves a message that will be due again, which
is why it is "at least" once; the receiver tells a repeat by the idempotency key sent along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Table, delete, select, true, update
from sqlalchemy.orm import Session

from core.db.statements import insert_or_ignore, rows_changed
from core.errors import NotFound

PENDING, SENT, DEAD = "pending", "sent", "dead"
MAX_ATTEMPTS = 12
HOLD = timedelta(minutes=2)
_FIRST_DELAY = timedelta(seconds=10)
_LONGEST_DELAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `attempts` counts the present one too."""

    id: int
    idempotency_key: str
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    created_at: datetime
    last_error: str | None = None


def retry_delay(attempts: int) -> timedelta:
    """How long after failed attempt number `attempts` (from 1) the next one is due: 10 s, 20 s,
    40 s … at most an hour. Twelve attempts span about three and a half hours."""
    doublings = min(max(attempts, 1) - 1, 20)
    return min(_LONGEST_DELAY, _FIRST_DELAY * (1 << doublings))


def enqueue(
    session: Session,
    table: Table,
    *,
    kind: str,
    payload: Mapping[str, Any],
    idempotency_key: str,
    now: datetime,
    max_attempts: int = MAX_ATTEMPTS,
) -> bool:
    """Put a message in; False where one with this idempotency key is there already."""
    values = {
        "idempotency_key": idempotency_key,
        "kind": kind,
        "payload": dict(payload),
        "state": PENDING,
        "attempts": 0,
        "max_attempts": max_attempts,
        "created_at": now,
        "due_at": now,
    }
    return insert_or_ignore(session, table, values)


def due(
    session: Session,
    table: Table,
    now: datetime,
    *,
    limit: int = 20,
    hold: timedelta = HOLD,
    kind: str | None = None,
) -> list[Message]:
    """Claim what is due (of one `kind` where it is named), oldest first. Commit before sending: the
    claim hides each message from other workers for `hold`, and comes back by itself if this worker
    dies."""
    _bury_spent(session, table, now)
    wanted = true() if kind is None else table.c.kind == kind
    query = (
        select(table)
        .where(table.c.state == PENDING, table.c.due_at <= now, wanted)
        .order_by(table.c.due_at, table.c.id)
        .limit(limit)
        # PostgreSQL: pass over what another worker is claiming; SQLite has one writer anyway.
        .with_for_update(skip_locked=True)
    )
    claimed = [_message(row, row.attempts + 1) for row in session.execute(query)]
    if claimed:
        session.execute(
            update(table)
            .where(table.c.id.in_([message.id for message in claimed]))
            .values(attempts=table.c.attempts + 1, due_at=now + hold)
        )
    return claimed


def mark_sent(session: Session, table: Table, message_id: int, now: datetime) -> None:
    """It arrived."""
    session.execute(
        update(table)
        .where(table.c.id == message_id)
        .values(state=SENT, sent_at=now, last_error=None)
    )


def mark_failed(
    session: Session,
    table: Table,
    message: Message,
    now: datetime,
    error: str,
    *,
    not_before: datetime | None = None,
    for_good: bool = False,
) -> bool:
    """It did not arrive. True where another attempt will follow, at `not_before` at the earliest
    (what the receiver asked for); False where it is dead now. `for_good`: no attempt would help."""
    mine = (table.c.id == message.id) & (table.c.state == PENDING)
    reason = error.replace("\x00", "")[:500]
    spent = true() if for_good else table.c.max_attempts <= message.attempts
    dead = rows_changed(
        session, update(table).where(mine, spent).values(state=DEAD, last_error=reason)
    )
    if dead:
        return False
    again = now + retry_delay(message.attempts)
    if not_before is not None:
        again = max(again, not_before)
    return (
        rows_changed(session, update(table).where(mine).values(due_at=again, last_error=reason)) > 0
    )


def dead_letters(session: Session, table: Table, *, limit: int = 100) -> list[Message]:
    """What was given up, newest first, with the reason of the last failure."""
    query = select(table).where(table.c.state == DEAD).order_by(table.c.id.desc()).limit(limit)
    return [_message(row, row.attempts) for row in session.execute(query)]


def revive(session: Session, table: Table, message_id: int, now: datetime) -> None:
    """Send a dead one again, with all its attempts before it. NotFound where it is not dead."""
    revived = rows_changed(
        session,
        update(table)
        .where(table.c.id == message_id, table.c.state == DEAD)
        .values(state=PENDING, attempts=0, due_at=now),
    )
    if not revived:
        raise NotFound(f"there is no dead message {message_id}")


def prune(session: Session, table: Table, before: datetime) -> int:
    """Forget what was sent before that moment; how many that were. After it, a repeat of such a
    message's idempotency key is no longer recognised."""
    old = delete(table).where(table.c.state == SENT, table.c.sent_at < before)
    return rows_changed(session, old)


def _bury_spent(session: Session, table: Table, now: datetime) -> None:
    # A message that kills its worker is never marked failed; without this it would come for ever.
    session.execute(
        update(table)
        .where(
            table.c.state == PENDING,
            table.c.due_at <= now,
            table.c.attempts >= table.c.max_attempts,
        )
        .values(state=DEAD, last_error="the worker ended during the last attempt")
    )


def _message(row: Row[tuple[object, ...]], attempts: int) -> Message:
    return Message(
        id=row.id,
        idempotency_key=row.idempotency_key,
        kind=row.kind,
        payload=row.payload,
        attempts=attempts,
        created_at=row.created_at,
        last_error=row.last_error,
    )
