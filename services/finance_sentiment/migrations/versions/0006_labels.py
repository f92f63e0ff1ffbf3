"""What people say of labels, trainings that learn from it, and stories that are read anew."""

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
    op.create_index(
        "ix_stories_model_version_published_at", "stories", ["model_version", "published_at"]
    )
    op.add_column("baselines", sa.Column("model_version", sa.String(40)))
    op.add_column("baselines", sa.Column("quiet_before", UtcDateTime))
    _corrections()
    op.create_table(
        "retrainings",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("corrections", sa.Integer, nullable=False),
        sa.Column("against", sa.String(40), nullable=False),
        sa.Column("version", sa.String(40)),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("folder", sa.String(200), nullable=False),
    )
    op.create_table(
        "relabellings",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("model_version", sa.String(40), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("relabelled", sa.Integer, nullable=False),
    )


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("story_id", _SERIAL, sa.ForeignKey("stories.id", ondelete="SET NULL")),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("sentiment", sa.String(10)),
        sa.Column("topic", sa.String(100)),
        sa.Column("new_topic", sa.Boolean, nullable=False),
        sa.Column("said_by", sa.String(200), nullable=False),
        sa.Column("note", sa.String(1000), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("decided_at", UtcDateTime),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("was", sa.JSON),
    )
    op.create_index("ix_corrections_created_at_id", "corrections", ["created_at", "id"])
    op.create_index("ix_corrections_story_id", "corrections", ["story_id"])
    op.create_index("ix_corrections_key", "corrections", ["key"])
    op.create_table(
        "corrected_stories",
        sa.Column(
            "story_id",
            _SERIAL,
            sa.ForeignKey("stories.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("corrected_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    for table in ("relabellings", "retrainings", "corrected_stories", "corrections"):
        op.drop_table(table)
    for column in ("quiet_before", "model_version"):
        op.drop_column("baselines", column)
    op.drop_index("ix_stories_model_version_published_at", "stories")
