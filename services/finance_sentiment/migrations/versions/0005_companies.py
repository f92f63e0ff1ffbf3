"""Which companies a story names, and what it says of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LINKED_BY = "ix_stories_companies_version_id"


def upgrade() -> None:
    op.add_column("stories", sa.Column("companies_version", sa.String(16)))
    op.create_index(_LINKED_BY, "stories", ["companies_version", "id"])
    key = sa.ForeignKey("stories.id", ondelete="CASCADE")
    op.create_table(
        "story_companies",
        sa.Column("story_id", _SERIAL, key, primary_key=True, autoincrement=False),
        sa.Column("company", sa.String(80), primary_key=True),
        sa.Column("basis", sa.String(10), nullable=False),
        sa.Column("sentiment", sa.String(10)),
        sa.Column("p_negative", sa.Float),
        sa.Column("p_neutral", sa.Float),
        sa.Column("p_positive", sa.Float),
    )
    op.create_index("ix_story_companies_company", "story_companies", ["company"])


def downgrade() -> None:
    op.drop_table("story_companies")
    op.drop_index(_LINKED_BY, "stories")
    op.drop_column("stories", "companies_version")
