"""How Alembic reaches the database: as core.db.migrations says."""

from core.db.migrations import run_env
from services.finance_sentiment.tables import metadata

run_env(metadata)
