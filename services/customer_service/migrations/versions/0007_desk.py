"""Who works at the desk, and which conversations wait for a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("state <> 'resolved'")


def upgrade() -> None:
    _people()
    _handoffs()
    _agent_messages()
    op.create_table(
        "canned_answers",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("texts", sa.JSON, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "business_hours",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    tables = ("business_hours", "canned_answers", "agent_messages", "handoffs", "agent_sessions")
    for table in (*tables, "agents"):
        op.drop_table(table)


def _people() -> None:
    op.create_table(
        "agents",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("shown_as", sa.String(100), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("language", sa.String(10), nullable=False),
        sa.Column("password_hash", sa.String(300), nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "agent_sessions",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column(
            "agent",
            sa.String(200),
            sa.ForeignKey("agents.name", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_agent_sessions_agent", "agent_sessions", ["agent"])


def _handoffs() -> None:
    op.create_table(
        "handoffs",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column(
            "conversation_id",
            sa.String(200),
            sa.ForeignKey("conversations.conversation_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("language", sa.String(10), nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("agent", sa.String(200)),
        sa.Column("agent_at", UtcDateTime),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("resolved_at", UtcDateTime),
    )
    op.create_index(
        "uq_handoffs_open",
        "handoffs",
        ["conversation_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("ix_handoffs_conversation_id", "handoffs", ["conversation_id"])
    op.create_index("ix_handoffs_state_id", "handoffs", ["state", "id"])


def _agent_messages() -> None:
    op.create_table(
        "agent_messages",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column(
            "conversation_id",
            sa.String(200),
            sa.ForeignKey("conversations.conversation_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("message_id", sa.String(200), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("shown_as", sa.String(100), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint(
            "conversation_id", "message_id", name="uq_agent_messages_conversation_message"
        ),
    )
    op.create_index(
        "ix_agent_messages_conversation_id_id", "agent_messages", ["conversation_id", "id"]
    )
