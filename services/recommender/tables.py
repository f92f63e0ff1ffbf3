"""Which tables does the recommender keep? The migrations make them; see migrations/versions.

`sequences` orders the changes: a writer takes its numbers while it holds the row until it commits,
so numbers become visible in their own order, and a reader who has seen number n misses nothing
below it. Each web process follows items by `revision` and events by `seq`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from core.db.tables import api_keys_table, leases_table
from core.db.types import UtcDateTime

ID_CHARS = 200
SCENARIO_CHARS = 100

MIGRATIONS = Path(__file__).parent / "migrations"


def _where_set(name: str, column: str) -> Index:
    """An index over the rows in which the column is set."""
    return Index(
        name,
        column,
        sqlite_where=text(f"{column} IS NOT NULL"),
        postgresql_where=text(f"{column} IS NOT NULL"),
    )


metadata = MetaData()
api_keys = api_keys_table(metadata)
leases = leases_table(metadata)

# items: the last revision · events: the last seq · folded: the last seq that item_counters hold ·
# erased: users forgotten so far · together: the last seq that basket_counts hold · rules: the
# version of the rules in force
sequences = Table(
    "sequences",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("item_id", String(ID_CHARS), primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("category", String(500), nullable=False),
    Column("brand", String(500), nullable=False),
    Column("price", Double),
    Column("currency", String(10), nullable=False),
    Column("availability", String(20), nullable=False),
    # Times in this schema are Unix seconds, as in core.data.records.
    Column("created_at", Double),
    Column("item_group_id", String(ID_CHARS), nullable=False),
    Column("image", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
    # Kept, and shown to nobody.
    Column("hidden", Boolean, nullable=False),
    # What the encoder reads, and its digest: the key of its vector.
    Column("text", Text, nullable=False),
    Column("text_digest", String(32), nullable=False),
    Column("first_seen_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    # A deleted item stays as a row, so that every process learns of it.
    Column("deleted", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("ix_items_revision", "revision"),
    Index("ix_items_text_digest", "text_digest"),
)

# The embedding of a text by an encoder; half precision, little-endian.
item_vectors = Table(
    "item_vectors",
    metadata,
    Column("encoder_id", String(64), primary_key=True),
    Column("text_digest", String(32), primary_key=True),
    Column("unknown_share", Double, nullable=False),
    Column("embedding", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", String(ID_CHARS), nullable=False, unique=True),
    Column("user_id", String(ID_CHARS)),
    Column("session_id", String(ID_CHARS)),
    # No foreign key: an event may be here before its item.
    Column("item_id", String(ID_CHARS), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("value", Double),
    Column("occurred_at", Double, nullable=False),
    Column("received_at", Double, nullable=False),
    # The answer that it came from, see `answers`, and where in it the item stood, from 1.
    Column("recommendation_id", String(ID_CHARS)),
    Column("position", Integer),
    Column("scenario", String(SCENARIO_CHARS)),
    # What a comment says, and the key of its vector.
    Column("text", Text),
    Column("text_digest", String(32)),
    Column("quantity", Double),
    Column("currency", String(10)),
    Column("order_id", String(ID_CHARS)),
    Index("ix_events_user_id_occurred_at", "user_id", "occurred_at"),
    Index("ix_events_session_id_occurred_at", "session_id", "occurred_at"),
    Index("ix_events_occurred_at", "occurred_at"),
    # Most events have none of these: the indices hold only those that do.
    _where_set("ix_events_recommendation_id", "recommendation_id"),
    _where_set("ix_events_text_digest", "text_digest"),
    _where_set("ix_events_order_id", "order_id"),
    Index(
        "ix_events_orders",
        "occurred_at",
        sqlite_where=text("kind IN ('purchase', 'refund')"),
        postgresql_where=text("kind IN ('purchase', 'refund')"),
    ),
)

# Popularity of every item that has events, known to the shop or not, up to sequences.folded.
item_counters = Table(
    "item_counters",
    metadata,
    Column("item_id", String(ID_CHARS), primary_key=True),
    Column("positives", Double, nullable=False),
    # These three: see popularity.py. recent_log2 is -infinity without a positive event.
    Column("recent_log2", Double, nullable=False),
    Column("first_at", Double, nullable=False),
)

# A large batch of items that was accepted and is worked off by the worker; see uploads.py.
uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", String(32), primary_key=True),
    Column("accepted_at", Double, nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    # The first failed rows: [{"line": 7, "item_id": "a", "reason": "..."}].
    Column("errors", JSON, nullable=False),
    # NULL while there are chunks left.
    Column("finished_at", Double),
    Index("ix_uploads_accepted_at", "accepted_at"),
)

# What is left of an upload: rows as they came, as a JSON list. `first_line` counts from 1.
upload_chunks = Table(
    "upload_chunks",
    metadata,
    Column("upload_id", ForeignKey("uploads.upload_id"), primary_key=True),
    Column("first_line", Integer, primary_key=True, autoincrement=False),
    Column("rows", Text, nullable=False),
)

# Trainings asked for, under way and done, and live models that nobody here trained ("given"); see
# training_store.py.
trainings = Table(
    "trainings",
    metadata,
    Column(
        "id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    ),
    # asked, running, promoted, refused, failed or given
    Column("state", String(10), nullable=False),
    # first, growth, retry, asked; "" for a given one
    Column("cause", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("preset", String(20), nullable=False),
    # The version that was live, and the one that was made.
    Column("against", String(40)),
    Column("version", String(40)),
    # Positive events of the shop when it began.
    Column("positives", BigInteger, nullable=False),
    # Unix seconds of the newest event that `version` was trained on.
    Column("trained_until", Double),
    Column("counts", JSON, nullable=False),
    Column("rung", String(40), nullable=False),
    Column("why", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("figures", JSON, nullable=False),
    # Where a refused one lies, beside the registry's versions; "" where there is none.
    Column("folder", String(200), nullable=False),
    Index("ix_trainings_version", "version"),
)

# Who turned out to be whom: an anonymous session ("session") or another id of a user ("user").
# Events that are here already got the user's id when this was told; later ones get it as they come.
merges = Table(
    "merges",
    metadata,
    Column("kind", String(10), primary_key=True),
    Column("from_id", String(ID_CHARS), primary_key=True),
    Column("user_id", String(ID_CHARS), nullable=False),
    Column("merged_at", Double, nullable=False),
    Index("ix_merges_user_id", "user_id"),
)

# That somebody was forgotten, when, and how many events went; not who.
erasures = Table(
    "erasures",
    metadata,
    Column("erasure_id", String(32), primary_key=True),
    Column("erased_at", Double, nullable=False),
    Column("events", Integer, nullable=False),
)

# What was answered, without whom: `item_ids` in the order they stood in.
answers = Table(
    "answers",
    metadata,
    Column("recommendation_id", String(32), primary_key=True),
    Column("model_version", String(200), nullable=False),
    Column("scenario", String(SCENARIO_CHARS), nullable=False),
    Column("answered_at", Double, nullable=False),
    Column("item_ids", JSON, nullable=False),
    Column("shown", Integer, nullable=False),
    Index("ix_answers_answered_at", "answered_at"),
)

# What the server keeps to itself: the key that session tokens are signed with.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("value", String(200), nullable=False),
)

# Business rules, every version of them; in force is the one that sequences.rules names, 0 is none.
rule_versions = Table(
    "rule_versions",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("rules", JSON, nullable=False),
    Column("author", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # The version that this one is a copy of, where it went back to one.
    Column("restored", BigInteger),
)

# In how many baskets each item was, up to sequences.together ("" counts all); see together.py.
basket_counts = Table(
    "basket_counts",
    metadata,
    Column("item_id", String(ID_CHARS), primary_key=True),
    Column("baskets", BigInteger, nullable=False),
)

# In how many baskets two items were together; each pair stands here both ways round.
bought_together = Table(
    "bought_together",
    metadata,
    Column("item_id", String(ID_CHARS), primary_key=True),
    Column("other_id", String(ID_CHARS), primary_key=True),
    Column("baskets", BigInteger, nullable=False),
)
