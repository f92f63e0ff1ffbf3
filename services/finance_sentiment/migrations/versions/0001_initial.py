"""The first tables: keys, leases, sources, stories and what tells them apart, alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_MOMENT = sa.DateTime(timezone=True)
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _keys_and_leases()
    op.create_table(
        "sources",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("url", sa.String(2000), nullable=False, unique=True),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("interval_seconds", sa.Float),
        sa.Column("etag", sa.String(500)),
        sa.Column("last_modified", sa.String(500)),
        sa.Column("next_check_at", _MOMENT, nullable=False),
        sa.Column("checked_at", _MOMENT),
        sa.Column("changed_at", _MOMENT),
        sa.Column("error_count", sa.Integer, nullable=False),
        sa.Column("last_error", sa.String(500)),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_sources_next_check_at", "sources", ["next_check_at"])
    _stories()
    _alerts()


def _keys_and_leases() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
    )


def _stories() -> None:
    op.create_table(
        "stories",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("source_id", _SERIAL, sa.ForeignKey("sources.id", ondelete="SET NULL")),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("title", sa.String(500), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("published_at", _MOMENT, nullable=False),
        sa.Column("published_hour", sa.Integer, nullable=False),
        sa.Column("fetched_at", _MOMENT, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("topic", sa.String(100)),
        sa.Column("sentiment", sa.String(10)),
        sa.Column("p_negative", sa.Float),
        sa.Column("p_neutral", sa.Float),
        sa.Column("p_positive", sa.Float),
        sa.Column("p_topic", sa.Float),
        sa.Column("model_version", sa.String(40)),
        sa.Column("labelled_at", _MOMENT),
    )
    op.create_index("ix_stories_published_at_id", "stories", ["published_at", "id"])
    op.create_index("ix_stories_state_published_at", "stories", ["state", "published_at"])
    op.create_index("ix_stories_published_hour", "stories", ["published_hour"])
    op.create_table(
        "story_keys",
        sa.Column("key", sa.String(60), primary_key=True),
        sa.Column(
            "story_id", _SERIAL, sa.ForeignKey("stories.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("seen_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_story_keys_story_id", "story_keys", ["story_id"])


def _alerts() -> None:
    op.create_table(
        "baselines",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("from_hour", sa.Integer, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("topic", sa.String(100), nullable=False),
        sa.Column("detector", sa.String(120), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("resolved_at", _MOMENT),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("story_ids", sa.JSON, nullable=False),
        sa.Column("raised_at", _MOMENT, nullable=False),
        sa.UniqueConstraint(
            "topic", "detector", "started_at", name="uq_alerts_topic_detector_start"
        ),
    )
    op.create_index("ix_alerts_started_at_id", "alerts", ["started_at", "id"])
