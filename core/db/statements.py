"""Which statements differ between the two databases, or are awkward to spell?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult, Delete, Table, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_or_ignore(session: Session, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert one row unless it breaks a unique rule; True where it was inserted."""
    statement: sqlite.Insert | postgresql.Insert
    if session.get_bind().dialect.name == "sqlite":
        statement = sqlite.insert(table)
    else:
        statement = postgresql.insert(table)
    # The row that comes back tells; a driver need not count the rows of an INSERT.
    key = list(table.primary_key.columns)
    ignoring = statement.values(dict(values)).on_conflict_do_nothing().returning(*key)
    return session.execute(ignoring).first() is not None


def rows_changed(session: Session, statement: Update | Delete) -> int:
    """Run it and say how many rows it touched."""
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
