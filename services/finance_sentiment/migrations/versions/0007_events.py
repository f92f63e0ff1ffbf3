"""What changed in which order, for /v1/events; and how the workers' ticks are doing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("subject_id", _SERIAL, nullable=False),
        sa.Column("change", sa.String(12), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_table(
        "worker_ticks",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("succeeded_at", UtcDateTime),
        sa.Column("seconds", sa.Float),
        sa.Column("failed_at", UtcDateTime),
        sa.Column("failures", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("worker_ticks")
    op.drop_table("events")
