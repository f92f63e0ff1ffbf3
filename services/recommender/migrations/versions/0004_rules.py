"""Business rules in versions; what was bought together; events of a window of time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SEQUENCES = ("rules", "together")


def upgrade() -> None:
    sequences = sa.table(
        "sequences", sa.column("name", sa.String), sa.column("value", sa.BigInteger)
    )
    op.bulk_insert(sequences, [{"name": name, "value": 0} for name in _SEQUENCES])
    op.create_index("ix_events_occurred_at", "events", ["occurred_at"])
    op.create_table(
        "rule_versions",
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("restored", sa.BigInteger),
    )
    op.create_table(
        "basket_counts",
        sa.Column("item_id", sa.String(200), primary_key=True),
        sa.Column("baskets", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bought_together",
        sa.Column("item_id", sa.String(200), primary_key=True),
        sa.Column("other_id", sa.String(200), primary_key=True),
        sa.Column("baskets", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("bought_together", "basket_counts", "rule_versions"):
        op.drop_table(table)
    op.drop_index("ix_events_occurred_at", "events")
    sequences = sa.table("sequences", sa.column("name", sa.String))
    op.execute(sequences.delete().where(sequences.c.name.in_(_SEQUENCES)))
