"""An engine on an empty database of each kind, with the three tables that every service has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, MetaData
from sqlalchemy.orm import Session, sessionmaker

from core.db.engine import make_engine, session_factory
from core.db.tables import api_keys_table, leases_table, outbox_table


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def tables(engine: Engine) -> SimpleNamespace:
    metadata = MetaData()
    tables = SimpleNamespace(
        api_keys=api_keys_table(metadata),
        leases=leases_table(metadata),
        outbox=outbox_table(metadata),
    )
    metadata.create_all(engine)
    return tables


@pytest.fixture
def sessions(engine: Engine, tables: SimpleNamespace) -> sessionmaker[Session]:
    return session_factory(engine)


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
