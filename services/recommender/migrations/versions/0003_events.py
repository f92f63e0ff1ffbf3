"""What events tell beside what happened: text, place, answer they belong to; merged users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = (
    ("recommendation_id", sa.String(200)),
    ("position", sa.Integer),
    ("scenario", sa.String(100)),
    ("text", sa.Text),
    ("text_digest", sa.String(32)),
    ("quantity", sa.Double),
    ("currency", sa.String(10)),
    ("order_id", sa.String(200)),
)
# index → (column, which rows it holds)
_INDICES = {
    "ix_events_recommendation_id": ("recommendation_id", "recommendation_id IS NOT NULL"),
    "ix_events_text_digest": ("text_digest", "text_digest IS NOT NULL"),
    "ix_events_order_id": ("order_id", "order_id IS NOT NULL"),
    "ix_events_orders": ("occurred_at", "kind IN ('purchase', 'refund')"),
}


def upgrade() -> None:
    sequences = sa.table(
        "sequences", sa.column("name", sa.String), sa.column("value", sa.BigInteger)
    )
    op.bulk_insert(sequences, [{"name": "erased", "value": 0}])
    for name, kind in _COLUMNS:
        op.add_column("events", sa.Column(name, kind))
    for name, (column, rows) in _INDICES.items():
        chosen = sa.text(rows)
        op.create_index(name, "events", [column], sqlite_where=chosen, postgresql_where=chosen)
    _create_people()
    _create_answers()


def downgrade() -> None:
    for table in ("secrets", "answers", "erasures", "merges"):
        op.drop_table(table)
    for name in _INDICES:
        op.drop_index(name, "events")
    for name, _ in _COLUMNS:
        op.drop_column("events", name)
    op.execute("DELETE FROM sequences WHERE name = 'erased'")


def _create_people() -> None:
    op.create_table(
        "merges",
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("from_id", sa.String(200), primary_key=True),
        sa.Column("user_id", sa.String(200), nullable=False),
        sa.Column("merged_at", sa.Double, nullable=False),
    )
    op.create_index("ix_merges_user_id", "merges", ["user_id"])
    op.create_table(
        "erasures",
        sa.Column("erasure_id", sa.String(32), primary_key=True),
        sa.Column("erased_at", sa.Double, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )


def _create_answers() -> None:
    op.create_table(
        "answers",
        sa.Column("recommendation_id", sa.String(32), primary_key=True),
        sa.Column("model_version", sa.String(200), nullable=False),
        sa.Column("scenario", sa.String(100), nullable=False),
        sa.Column("answered_at", sa.Double, nullable=False),
        sa.Column("item_ids", sa.JSON, nullable=False),
        sa.Column("shown", sa.Integer, nullable=False),
    )
    op.create_index("ix_answers_answered_at", "answers", ["answered_at"])
