"""The pace, the moves and the hosts of feeds; who carried a story, and what finds its likes."""

from __future__ import annotations

from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

from core.db.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("host", sa.String(255), nullable=False, server_default=""),
        sa.Column("learned_seconds", sa.Float),
        sa.Column("ttl_seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("moved_from", sa.String(2000)),
        sa.Column("moved_at", UtcDateTime),
    ):
        op.add_column("sources", column)
    op.create_table(
        "hosts",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("troubles", sa.Integer, nullable=False),
        sa.Column("rests_until", UtcDateTime),
        sa.Column("last_error", sa.String(500), nullable=False),
    )
    op.add_column("stories", sa.Column("edited_at", UtcDateTime))
    _mentions()
    _nearness()
    _fill_hosts()
    _fill_mentions()


def _story_id(*, primary_key: bool = False, unique: bool | None = None) -> sa.Column[int]:
    key = sa.ForeignKey("stories.id", ondelete="CASCADE")
    return sa.Column(
        "story_id", _SERIAL, key, nullable=False, primary_key=primary_key, unique=unique
    )


def _mentions() -> None:
    op.create_table(
        "mentions",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        _story_id(),
        sa.Column("source_id", _SERIAL, sa.ForeignKey("sources.id", ondelete="SET NULL")),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("entry_key", sa.String(60), nullable=False, unique=True),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("title", sa.String(500), nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("known_by", sa.String(12), nullable=False),
    )
    op.create_index("ix_mentions_story_id", "mentions", ["story_id"])
    op.create_index("ix_mentions_source_id", "mentions", ["source_id"])


def _nearness() -> None:
    op.create_table(
        "story_bands",
        sa.Column("band", sa.BigInteger, primary_key=True, autoincrement=False),
        _story_id(primary_key=True),
        sa.Column("published_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_story_bands_story_id", "story_bands", ["story_id"])
    op.create_index("ix_story_bands_published_at", "story_bands", ["published_at"])
    op.create_table(
        "story_vectors",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        _story_id(unique=True),
        sa.Column("model_version", sa.String(40), nullable=False),
        sa.Column("published_at", UtcDateTime, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_story_vectors_published_at", "story_vectors", ["published_at"])


def _fill_hosts() -> None:
    """Feeds of before get their host, as feeds.host_of reads it."""
    connection = op.get_bind()
    for row in list(connection.execute(sa.text("SELECT id, url FROM sources"))):
        parts = urlsplit(row.url)
        host = f"{parts.hostname or ''}:{parts.port or {'http': 80}.get(parts.scheme, 443)}"[:255]
        connection.execute(
            sa.text("UPDATE sources SET host = :host WHERE id = :id"), {"host": host, "id": row.id}
        )


def _fill_mentions() -> None:
    """Stories of before were carried by the one source that is known."""
    op.execute(
        "INSERT INTO mentions (story_id, source_id, source, entry_key, url, title, published_at,"
        " seen_at, known_by) SELECT s.id, s.source_id, s.source, k.key, s.url, s.title,"
        " s.published_at, s.fetched_at, 'first' FROM stories s JOIN story_keys k"
        " ON k.story_id = s.id AND k.key LIKE 'id:%'"
    )


def downgrade() -> None:
    for table in ("story_vectors", "story_bands", "mentions", "hosts"):
        op.drop_table(table)
    op.drop_column("stories", "edited_at")
    for column in ("host", "learned_seconds", "ttl_seconds", "moved_from", "moved_at"):
        op.drop_column("sources", column)
