"""Which of several workers does a thing that only one may do?

A lease has a name, an owner and an end. Who dies keeps nobody waiting longer than the lease was
given for. The clock is the caller's: machines that share a database should agree within a small
part of `ttl`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Table, delete, update
from sqlalchemy.orm import Session

from core.db.statements import insert_or_ignore, rows_changed


def acquire(
    session: Session, table: Table, name: str, owner: str, *, now: datetime, ttl: timedelta
) -> bool:
    """Take the lease, or make one's own longer; False where somebody else holds it.

    The database decides in one statement, so two callers at once have one winner. The lease
    counts once the session has committed.
    """
    until = now + ttl
    free_or_mine = (table.c.owner == owner) | (table.c.expires_at <= now)
    mine_now = {"owner": owner, "expires_at": until}
    take = update(table).where(table.c.name == name, free_or_mine).values(mine_now)
    if rows_changed(session, take):
        return True
    return insert_or_ignore(session, table, {"name": name, **mine_now})


def release(session: Session, table: Table, name: str, owner: str) -> bool:
    """Give it back early; False where it is not (or no longer) the owner's."""
    mine = delete(table).where(table.c.name == name, table.c.owner == owner)
    return rows_changed(session, mine) > 0
