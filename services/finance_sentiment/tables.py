"""Which tables does the news monitor keep? The migrations make them; see migrations/versions."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db.tables import api_keys_table, leases_table
from core.db.types import UtcDateTime

MIGRATIONS = Path(__file__).parent / "migrations"
# SQLite counts up by itself only in a column declared INTEGER.
SERIAL = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()
api_keys = api_keys_table(metadata)
leases = leases_table(metadata)

sources = Table(
    "sources",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("url", String(2000), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False),
    # Seconds between checks; null for the setting's.
    Column("interval_seconds", Float),
    Column("etag", String(500)),
    Column("last_modified", String(500)),
    # A worker that takes a feed moves this on first: that is its lease.
    Column("next_check_at", UtcDateTime, nullable=False),
    Column("checked_at", UtcDateTime),
    # The last time that the feed answered with something new.
    Column("changed_at", UtcDateTime),
    # Failures in a row, 0 after a success.
    Column("error_count", Integer, nullable=False),
    Column("last_error", String(500)),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_sources_next_check_at", "next_check_at"),
)

stories = Table(
    "stories",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    # Null for a story that came from a file, and after its feed was removed.
    Column("source_id", SERIAL, ForeignKey("sources.id", ondelete="SET NULL")),
    Column("source", String(200), nullable=False),
    Column("url", String(2000), nullable=False),
    Column("title", String(500), nullable=False),
    Column("summary", Text, nullable=False),
    # Title and summary as comparison_key reads them, for searching in either database alike.
    Column("search_text", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    # Whole hours since 1970 of published_at: what trends are grouped by.
    Column("published_hour", Integer, nullable=False),
    Column("fetched_at", UtcDateTime, nullable=False),
    # pending, labelled or unlabelled
    Column("state", String(10), nullable=False),
    Column("topic", String(100)),
    Column("sentiment", String(10)),
    Column("p_negative", Float),
    Column("p_neutral", Float),
    Column("p_positive", Float),
    Column("p_topic", Float),
    Column("model_version", String(40)),
    Column("labelled_at", UtcDateTime),
    Index("ix_stories_published_at_id", "published_at", "id"),
    Index("ix_stories_state_published_at", "state", "published_at"),
    Index("ix_stories_published_hour", "published_hour"),
)

# What tells a story that we have from a new one; see stories.py.
story_keys = Table(
    "story_keys",
    metadata,
    Column("key", String(60), primary_key=True),
    Column("story_id", SERIAL, ForeignKey("stories.id", ondelete="CASCADE"), nullable=False),
    # When the words were last published; keys of words hold for a while only.
    Column("seen_at", UtcDateTime, nullable=False),
    Index("ix_story_keys_story_id", "story_id"),
)

# What the detector took for normal, and from when on; see baseline.py.
baselines = Table(
    "baselines",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("from_hour", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("document", JSON, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("topic", String(100), nullable=False),
    # "surge", or "rule:" and the rule's name.
    Column("detector", String(120), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("evidence", JSON, nullable=False),
    Column("story_ids", JSON, nullable=False),
    # When this program found it, which is later than started_at after an outage.
    Column("raised_at", UtcDateTime, nullable=False),
    UniqueConstraint("topic", "detector", "started_at", name="uq_alerts_topic_detector_start"),
    Index("ix_alerts_started_at_id", "started_at", "id"),
)
