"""Which tables does the recommender keep? The migrations make them; see migrations/versions.

`sequences` orders the changes: a writer takes its numbers while it holds the row until it commits,
so numbers become visible in their own order, and a reader who has seen number n misses nothing
below it. Each web process follows items by `revision` and events by `seq`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from core.db.tables import api_keys_table, leases_table

ID_CHARS = 200

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData()
api_keys = api_keys_table(metadata)
leases = leases_table(metadata)

# items: the last revision · events: the last seq · folded: the last seq that item_counters hold
sequences = Table(
    "sequences",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("item_id", String(ID_CHARS), primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("category", String(500), nullable=False),
    Column("brand", String(500), nullable=False),
    Column("price", Double),
    Column("currency", String(10), nullable=False),
    Column("availability", String(20), nullable=False),
    # Times in this schema are Unix seconds, as in core.data.records.
    Column("created_at", Double),
    Column("item_group_id", String(ID_CHARS), nullable=False),
    # What the encoder reads, and its digest: the key of its vector.
    Column("text", Text, nullable=False),
    Column("text_digest", String(32), nullable=False),
    Column("first_seen_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    # A deleted item stays as a row, so that every process learns of it.
    Column("deleted", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("ix_items_revision", "revision"),
    Index("ix_items_text_digest", "text_digest"),
)

# The embedding of a text by an encoder; half precision, little-endian.
item_vectors = Table(
    "item_vectors",
    metadata,
    Column("encoder_id", String(64), primary_key=True),
    Column("text_digest", String(32), primary_key=True),
    Column("unknown_share", Double, nullable=False),
    Column("embedding", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", String(ID_CHARS), nullable=False, unique=True),
    Column("user_id", String(ID_CHARS)),
    Column("session_id", String(ID_CHARS)),
    # No foreign key: an event may be here before its item.
    Column("item_id", String(ID_CHARS), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("value", Double),
    Column("occurred_at", Double, nullable=False),
    Column("received_at", Double, nullable=False),
    Index("ix_events_user_id_occurred_at", "user_id", "occurred_at"),
    Index("ix_events_session_id_occurred_at", "session_id", "occurred_at"),
)

# Popularity of every item that has events, known to the shop or not, up to sequences.folded.
item_counters = Table(
    "item_counters",
    metadata,
    Column("item_id", String(ID_CHARS), primary_key=True),
    Column("positives", Double, nullable=False),
    # These three: see popularity.py. recent_log2 is -infinity without a positive event.
    Column("recent_log2", Double, nullable=False),
    Column("first_at", Double, nullable=False),
)
