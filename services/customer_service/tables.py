"""Which tables does the customer service keep?

What a company taught (intents, slots, articles) carries one version number, raised in the same
transaction as any change, so that a process sees with one cheap look whether it is up to date.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db.tables import api_keys_table, leases_table, outbox_table
from core.db.types import UtcDateTime

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData()
api_keys = api_keys_table(metadata)
leases = leases_table(metadata)
# What help desks must hear of: answers and handovers.
outbox = outbox_table(metadata)

# SQLite counts up by itself only in a column declared INTEGER.
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")

# One row.
content_version = Table(
    "content_version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

intents = Table(
    "intents",
    metadata,
    Column("name", String(100), primary_key=True),
    # {language: text} and {language: [texts]}, as in intents.yaml; a quick reply may be
    # {title, payload}
    Column("description", JSON, nullable=False),
    Column("answers", JSON, nullable=False),
    Column("without_slots", JSON, nullable=False),
    Column("quick_replies", JSON, nullable=False),
    Column("handoff", Boolean, nullable=False),
    # [{when: {channel, slots}, answers, …}]
    Column("cases", JSON, nullable=False, server_default="[]"),
    Column("updated_at", UtcDateTime, nullable=False),
)

slots = Table(
    "slots",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("pattern", String(4000), nullable=False),
    Column("ask", JSON, nullable=False),
    # {what is found: the value it stands for}
    Column("synonyms", JSON, nullable=False, server_default="{}"),
    Column("updated_at", UtcDateTime, nullable=False),
)

articles = Table(
    "articles",
    metadata,
    Column("article_id", String(200), primary_key=True),
    Column("title", String(500), nullable=False),
    Column("url", String(2000), nullable=False),
    Column("language", String(10), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("body", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# What an encoder said of a text, so that no process has to ask it again.
vectors = Table(
    "vectors",
    metadata,
    Column("encoder_id", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    # float16, little-endian
    Column("vector", LargeBinary, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("conversation_id", String(200), primary_key=True),
    Column("channel", String(50), nullable=False),
    Column("locale", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The oldest are looked through for those to delete.
    Index("ix_conversations_created_at", "created_at"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column(
        "conversation_id",
        String(200),
        ForeignKey("conversations.conversation_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("message_id", String(200), nullable=False),
    # The customer's own words.
    Column("message", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("action", String(20), nullable=False),
    Column("intent", String(100)),
    Column("locale", String(10), nullable=False),
    # The whole answer as it was sent: a repeated message gets it again.
    Column("reply", JSON, nullable=False),
    # Slots that the answer had a place for: a bare value sent next belongs to them.
    Column("needed_slots", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("conversation_id", "message_id", name="uq_turns_conversation_message"),
    Index("ix_turns_conversation_id_id", "conversation_id", "id"),
)

# What somebody thought of an answer. It goes with its turn.
feedback = Table(
    "feedback",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("conversation_id", String(200), nullable=False),
    Column("message_id", String(200), nullable=False),
    # up or down
    Column("rating", String(4), nullable=False),
    Column("comment", Text),
    Column("correct_intent", String(100)),
    # "quarantine" until somebody has looked at it
    Column("state", String(20), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("conversation_id", "message_id", name="uq_feedback_conversation_message"),
    ForeignKeyConstraint(
        ["conversation_id", "message_id"],
        ["turns.conversation_id", "turns.message_id"],
        name="fk_feedback_turns",
        ondelete="CASCADE",
    ),
)

# What all processes must know and nobody else, such as the key that signs session tokens.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("value", String(200), nullable=False),
)
