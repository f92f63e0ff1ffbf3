"""What slots may hold, how forms ask for them, and a company's own look-ups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("intents", sa.Column("form", sa.JSON(none_as_null=True)))
    op.add_column("intents", sa.Column("call", sa.JSON(none_as_null=True)))
    op.add_column(
        "slots", sa.Column("kind", sa.String(20), nullable=False, server_default="pattern")
    )
    op.add_column("slots", sa.Column("options", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("turns", sa.Column("form", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    op.drop_column("turns", "form")
    op.drop_column("slots", "options")
    op.drop_column("slots", "kind")
    op.drop_column("intents", "call")
    op.drop_column("intents", "form")
