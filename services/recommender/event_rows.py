"""Whose is an event, and what does it count as? What every reader and writer of the table asks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    Text,
    Update,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from services.recommender.store import advance
from services.recommender.tables import events, items, merges, sequences

# One row's values in the order of the columns, as SQLite's driver takes them.
_INSERT = str(insert(events).compile(dialect=sqlite.dialect(paramstyle="qmark")))


def counted_kind() -> ColumnElement[str]:
    """The kind that an event counts as for its item. Nobody knows whether a comment in words, with
    no stars beside them, praises the item or warns of it: for the item it is a look at it."""
    unclear = (events.c.kind == "comment") & events.c.value.is_(None)
    return case((unclear & events.c.text_digest.is_not(None), "view"), else_=events.c.kind).label(
        "kind"
    )


def owners(
    session: Session, session_ids: Iterable[str], user_ids: Iterable[str]
) -> dict[tuple[str, str], str]:
    """(kind, id) → the user that this session or user was merged into; nothing for the others."""
    found: dict[tuple[str, str], str] = {}
    for kind, ids in (("session", session_ids), ("user", user_ids)):
        wanted = sorted(set(ids))
        if not wanted:
            continue
        query = select(merges.c.from_id, merges.c.user_id).where(
            merges.c.kind == kind, among(session, merges.c.from_id, wanted)
        )
        for row in session.execute(query):
            found[kind, row.from_id] = row.user_id
    return found


@dataclass(frozen=True)
class Known:
    """What the database has of a batch: event ids, items of the shop, and owners as `owners`."""

    events: set[str]
    items: set[str]
    owners: dict[tuple[str, str], str]


def known(
    session: Session,
    event_ids: Iterable[str],
    item_ids: Iterable[str],
    session_ids: Iterable[str],
    user_ids: Iterable[str],
) -> Known:
    """All that must be looked up to store a batch, in one statement: on a busy machine each one
    costs more in waiting than in work."""
    found = Known(set(), set(), {})
    values = {"event": event_ids, "item": item_ids, "session": session_ids, "user": user_ids}
    told = {kind: json.dumps(sorted(set(ids))) for kind, ids in values.items()}
    for kind, name, owner in session.execute(_known(_dialect(session)), told):
        if kind == "event":
            found.events.add(name)
        elif kind == "item":
            found.items.add(name)
        else:
            found.owners[kind, name] = owner
    return found


def insert_events(session: Session, rows: Sequence[Mapping[str, object]], last: int) -> None:
    """Insert rows with a value for every column, and make `last` the last number of events.
    PostgreSQL gets both in one message, the rows as JSON: a message a row takes several times as
    long."""
    if _dialect(session) != "postgresql":
        # All columns are of kinds that the driver knows: SQLAlchemy need not look at each value.
        values = [tuple(row[column.name] for column in events.columns) for row in rows]
        session.connection().exec_driver_sql(_INSERT, values)
        advance(session, "events", last)
        return
    # What is left out of an object is NULL.
    told = [{name: value for name, value in row.items() if value is not None} for row in rows]
    session.execute(_insert_json(), {"rows": json.dumps(told), "last": last})


def among(
    session: Session, column: ColumnElement[str], values: Sequence[str]
) -> ColumnElement[bool]:
    """Whether the column has one of many values, sent as one. With a parameter each, the statement
    is written anew for every batch, which takes longer than the database's work."""
    return _among(_dialect(session), column, literal(json.dumps(values), Text))


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name


def _among(
    dialect: str, column: ColumnElement[str], told: ColumnElement[str]
) -> ColumnElement[bool]:
    if dialect == "postgresql":
        each = func.json_array_elements_text(cast(told, JSON)).table_valued("value")
    else:
        each = func.json_each(told).table_valued("value")
    return column.in_(select(each.c.value))


@cache
def _known(dialect: str) -> CompoundSelect[str, str, str]:
    def part(
        kind: str, name: ColumnElement[str], owner: ColumnElement[str], *also: ColumnElement[bool]
    ) -> Select[str, str, str]:
        chosen = _among(dialect, name, bindparam(kind, type_=Text))
        return select(literal_column(f"'{kind}'", Text), name, owner).where(chosen, *also)

    nobody = cast(null(), String)
    return union_all(
        part("event", events.c.event_id, nobody),
        part("item", items.c.item_id, nobody, items.c.deleted.is_(False)),
        part("session", merges.c.from_id, merges.c.user_id, merges.c.kind == "session"),
        part("user", merges.c.from_id, merges.c.user_id, merges.c.kind == "user"),
    )


@cache
def _insert_json() -> Update:
    columns = [sql_column(one.name, one.type) for one in events.columns]
    told = cast(bindparam("rows", type_=Text), JSON)
    given = func.json_to_recordset(told).table_valued(*columns).render_derived(with_types=True)
    added = insert(events).from_select([one.name for one in columns], select(given)).cte("added")
    moved = update(sequences).where(sequences.c.name == "events")
    return moved.values(value=bindparam("last", type_=BigInteger)).add_cte(added)
