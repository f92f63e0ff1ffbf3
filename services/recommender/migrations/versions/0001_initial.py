"""The first tables: keys, leases, items with their vectors, events, popularity."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_access()
    _create_items()
    _create_events()


def downgrade() -> None:
    for table in (
        "item_counters",
        "events",
        "item_vectors",
        "items",
        "sequences",
        "leases",
        "api_keys",
    ):
        op.drop_table(table)


def _create_access() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )


def _create_items() -> None:
    sequences = op.create_table(
        "sequences",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    names = ("items", "events", "folded")
    op.bulk_insert(sequences, [{"name": name, "value": 0} for name in names])
    op.create_table(
        "items",
        sa.Column("item_id", sa.String(200), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("category", sa.String(500), nullable=False),
        sa.Column("brand", sa.String(500), nullable=False),
        sa.Column("price", sa.Double),
        sa.Column("currency", sa.String(10), nullable=False),
        sa.Column("availability", sa.String(20), nullable=False),
        sa.Column("created_at", sa.Double),
        sa.Column("item_group_id", sa.String(200), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("text_digest", sa.String(32), nullable=False),
        sa.Column("first_seen_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_items_revision", "items", ["revision"])
    op.create_index("ix_items_text_digest", "items", ["text_digest"])
    op.create_table(
        "item_vectors",
        sa.Column("encoder_id", sa.String(64), primary_key=True),
        sa.Column("text_digest", sa.String(32), primary_key=True),
        sa.Column("unknown_share", sa.Double, nullable=False),
        sa.Column("embedding", sa.LargeBinary, nullable=False),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.String(200), nullable=False, unique=True),
        sa.Column("user_id", sa.String(200)),
        sa.Column("session_id", sa.String(200)),
        sa.Column("item_id", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("occurred_at", sa.Double, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
    )
    op.create_index("ix_events_user_id_occurred_at", "events", ["user_id", "occurred_at"])
    op.create_index("ix_events_session_id_occurred_at", "events", ["session_id", "occurred_at"])
    op.create_table(
        "item_counters",
        sa.Column("item_id", sa.String(200), primary_key=True),
        sa.Column("positives", sa.Double, nullable=False),
        sa.Column("recent_log2", sa.Double, nullable=False),
        sa.Column("first_at", sa.Double, nullable=False),
    )
