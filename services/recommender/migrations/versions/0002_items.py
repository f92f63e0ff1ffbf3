"""The shop's items: pictures, attributes, hidden ones, uploads in progress."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # The defaults are for the rows that are there already.
    op.add_column("items", sa.Column("image", sa.Text, nullable=False, server_default=""))
    op.add_column("items", sa.Column("attributes", sa.JSON, nullable=False, server_default="{}"))
    hidden = sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("items", hidden)
    _create_uploads()


def downgrade() -> None:
    op.drop_table("upload_chunks")
    op.drop_table("uploads")
    for column in ("hidden", "attributes", "image"):
        op.drop_column("items", column)


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.String(32), primary_key=True),
        sa.Column("accepted_at", sa.Double, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("errors", sa.JSON, nullable=False),
        sa.Column("finished_at", sa.Double),
    )
    op.create_index("ix_uploads_accepted_at", "uploads", ["accepted_at"])
    op.create_table(
        "upload_chunks",
        sa.Column("upload_id", sa.String(32), sa.ForeignKey("uploads.upload_id"), primary_key=True),
        sa.Column("first_line", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.Text, nullable=False),
    )
