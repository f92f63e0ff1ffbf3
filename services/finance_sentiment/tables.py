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
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from core.db.tables import api_keys_table, leases_table, outbox_table
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
    # Host and port of the address: whom it shares its rests with; see hosts.
    Column("host", String(255), nullable=False, server_default=""),
    # The pace of a feed that states no interval, and what RSS's <ttl> said last, in seconds.
    Column("learned_seconds", Float),
    Column("ttl_seconds", Float, nullable=False, server_default="0"),
    # The address it had before the server moved it for good.
    Column("moved_from", String(2000)),
    Column("moved_at", UtcDateTime),
    Index("ix_sources_next_check_at", "next_check_at"),
)

# Servers in trouble: all feeds of one rest together. A server that answers has no row.
hosts = Table(
    "hosts",
    metadata,
    Column("host", String(255), primary_key=True),
    # In a row.
    Column("troubles", Integer, nullable=False),
    Column("rests_until", UtcDateTime),
    Column("last_error", String(500), nullable=False),
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
    # The last time that its words were edited.
    Column("edited_at", UtcDateTime),
    # The list of companies that it was linked by; see company_store.py.
    Column("companies_version", String(16)),
    Index("ix_stories_companies_version_id", "companies_version", "id"),
    Index("ix_stories_published_at_id", "published_at", "id"),
    Index("ix_stories_state_published_at", "state", "published_at"),
    Index("ix_stories_published_hour", "published_hour"),
    Index("ix_stories_model_version_published_at", "model_version", "published_at"),
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

# Who carried a story: its first entry and every repeat, each once.
mentions = Table(
    "mentions",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("story_id", SERIAL, ForeignKey("stories.id", ondelete="CASCADE"), nullable=False),
    Column("source_id", SERIAL, ForeignKey("sources.id", ondelete="SET NULL")),
    Column("source", String(200), nullable=False),
    # The first key of stories.identity_keys: the entry, within its source.
    Column("entry_key", String(60), nullable=False, unique=True),
    Column("url", String(2000), nullable=False),
    Column("title", String(500), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # What told that it is the same story: first, id, url, text, minhash, embedding.
    Column("known_by", String(12), nullable=False),
    Index("ix_mentions_story_id", "story_id"),
    Index("ix_mentions_source_id", "source_id"),
)

# Bands of the MinHash signatures of recent stories; see duplicates.py.
story_bands = Table(
    "story_bands",
    metadata,
    Column("band", BigInteger, primary_key=True, autoincrement=False),
    Column("story_id", SERIAL, ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True),
    Column("published_at", UtcDateTime, nullable=False),
    Index("ix_story_bands_story_id", "story_id"),
    Index("ix_story_bands_published_at", "published_at"),
)

# Embeddings of recent stories by the model that labelled them, as 16-bit floats.
story_vectors = Table(
    "story_vectors",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column(
        "story_id",
        SERIAL,
        ForeignKey("stories.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("model_version", String(40), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Index("ix_story_vectors_published_at", "published_at"),
)

# What the detector took for normal, and from when on; see baseline.py.
baselines = Table(
    "baselines",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("from_hour", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("document", JSON, nullable=False),
    # Whose labels it was learned on, null where there was no model; see one_model.py.
    Column("model_version", String(40)),
    # Alerts that were over by then are none: they would tell of another model, not of the news.
    Column("quiet_before", UtcDateTime),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("topic", String(100), nullable=False),
    # One of evidence.DETECTORS, "rule:" and the rule's name, or "drill".
    Column("detector", String(120), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("evidence", JSON, nullable=False),
    Column("story_ids", JSON, nullable=False),
    # When this program found it, which is later than started_at after an outage.
    Column("raised_at", UtcDateTime, nullable=False),
    # Where the evidence began to gather; null for alerts of before.
    Column("onset_at", UtcDateTime),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", String(200)),
    # What people said of it, null where nobody did; feeds the thresholds.
    Column("false_alarm", Boolean),
    Column("marked_at", UtcDateTime),
    # A drill: never counted, never a sign of anything.
    Column("is_test", Boolean, nullable=False, server_default=false()),
    # What explain.py said when it was raised, and what that was made from.
    Column("explanation", JSON),
    UniqueConstraint("topic", "detector", "started_at", name="uq_alerts_topic_detector_start"),
    Index("ix_alerts_started_at_id", "started_at", "id"),
)

# Who wants to hear nothing of which alerts, from when to when; see silences.py.
silences = Table(
    "silences",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("matchers", JSON, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("comment", String(1000), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_silences_ends_at", "ends_at"),
)

# Where each topic stood when it was looked at last; the alerts follow from the stories alone.
watch_states = Table(
    "watch_states",
    metadata,
    Column("topic", String(100), primary_key=True),
    # inactive, pending, firing or resolved
    Column("phase", String(10), nullable=False),
    # ok, no_data or degraded
    Column("news", String(10), nullable=False),
    # The nearest of the detectors to its threshold, 1 at it.
    Column("nearness", Float, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# Hours in which feeds or labels were missing; all others were fine.
watch_hours = Table(
    "watch_hours",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("news", String(10), nullable=False),
    Column("reason", String(200), nullable=False),
)

# What changed, in the order of the commits; see changes.py.
events = Table(
    "events",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    # story or alert, and its id there: no foreign key, since the log outlives what it tells of.
    Column("kind", String(10), nullable=False),
    Column("subject_id", SERIAL, nullable=False),
    # One of changes.Change.
    Column("change", String(12), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_events_at", "at"),
)

# How the ticks of the workers are doing, all workers together; see tick_log.py.
worker_ticks = Table(
    "worker_ticks",
    metadata,
    Column("name", String(40), primary_key=True),
    # The last success and how long it took in seconds; the last failure, and failures so far.
    Column("succeeded_at", UtcDateTime),
    Column("seconds", Float),
    Column("failed_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
)

# What is to be told to which channel (`kind` is its name), until it has arrived.
outbox = outbox_table(metadata)

# Which channel was told of what: an alert ("alert:7") or an outage of all feeds ("outage:3").
tellings = Table(
    "tellings",
    metadata,
    Column("subject", String(40), primary_key=True),
    Column("channel", String(100), primary_key=True),
    # 1, and one more each time that it fires again after it was told as over (`ended_at`).
    Column("round", Integer, nullable=False),
    Column("told_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_tellings_ended_at", "ended_at"),
)

# From when to when no feed answered at all.
outages = Table(
    "outages",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("reason", String(200), nullable=False),
)

# What people say that a label should be; see corrections.py.
corrections = Table(
    "corrections",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    # Null for a text of its own, and once the story was folded into another one.
    Column("story_id", SERIAL, ForeignKey("stories.id", ondelete="SET NULL")),
    # The same for texts that say the same.
    Column("key", String(32), nullable=False),
    Column("text", Text, nullable=False),
    # Null where nothing was said of it.
    Column("sentiment", String(10)),
    Column("topic", String(100)),
    # Said by whoever sent it: the topic is one that the model does not know yet.
    Column("new_topic", Boolean, nullable=False),
    Column("said_by", String(200), nullable=False),
    Column("note", String(1000), nullable=False),
    # quarantine, accepted or rejected
    Column("state", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(200)),
    # The label that the story had when it was sent.
    Column("was", JSON),
    Index("ix_corrections_created_at_id", "created_at", "id"),
    Index("ix_corrections_story_id", "story_id"),
    Index("ix_corrections_key", "key"),
)

# Stories whose label a person gave, and the label that they would have otherwise.
corrected_stories = Table(
    "corrected_stories",
    metadata,
    Column(
        "story_id",
        SERIAL,
        ForeignKey("stories.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("before", JSON, nullable=False),
    Column("corrected_at", UtcDateTime, nullable=False),
)

# Trainings that took corrections in, and what became of them; see retraining.py.
retrainings = Table(
    "retrainings",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # running, promoted, refused or failed
    Column("state", String(10), nullable=False),
    # How many were learned from.
    Column("corrections", Integer, nullable=False),
    # The version that was live, and the new one where there is one.
    Column("against", String(40), nullable=False),
    Column("version", String(40)),
    Column("reasons", JSON, nullable=False),
    Column("figures", JSON, nullable=False),
    # Where a refused one lies, beside the registry's versions; "" where there is none.
    Column("folder", String(200), nullable=False),
)

# Each time that the stories of before were read anew by another model; see relabel.py.
relabellings = Table(
    "relabellings",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("model_version", String(40), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("relabelled", Integer, nullable=False),
)

# Which companies a story names, and what it says of each; see entities.py.
story_companies = Table(
    "story_companies",
    metadata,
    Column(
        "story_id",
        SERIAL,
        ForeignKey("stories.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("company", String(80), primary_key=True),
    # How the sentiment is known: story, clause or rule.
    Column("basis", String(10), nullable=False),
    Column("sentiment", String(10)),
    Column("p_negative", Float),
    Column("p_neutral", Float),
    Column("p_positive", Float),
    Index("ix_story_companies_company", "company"),
)
