"""Answers that depend on channel and slots; slots with synonyms and with longer patterns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("intents", sa.Column("cases", sa.JSON, nullable=False, server_default="[]"))
    with op.batch_alter_table("slots") as slots:
        slots.add_column(sa.Column("synonyms", sa.JSON, nullable=False, server_default="{}"))
        slots.alter_column("pattern", type_=sa.String(4000), existing_type=sa.String(500))


def downgrade() -> None:
    with op.batch_alter_table("slots") as slots:
        slots.alter_column("pattern", type_=sa.String(500), existing_type=sa.String(4000))
        slots.drop_column("synonyms")
    op.drop_column("intents", "cases")
