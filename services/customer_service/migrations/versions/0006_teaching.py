"""What a team taught between two trainings, and how candidates fared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "examples",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("intent", sa.String(100), nullable=False),
        sa.Column("origin", sa.String(10), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_examples_intent", "examples", ["intent"])
    op.create_table(
        "regression_tests",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("intent", sa.String(100)),
        sa.Column("action", sa.String(20)),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "candidates",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("folder", sa.String(100), nullable=False),
        sa.Column("version", sa.String(12)),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("examples", sa.Integer, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("verdict", sa.JSON, nullable=False),
        sa.Column("replay", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    # Row 1 counts the changes of answers and articles, row 2 those of examples.
    op.execute("INSERT INTO content_version (id, version) VALUES (2, 0)")


def downgrade() -> None:
    op.execute("DELETE FROM content_version WHERE id = 2")
    for table in ("candidates", "regression_tests", "examples"):
        op.drop_table(table)
