"""Alembic asks this file how to reach the database; core/db/migrations.py knows."""

from core.db.migrations import run_env
from services.recommender.tables import metadata

run_env(metadata)
