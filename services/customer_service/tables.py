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
    text,
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
    # {slots: [{slot, ask, validate, invalid}], confirm} and {name, url, slots, reply, …}
    Column("form", JSON(none_as_null=True)),
    Column("call", JSON(none_as_null=True)),
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
    Column("kind", String(20), nullable=False, server_default="pattern"),
    # What else its kind knows: {values, currency, past}
    Column("options", JSON, nullable=False, server_default="{}"),
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
    # The form that the answer left open (forms.OpenForm).
    Column("form", JSON(none_as_null=True)),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("conversation_id", "message_id", name="uq_turns_conversation_message"),
    Index("ix_turns_conversation_id_id", "conversation_id", "id"),
    # Holds all that the dashboard counts, so that no row is read for it.
    Index("ix_turns_created_at", "created_at", "action", "intent", "conversation_id"),
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

# --- the desk: people who take over (accounts.py, handoff.py) ------------------------------------

agents = Table(
    "agents",
    metadata,
    # What they log in with: a name or an e-mail address, in small letters.
    Column("name", String(200), primary_key=True),
    # What customers see of it.
    Column("shown_as", String(100), nullable=False),
    # agent or admin
    Column("role", String(10), nullable=False),
    Column("language", String(10), nullable=False),
    Column("password_hash", String(300), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

agent_sessions = Table(
    "agent_sessions",
    metadata,
    # SHA-256 of the token in the cookie.
    Column("token_hash", String(64), primary_key=True),
    Column("agent", String(200), ForeignKey("agents.name", ondelete="CASCADE"), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # At the latest; a session without use ends before.
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_agent_sessions_agent", "agent"),
)

_OPEN = text("state <> 'resolved'")

handoffs = Table(
    "handoffs",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column(
        "conversation_id",
        String(200),
        ForeignKey("conversations.conversation_id", ondelete="CASCADE"),
        nullable=False,
    ),
    # waiting, taken or resolved
    Column("state", String(10), nullable=False),
    Column("reason", String(20), nullable=False),
    Column("language", String(10), nullable=False),
    # Since when the customer waits; giving it back keeps their place.
    Column("since", UtcDateTime, nullable=False),
    # Who has it, and when they last did something in it.
    Column("agent", String(200)),
    Column("agent_at", UtcDateTime),
    # Whether the customer heard that a person reads along.
    Column("told", Boolean, nullable=False),
    Column("resolved_at", UtcDateTime),
    # One that is not resolved, at most, for each conversation.
    Index(
        "uq_handoffs_open",
        "conversation_id",
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    ),
    Index("ix_handoffs_conversation_id", "conversation_id"),
    Index("ix_handoffs_state_id", "state", "id"),
)

agent_messages = Table(
    "agent_messages",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column(
        "conversation_id",
        String(200),
        ForeignKey("conversations.conversation_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("message_id", String(200), nullable=False),
    Column("agent", String(200), nullable=False),
    Column("shown_as", String(100), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint(
        "conversation_id", "message_id", name="uq_agent_messages_conversation_message"
    ),
    Index("ix_agent_messages_conversation_id_id", "conversation_id", "id"),
)

canned_answers = Table(
    "canned_answers",
    metadata,
    Column("name", String(100), primary_key=True),
    # {language: text}
    Column("texts", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# One row, as PUT /v1/admin/hours took it.
business_hours = Table(
    "business_hours",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("document", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# --- teaching -----------------------------------------------------------------------------------

# What a team taught between two trainings; row 2 of `content_version` counts the changes.
examples = Table(
    "examples",
    metadata,
    # SHA-256 of what a reader would call the same text
    Column("key", String(64), primary_key=True),
    # redacted
    Column("text", Text, nullable=False),
    Column("intent", String(100), nullable=False),
    # taught, feedback or desk
    Column("origin", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_examples_intent", "intent"),
)

# What a new model must not get worse at.
regression_tests = Table(
    "regression_tests",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("text", Text, nullable=False),
    # one of the two: whose answer is given, or what is done
    Column("intent", String(100)),
    Column("action", String(20)),
    Column("created_at", UtcDateTime, nullable=False),
)

# Retrained models, and how they fared.
candidates = Table(
    "candidates",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    # the artefact's folder beside the registry's versions
    Column("folder", String(100), nullable=False),
    # of the model; null where the training failed
    Column("version", String(12)),
    # promoted, kept, failed, or dropped: its folder made room for a later one
    Column("state", String(10), nullable=False),
    # how many rows it was trained on beyond the team's own
    Column("examples", Integer, nullable=False),
    Column("metrics", JSON, nullable=False),
    # {passed, reasons, against: version, tests}
    Column("verdict", JSON, nullable=False),
    # what would change, texts redacted
    Column("replay", JSON, nullable=False),
    # when the examples were read
    Column("created_at", UtcDateTime, nullable=False),
)

# Tokens that a language model used on a day (UTC), or that are set aside for it.
generation_days = Table(
    "generation_days",
    metadata,
    # ISO 8601
    Column("day", String(10), primary_key=True),
    Column("tokens", BigInteger, nullable=False),
)
