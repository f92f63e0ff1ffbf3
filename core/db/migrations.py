"""How does a database get the tables that this version of the program needs?

Each service keeps `migrations/versions/*.py` and a two-line `migrations/env.py`:

    from core.db.migrations import run_env

    run_env()

An upgrade is one transaction under one lock: two processes that start it together do it once, and
one that fails half-way leaves the database as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from core.db.engine import make_engine, raw_connection, session_factory, shown_url
from core.errors import StorageError

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic is imported where something is to be upgraded: that takes a quarter of a second, and a
# server that starts on the right tables needs none of it.
_REVISION = re.compile(r"""^((?:down_)?revision)(?:: [^=]+)? = ["']([^"']+)["']""", re.MULTILINE)

# Any number will do, as long as all of us take the same: "trefoil" in ASCII.
_LOCK = int.from_bytes(b"trefoil", "big")
_MIGRATION_BUSY_MS = 120_000


def upgrade(database: Engine | str, script_location: str | Path, revision: str = "head") -> None:
    """Bring the database to `revision`. StorageError where it is newer than this program."""
    from alembic import command
    from alembic.util import CommandError

    with _engine(database) as engine, _locked(engine) as connection:
        config = _config(script_location)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise _unknown_revision(engine, error) from error
        _check_references(connection)


def current(database: Engine | str) -> str | None:
    """The revision that the database is at, None for one that was never migrated."""
    with _engine(database) as engine, session_factory(engine, read_only=True)() as session:
        connection = session.connection()
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)


def head(script_location: str | Path) -> str | None:
    """The revision that this version of the program needs. StorageError where the scripts do not
    form one line. They assign `revision` and `down_revision` as Alembic's own template does."""
    revisions: set[str] = set()
    replaced: set[str] = set()
    for script in (Path(script_location) / "versions").glob("[!_]*.py"):
        found = dict(_REVISION.findall(script.read_text(encoding="utf-8")))
        if "revision" not in found:
            raise StorageError(f"the migration {script} names no revision", mend="Add it.")
        revisions.add(found["revision"])
        replaced.add(found.get("down_revision", ""))
    ends = sorted(revisions - replaced)
    if len(ends) > 1:
        raise StorageError(
            f"the migrations in {script_location} end in {', '.join(ends)}, expected one end",
            mend="Let one of them follow the other (down_revision).",
        )
    return ends[0] if ends else None


def ensure_current(engine: Engine, script_location: str | Path, *, command: str) -> None:
    """At the start of a server or worker: go on only with the right tables.

    An empty SQLite file is brought up to date here; everything else is upgraded by a person, with
    `<command> db upgrade`, where `command` is such as "trefoil customer-service".
    """
    if engine.dialect.name == "sqlite" and not inspect(engine).get_table_names():
        upgrade(engine, script_location)
        return
    found, needed = current(engine), head(script_location)
    if found == needed:
        return
    known = found is None or _knows(script_location, found)
    raise StorageError(
        f"the database {shown_url(engine)} is at revision {found or 'none'}, "
        f"this version needs {needed}",
        mend=f"Run: {command} db upgrade."
        if known
        else "It was upgraded by a newer version; install that one.",
    )


@contextmanager
def migrated_engine(url: str, script_location: str | Path, *, command: str) -> Iterator[Engine]:
    """An engine on a database with the right tables (`ensure_current`), disposed of afterwards."""
    with _engine(url) as engine:
        ensure_current(engine, script_location, command=command)
        yield engine


def run_env(target_metadata: MetaData | None = None) -> None:
    """What a service's env.py does. `target_metadata` is for developers who let Alembic write a
    new revision: `alembic -x url=sqlite:///scratch.db revision --autogenerate`."""
    from alembic import context

    connection: Connection | None = context.config.attributes.get("connection")
    if connection is not None:
        _run(connection, target_metadata)
        return
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        from alembic.util import CommandError

        raise CommandError("name the database: alembic -x url=sqlite:///scratch.db …")
    with make_engine(url).begin() as own:
        _run(own, target_metadata)


def _run(connection: Connection, target_metadata: MetaData | None) -> None:
    from alembic import context

    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        # SQLite cannot alter a column in place; Alembic then copies the table.
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _config(script_location: str | Path) -> Config:
    from alembic.config import Config

    config = Config()
    # Absolute, so that the working directory does not matter; a % would be read as a variable.
    location = str(Path(script_location).resolve()).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _engine(database: Engine | str) -> Iterator[Engine]:
    if isinstance(database, Engine):
        yield database
        return
    engine = make_engine(database)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """A transaction that has the database's schema for itself."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            driver = raw_connection(connection)
            # Copying a table drops the old one, which would carry off the rows that refer to it.
            driver.execute("PRAGMA foreign_keys=OFF")
            driver.execute(f"PRAGMA busy_timeout={_MIGRATION_BUSY_MS}")
        # Set up differently from the others, it is closed afterwards and not put back among them.
        connection.detach()
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise StorageError(f"the upgrade would leave rows of {broken[0]} that refer to nothing")


def _knows(script_location: str | Path, revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        script = ScriptDirectory.from_config(_config(script_location)).get_revision(revision)
    except CommandError:
        return False
    return script is not None


def _unknown_revision(engine: Engine, error: Exception) -> StorageError:
    return StorageError(
        f"the database {shown_url(engine)} cannot be upgraded: {error}",
        mend="If a newer version of the program upgraded it before, install that one.",
    )
