"""What Alembic runs; the work is done in core/db/migrations.py."""

from core.db.migrations import run_env
from services.customer_service.tables import metadata

run_env(metadata)
