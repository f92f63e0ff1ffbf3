"""Which tables does every service have?

A service takes them into its own MetaData and creates them in its own migrations:

    metadata = MetaData()
    api_keys = api_keys_table(metadata)
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from core.db.types import UtcDateTime

# SQLite counts up by itself only in a column declared INTEGER.
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")


def api_keys_table(metadata: MetaData) -> Table:
    """Who may call: the hash of each key's secret, never the secret. Revoked keys stay listed."""
    return Table(
        "api_keys",
        metadata,
        Column("key_id", String(16), primary_key=True),
        Column("name", String(200), nullable=False),
        Column("secret_hash", String(64), nullable=False),
        # Scopes hold no blanks, so a blank parts them.
        Column("scopes", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("revoked_at", UtcDateTime),
    )


def leases_table(metadata: MetaData) -> Table:
    """Who does a thing that only one may do, and until when."""
    return Table(
        "leases",
        metadata,
        Column("name", String(200), primary_key=True),
        Column("owner", String(200), nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
    )


def outbox_table(metadata: MetaData) -> Table:
    """What must reach the outside, and how far it has come."""
    return Table(
        "outbox",
        metadata,
        Column("id", _SERIAL, primary_key=True, autoincrement=True),
        Column("idempotency_key", String(200), nullable=False, unique=True),
        Column("kind", String(100), nullable=False),
        Column("payload", JSON, nullable=False),
        # pending, sent or dead
        Column("state", String(10), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("max_attempts", Integer, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("due_at", UtcDateTime, nullable=False),
        Column("sent_at", UtcDateTime),
        Column("last_error", String(500)),
        Index("ix_outbox_state_due_at", "state", "due_at"),
    )
