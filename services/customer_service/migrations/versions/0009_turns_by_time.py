"""What happened in a span of time, without a look at every turn."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_turns_created_at", "turns", ["created_at", "action", "intent", "conversation_id"]
    )


def downgrade() -> None:
    op.drop_index("ix_turns_created_at", table_name="turns")
