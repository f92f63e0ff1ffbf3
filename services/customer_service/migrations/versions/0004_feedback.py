"""What the interfaces need: feedback, the secret of session tokens, messages to help desks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("conversation_id", sa.String(200), nullable=False),
        sa.Column("message_id", sa.String(200), nullable=False),
        sa.Column("rating", sa.String(4), nullable=False),
        sa.Column("comment", sa.Text),
        sa.Column("correct_intent", sa.String(100)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint(
            "conversation_id", "message_id", name="uq_feedback_conversation_message"
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id", "message_id"],
            ["turns.conversation_id", "turns.message_id"],
            name="fk_feedback_turns",
            ondelete="CASCADE",
        ),
    )
    _outbox()


def downgrade() -> None:
    for table in ("outbox", "feedback", "secrets"):
        op.drop_table(table)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("idempotency_key", sa.String(200), nullable=False, unique=True),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("last_error", sa.String(500)),
    )
    op.create_index("ix_outbox_state_due_at", "outbox", ["state", "due_at"])
