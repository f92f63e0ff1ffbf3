"""What became of each training, and what is asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0005"
down_revision = "0004"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "trainings",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("cause", sa.String(10), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("preset", sa.String(20), nullable=False),
        sa.Column("against", sa.String(40)),
        sa.Column("version", sa.String(40)),
        sa.Column("positives", sa.BigInteger, nullable=False),
        sa.Column("trained_until", sa.Double),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("rung", sa.String(40), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("folder", sa.String(200), nullable=False),
    )
    op.create_index("ix_trainings_version", "trainings", ["version"])


def downgrade() -> None:
    op.drop_table("trainings")
