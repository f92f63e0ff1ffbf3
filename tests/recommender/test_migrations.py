"""Do the migrations make the tables that the code speaks of, and keep what was there?"""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from core.data.records import Item
from core.db.engine import make_engine, session_factory
from core.db.migrations import upgrade
from services.recommender.store import ItemStore
from services.recommender.tables import MIGRATIONS, metadata


def test_items_of_before_are_kept_and_the_tables_are_those_of_the_code(database_url: str) -> None:
    engine = make_engine(database_url)
    upgrade(engine, MIGRATIONS, "0001")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO items VALUES ('a', 'Tent', '', '[\"x\"]', 'c', 'b', 9, 'EUR', "
                "'in_stock', NULL, 'g', 'Tent', 'd', 5, 5, false, 1)"
            )
        )
    upgrade(engine, MIGRATIONS)
    sessions = session_factory(engine)
    found = ItemStore(sessions, sessions).find("a")
    kept = Item("a", "Tent", "", ("x",), "c", "b", 9.0, "EUR", item_group_id="g", hidden=False)
    assert found is not None and found.item == kept
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
