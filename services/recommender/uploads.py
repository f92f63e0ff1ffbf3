"""How is a large batch of items taken at once and worked off later, each row once?

The rows are stored as they came, in chunks, before the answer is sent. The worker checks a chunk,
has its texts encoded, and stores items and progress in the transaction that takes the chunk away:
one that dies in between leaves the chunk to the next. What was said of an item after the batch was
accepted (another request, a deletion) is not overwritten by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.data.records import Item
from core.db.statements import rows_changed
from core.errors import Overloaded
from services.recommender.model import Embedding
from services.recommender.store import locked, upsert_items
from services.recommender.tables import items, upload_chunks, uploads

# Rows of one transaction.
CHUNK_ROWS = 100
# Failed rows that are told one by one, and for how long: seconds.
MOST_ERRORS = 1_000
KEPT_SECONDS = 7 * 86_400.0
_RETRY_SECONDS = 30.0


@dataclass(frozen=True)
class FailedRow:
    """A row that could not be taken. `line` is its place in the batch, from 1."""

    line: int
    item_id: str | None
    reason: str


@dataclass(frozen=True)
class Upload:
    """How far a batch is. Times in Unix seconds; `errors` are the first MOST_ERRORS of `failed`."""

    upload_id: str
    accepted_at: float
    total: int
    done: int = 0
    failed: int = 0
    errors: tuple[FailedRow, ...] = ()
    finished_at: float | None = None

    @property
    def state(self) -> Literal["waiting", "working", "done"]:
        """Whether the worker has begun, and ended."""
        if self.finished_at is not None:
            return "done"
        return "working" if self.done else "waiting"


@dataclass(frozen=True)
class Chunk:
    """Some rows of an upload as they came; the first stands at `first_line` of the batch."""

    upload_id: str
    accepted_at: float
    first_line: int
    rows: Sequence[Any]


class UploadStore:
    """`sessions` write, `readers` are read-only and wait for nobody."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def accept(self, rows: Sequence[Any], now: float, *, most_waiting: int) -> Upload:
        """Store the rows for the worker; committed when this returns. Overloaded while
        `most_waiting` batches wait already."""
        upload = Upload(uuid4().hex, now, len(rows))
        chunks = list(_chunks(upload.upload_id, rows))
        unfinished = select(func.count()).where(uploads.c.finished_at.is_(None))
        old = (uploads.c.finished_at < now - KEPT_SECONDS).is_(True)
        with self._sessions.begin() as session:
            if session.execute(unfinished).scalar_one() >= most_waiting:
                raise Overloaded(
                    f"{most_waiting} batches of items wait for the worker",
                    retry_after=_RETRY_SECONDS,
                    mend="Start `trefoil recommender worker`, or come back later.",
                )
            session.execute(delete(uploads).where(old))
            session.execute(insert(uploads), [{**asdict(upload), "errors": []}])
            session.execute(insert(upload_chunks), chunks)
        return upload

    def find(self, upload_id: str) -> Upload | None:
        """How far a batch is, None where there is none of this name (any more)."""
        query = select(uploads).where(uploads.c.upload_id == upload_id)
        with self._readers() as session:
            row = session.execute(query).mappings().one_or_none()
        if row is None:
            return None
        errors = tuple(FailedRow(**error) for error in row["errors"])
        return Upload(**{**row, "errors": errors})

    def next_chunk(self) -> Chunk | None:
        """The chunk whose turn it is: batches go in the order in which they were accepted."""
        query = (
            select(upload_chunks, uploads.c.accepted_at)
            .join(uploads)
            .order_by(uploads.c.accepted_at, uploads.c.upload_id, upload_chunks.c.first_line)
            .limit(1)
        )
        with self._readers() as session:
            row = session.execute(query).mappings().one_or_none()
        return None if row is None else Chunk(**{**row, "rows": json.loads(row["rows"])})

    def finish(
        self,
        chunk: Chunk,
        batch: Sequence[Item],
        failed: Sequence[FailedRow],
        now: float,
        encoder_id: str | None = None,
        embeddings: Mapping[str, Embedding] | None = None,
    ) -> bool:
        """Store the items of a chunk, and that it is done; False where somebody else did it."""
        # Of several rows about one item the last one counts.
        latest = {item.item_id: item for item in batch}
        with self._sessions.begin() as session:
            locked(session, "items")
            if not rows_changed(session, delete(upload_chunks).where(_is(chunk))):
                return False
            for item_id in _newer(session, list(latest), chunk.accepted_at):
                del latest[item_id]
            # As of when it was accepted, so that a later batch may replace it.
            as_of = chunk.accepted_at
            upsert_items(session, list(latest.values()), as_of, encoder_id, embeddings or {})
            _advance(session, chunk, failed, now)
            return True


def _chunks(upload_id: str, rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(rows), CHUNK_ROWS):
        content = json.dumps(rows[start : start + CHUNK_ROWS], ensure_ascii=False)
        yield {"upload_id": upload_id, "first_line": start + 1, "rows": content}


def _is(chunk: Chunk) -> ColumnElement[bool]:
    c = upload_chunks.c
    return (c.upload_id == chunk.upload_id) & (c.first_line == chunk.first_line)


def _newer(session: Session, ids: Sequence[str], accepted_at: float) -> Sequence[str]:
    """Those of the items that changed or went after a batch was accepted."""
    query = select(items.c.item_id).where(
        items.c.item_id.in_(ids), items.c.updated_at > accepted_at
    )
    return session.execute(query).scalars().all()


def _advance(session: Session, chunk: Chunk, failed: Sequence[FailedRow], now: float) -> None:
    mine = uploads.c.upload_id == chunk.upload_id
    errors = session.execute(select(uploads.c.errors).where(mine)).scalar_one()
    left = exists().where(upload_chunks.c.upload_id == chunk.upload_id)
    values: dict[str, Any] = {
        "done": uploads.c.done + len(chunk.rows),
        "failed": uploads.c.failed + len(failed),
        "errors": [*errors, *map(asdict, failed)][:MOST_ERRORS],
    }
    if not session.execute(select(left)).scalar_one():
        values["finished_at"] = now
    session.execute(update(uploads).where(mine).values(values))
