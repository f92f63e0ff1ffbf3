"""How are the shop's items and their vectors kept?

Writers of items take their revision numbers from the row `items` of `sequences` and hold that row
until they commit; see tables.py. Events have a store of their own, event_store.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from core.data.records import Item
from core.db.statements import rows_changed
from services.recommender.domain import item_text, text_digest
from services.recommender.model import Embedding
from services.recommender.tables import item_vectors, items, sequences

# Values in one statement; SQLite takes some 32,000, PostgreSQL 65,000.
CHUNK = 500
# What the shop says of an item: the columns that make two versions of it differ.
_CONTENT = (
    "title",
    "description",
    "tags",
    "category",
    "brand",
    "price",
    "currency",
    "availability",
    "created_at",
    "item_group_id",
    "image",
)


@dataclass(frozen=True)
class Upserted:
    """What became of a batch of items."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def plus(self, other: Upserted) -> Upserted:
        """Both together."""
        return Upserted(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
        )


@dataclass(frozen=True)
class StoredItem:
    """An item as it stands in the database. `arrived_at` in Unix seconds; `embedding` is None
    where the encoder asked about has not seen the text."""

    item: Item
    text: str
    text_digest: str
    arrived_at: float
    deleted: bool
    revision: int
    embedding: Embedding | None = None


class ItemStore:
    """`sessions` write, `readers` are read-only and wait for nobody."""

    def __init__(self, sessions: sessionmaker[Session], readers: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._readers = readers

    def upsert(
        self,
        batch: Sequence[Item],
        now: float,
        encoder_id: str | None = None,
        embeddings: Mapping[str, Embedding] | None = None,
    ) -> Upserted:
        """Store the items and, by digest of the text, what `encoder_id` says of new texts. An item
        that is there already is replaced; one that says nothing new keeps its revision."""
        with self._sessions.begin() as session:
            return upsert_items(session, batch, now, encoder_id, embeddings or {})

    def replace(
        self,
        item: Item,
        revision: int,
        now: float,
        encoder_id: str | None = None,
        embeddings: Mapping[str, Embedding] | None = None,
    ) -> bool:
        """Store the item if what is kept of it still is of this revision; False where it is not,
        or is gone."""
        query = select(items.c.revision).where(
            items.c.item_id == item.item_id, items.c.deleted.is_(False)
        )
        with self._sessions.begin() as session:
            locked(session, "items")
            if session.execute(query).scalar_one_or_none() != revision:
                return False
            upsert_items(session, [item], now, encoder_id, embeddings or {})
            return True

    def delete(self, item_id: str, now: float) -> bool:
        """Take the item out of the shop; False where it is not there. Its events stay."""
        with self._sessions.begin() as session:
            revision = locked(session, "items") + 1
            gone = rows_changed(
                session,
                update(items)
                .where(items.c.item_id == item_id, items.c.deleted.is_(False))
                .values(deleted=True, revision=revision, updated_at=now),
            )
            if gone:
                advance(session, "items", revision)
            return bool(gone)

    def find(self, item_id: str) -> StoredItem | None:
        """The item, None where it is not in the shop."""
        query = select(items).where(items.c.item_id == item_id, items.c.deleted.is_(False))
        with self._readers() as session:
            row = session.execute(query).one_or_none()
        return None if row is None else stored_item(row)

    def page(self, limit: int, after: str = "") -> list[StoredItem]:
        """At most `limit` items of the shop in the order of their ids, those behind `after`."""
        query = (
            select(items)
            .where(items.c.item_id > after, items.c.deleted.is_(False))
            .order_by(items.c.item_id)
            .limit(limit)
        )
        with self._readers() as session:
            return [stored_item(row) for row in session.execute(query)]

    def count(self) -> int:
        """Items in the shop, hidden ones too."""
        query = select(func.count()).select_from(items).where(items.c.deleted.is_(False))
        with self._readers() as session:
            return int(session.execute(query).scalar_one())

    def encoded(self, encoder_id: str, digests: Iterable[str]) -> set[str]:
        """Those of the digests for which there is a vector of this encoder."""
        wanted = list(dict.fromkeys(digests))
        found: set[str] = set()
        with self._readers() as session:
            for start in range(0, len(wanted), CHUNK):
                query = select(item_vectors.c.text_digest).where(
                    item_vectors.c.encoder_id == encoder_id,
                    item_vectors.c.text_digest.in_(wanted[start : start + CHUNK]),
                )
                found.update(session.execute(query).scalars())
        return found

    def without_vector(self, encoder_id: str, limit: int) -> dict[str, str]:
        """Digest → text of items that this encoder has not seen, the newest first."""
        vector = (item_vectors.c.text_digest == items.c.text_digest) & (
            item_vectors.c.encoder_id == encoder_id
        )
        query = (
            select(items.c.text_digest, items.c.text)
            .outerjoin(item_vectors, vector)
            .where(items.c.deleted.is_(False), item_vectors.c.text_digest.is_(None))
            .order_by(items.c.revision.desc())
            .limit(limit)
        )
        with self._readers() as session:
            return {row.text_digest: row.text for row in session.execute(query)}

    def put_vectors(self, encoder_id: str, embeddings: Mapping[str, Embedding]) -> None:
        """Store vectors by digest, and give the items that have these texts a new revision, so
        that every process takes them in."""
        with self._sessions.begin() as session:
            revision = locked(session, "items") + 1
            _put_vectors(session, encoder_id, embeddings)
            digests = list(embeddings)
            for start in range(0, len(digests), CHUNK):
                chosen = items.c.text_digest.in_(digests[start : start + CHUNK])
                session.execute(update(items).where(chosen).values(revision=revision))
            advance(session, "items", revision)


def locked(session: Session, name: str) -> int:
    """The last number of a sequence; nobody else takes one until this transaction ends. (SQLite
    has one writer anyway, so the words FOR UPDATE are left out there.)"""
    query = select(sequences.c.value).where(sequences.c.name == name).with_for_update()
    return int(session.execute(query).scalar_one())


def advance(session: Session, name: str, value: int) -> None:
    """Make `value` the last number of a sequence."""
    session.execute(update(sequences).where(sequences.c.name == name).values(value=value))


def items_after(
    session: Session, revision: int, encoder_id: str, batch: int = 2_000
) -> Iterator[list[StoredItem]]:
    """Items that changed after `revision`, deleted ones too, with their vectors, in batches."""
    vector = (item_vectors.c.text_digest == items.c.text_digest) & (
        item_vectors.c.encoder_id == encoder_id
    )
    query = (
        select(items, item_vectors.c.unknown_share, item_vectors.c.embedding)
        .outerjoin(item_vectors, vector)
        .where(items.c.revision > revision)
        .order_by(items.c.revision)
        .execution_options(yield_per=batch)
    )
    for rows in session.execute(query).partitions():
        yield [stored_item(row, _embedding(row)) for row in rows]


def stored_item(row: Row[Any], embedding: Embedding | None = None) -> StoredItem:
    """What a row of `items` says."""
    return StoredItem(
        item=Item(
            item_id=row.item_id,
            title=row.title,
            description=row.description,
            tags=tuple(row.tags),
            category=row.category,
            brand=row.brand,
            price=row.price,
            currency=row.currency,
            availability=row.availability,
            created_at=row.created_at,
            item_group_id=row.item_group_id,
            image=row.image,
            attributes=row.attributes,
            hidden=row.hidden,
        ),
        text=row.text,
        text_digest=row.text_digest,
        arrived_at=row.first_seen_at,
        deleted=bool(row.deleted),
        revision=int(row.revision),
        embedding=embedding,
    )


def _embedding(row: Row[Any]) -> Embedding | None:
    if row.embedding is None:
        return None
    return Embedding(np.frombuffer(row.embedding, dtype="<f2"), float(row.unknown_share))


def upsert_items(
    session: Session,
    batch: Sequence[Item],
    now: float,
    encoder_id: str | None,
    embeddings: Mapping[str, Embedding],
) -> Upserted:
    """`ItemStore.upsert` within a transaction of the caller's."""
    done = Upserted()
    revision = locked(session, "items")
    for start in range(0, len(batch), CHUNK):
        chunk = batch[start : start + CHUNK]
        part, revision = _upsert(session, chunk, revision, now, embeddings)
        done = done.plus(part)
    advance(session, "items", revision)
    if encoder_id and embeddings:
        _put_vectors(session, encoder_id, embeddings)
    return done


def _upsert(
    session: Session,
    batch: Sequence[Item],
    revision: int,
    now: float,
    embeddings: Mapping[str, Embedding],
) -> tuple[Upserted, int]:
    ids = [item.item_id for item in batch]
    found = {
        row.item_id: row for row in session.execute(select(items).where(items.c.item_id.in_(ids)))
    }
    created, updated = [], []
    unchanged = 0
    for item in batch:
        old = found.get(item.item_id)
        content, text = _content(item, old), item_text(item)
        digest = text_digest(text)
        if old is not None and not old.deleted and _same(old, content):
            unchanged += 1
            # A vector that was missing until now is news all the same.
            if digest not in embeddings:
                continue
        revision += 1
        values = content | {
            "text": text,
            "text_digest": digest,
            "updated_at": now,
            "deleted": False,
            "revision": revision,
        }
        if old is None:
            created.append(values | {"item_id": item.item_id, "first_seen_at": now})
        else:
            updated.append(values | {"of_item": item.item_id})
    if created:
        session.execute(insert(items), created)
    if updated:
        # On the connection: the session would take a list for rows of mapped classes.
        statement = update(items).where(items.c.item_id == bindparam("of_item"))
        session.connection().execute(statement, updated)
    changed = len(batch) - len(created) - unchanged
    return Upserted(len(created), changed, unchanged), revision


def _content(item: Item, old: Row[Any] | None) -> dict[str, Any]:
    hidden = item.hidden
    if hidden is None:
        hidden = old is not None and not old.deleted and old.hidden
    return {name: getattr(item, name) for name in _CONTENT} | {
        "tags": list(item.tags),
        "attributes": dict(item.attributes),
        "hidden": hidden,
    }


def _same(row: Row[Any], content: Mapping[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in content.items())


def _put_vectors(session: Session, encoder_id: str, embeddings: Mapping[str, Embedding]) -> None:
    digests = list(embeddings)
    for start in range(0, len(digests), CHUNK):
        wanted = digests[start : start + CHUNK]
        query = select(item_vectors.c.text_digest).where(
            item_vectors.c.encoder_id == encoder_id, item_vectors.c.text_digest.in_(wanted)
        )
        there = set(session.execute(query).scalars())
        new = [
            {
                "encoder_id": encoder_id,
                "text_digest": digest,
                "unknown_share": embeddings[digest].unknown_share,
                "embedding": embeddings[digest].values.astype("<f2").tobytes(),
            }
            for digest in wanted
            if digest not in there
        ]
        if new:
            session.execute(insert(item_vectors), new)
