"""Do the migrations make the tables that the code speaks of?"""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from core.db.engine import make_engine
from core.db.migrations import upgrade
from services.finance_sentiment.tables import MIGRATIONS, metadata


def test_a_migrated_database_has_just_the_tables_of_the_code(database_url: str) -> None:
    engine = make_engine(database_url)
    try:
        upgrade(engine, MIGRATIONS)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()
