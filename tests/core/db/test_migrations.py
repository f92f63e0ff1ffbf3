"""Do databases come to the right revision, whoever starts it, from wherever, however often?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text

from core.db.migrations import current, ensure_current, head, upgrade
from core.errors import StorageError

ENV = "from core.db.migrations import run_env\n\nrun_env()\n"
FIRST = '''
"""first"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("authors", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table(
        "books",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("author", sa.Integer, sa.ForeignKey("authors.id", ondelete="CASCADE")),
    )
    op.execute("INSERT INTO authors VALUES (1)")
    op.execute("INSERT INTO books VALUES (1, 1)")
'''
# Altering a column makes SQLite copy the table and drop the old one.
SECOND = '''
"""second"""
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.batch_alter_table("authors") as batch:
        batch.add_column(sa.Column("name", sa.String(50), nullable=True))
        batch.alter_column("name", type_=sa.String(60))
'''
BROKEN = '''
"""third"""
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.create_table("half_way", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO nowhere VALUES (1)")
'''


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    # A percent sign in the path is what Alembic's configuration would trip over.
    folder = tmp_path / "100% ours" / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "first.py").write_text(FIRST)
    (folder / "versions" / "second.py").write_text(SECOND)
    return folder


def books(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT id FROM books")).scalars())


def test_an_upgrade_brings_an_empty_database_to_the_head(engine: Engine, scripts: Path) -> None:
    assert current(engine) is None
    upgrade(engine, scripts)
    assert current(engine) == head(scripts) == "0002"


def test_the_head_is_what_alembic_says_it_is(scripts: Path) -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(scripts))
    assert head(scripts) == script.get_current_head() == "0002"


def test_migrations_that_do_not_form_one_line_are_told(scripts: Path) -> None:
    (scripts / "versions" / "other.py").write_text(SECOND.replace("0002", "0009"))
    with pytest.raises(StorageError, match="end in 0002, 0009, expected one end"):
        head(scripts)
    (scripts / "versions" / "other.py").write_text("x = 1")
    with pytest.raises(StorageError, match=r"other\.py names no revision"):
        head(scripts)


def test_a_second_upgrade_changes_nothing(engine: Engine, scripts: Path) -> None:
    upgrade(engine, scripts)
    upgrade(engine, scripts)
    assert books(engine) == [1]


def test_copying_a_table_keeps_the_rows_that_refer_to_it(engine: Engine, scripts: Path) -> None:
    upgrade(engine, scripts, "0001")
    assert current(engine) == "0001"
    upgrade(engine, scripts)
    assert books(engine) == [1]


def test_foreign_keys_hold_again_after_an_upgrade(engine: Engine, scripts: Path) -> None:
    upgrade(engine, scripts)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM authors"))
    assert books(engine) == []


def test_a_failing_upgrade_leaves_the_database_as_it_was(engine: Engine, scripts: Path) -> None:
    upgrade(engine, scripts)
    (scripts / "versions" / "third.py").write_text(BROKEN)
    with pytest.raises(StorageError, match="a table is missing"):
        upgrade(engine, scripts)
    assert current(engine) == "0002"
    assert "half_way" not in inspect(engine).get_table_names()


def test_it_works_from_any_directory(
    database_url: str, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    upgrade(database_url, scripts)
    assert current(database_url) == "0002"


def test_processes_that_upgrade_together_do_it_once(database_url: str, scripts: Path) -> None:
    code = "import sys; from core.db.migrations import upgrade; upgrade(*sys.argv[1:])"
    root = Path(__file__).parents[3]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, database_url, str(scripts)],
            env={**os.environ, "PYTHONPATH": str(root)},
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert current(database_url) == "0002"


def test_a_database_of_a_newer_version_says_so(engine: Engine, scripts: Path) -> None:
    upgrade(engine, scripts)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-tomorrow'"))
    with pytest.raises(StorageError, match="newer version"):
        upgrade(engine, scripts)
    with pytest.raises(StorageError, match="newer version"):
        ensure_current(engine, scripts, command="trefoil books")


def test_a_start_on_an_old_database_names_the_command(engine: Engine, scripts: Path) -> None:
    upgrade(engine, scripts, "0001")
    with pytest.raises(StorageError, match=r"0001.*0002. Run: trefoil books db upgrade"):
        ensure_current(engine, scripts, command="trefoil books")


def test_a_start_on_an_empty_database_upgrades_a_file_and_asks_on_a_server(
    engine: Engine, scripts: Path
) -> None:
    if engine.dialect.name == "sqlite":
        ensure_current(engine, scripts, command="trefoil books")
        assert current(engine) == "0002"
    else:
        with pytest.raises(StorageError, match="at revision none"):
            ensure_current(engine, scripts, command="trefoil books")


def test_a_start_on_a_current_database_goes_on(engine: Engine, scripts: Path) -> None:
    upgrade(engine, scripts)
    ensure_current(engine, scripts, command="trefoil books")
