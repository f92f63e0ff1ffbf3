"""What people say of alerts, why each was raised, silences, and where every watch stands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OF_ALERTS = (
    "onset_at",
    "acknowledged_at",
    "acknowledged_by",
    "false_alarm",
    "marked_at",
    "is_test",
    "explanation",
)


def upgrade() -> None:
    for column in (
        sa.Column("onset_at", UtcDateTime),
        sa.Column("acknowledged_at", UtcDateTime),
        sa.Column("acknowledged_by", sa.String(200)),
        sa.Column("false_alarm", sa.Boolean),
        sa.Column("marked_at", UtcDateTime),
        sa.Column("is_test", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("explanation", sa.JSON),
    ):
        op.add_column("alerts", column)
    op.create_table(
        "silences",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("matchers", sa.JSON, nullable=False),
        sa.Column("starts_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("comment", sa.String(1000), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
    op.create_table(
        "watch_states",
        sa.Column("topic", sa.String(100), primary_key=True),
        sa.Column("phase", sa.String(10), nullable=False),
        sa.Column("news", sa.String(10), nullable=False),
        sa.Column("nearness", sa.Float, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "watch_hours",
        sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("news", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
    )
    # They hold one detector only, and nothing of the hour of the week: learned anew.
    op.execute("DELETE FROM baselines")


def downgrade() -> None:
    for table in ("watch_hours", "watch_states", "silences"):
        op.drop_table(table)
    for column in reversed(_OF_ALERTS):
        op.drop_column("alerts", column)
    op.execute("DELETE FROM baselines")
