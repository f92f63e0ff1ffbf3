"""How do we reach the database, and what does a failure of it mean to the reader?

SQLite runs in WAL mode with `synchronous=NORMAL`: a commit survives the death of the process
(kill -9), since the log is written to the operating system before commit returns; a power cut may
take the last few commits but never harms the file. FULL would add a disk flush to every turn, for
a box that promises its owner to survive crashes of the program, not of the mains; where that is
wanted, PostgreSQL (which flushes by default) is the setting to choose.

A SQLite transaction begins with BEGIN IMMEDIATE, so that it waits for its turn at the start.
One that first reads and then writes would otherwise fail in the middle, at once and whatever the
time-out, when another one wrote in between. Long or frequent reads use `read_only` sessions, which
wait for nobody and hold up nobody; keep the writing ones short and run no model inside them.
Writers of one process wait for each other in a queue of ours: SQLite's own waiting is to sleep and
look again, up to a tenth of a second later, and whoever comes in between is first.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from core.db.failures import meaning_of
from core.errors import Overloaded, SettingsError, StorageError

BUSY_SECONDS = 10
_READ_ONLY = "trefoil_read_only"
_QUERY_ONLY = "query_only"
_TURN = "turn"


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://user:password@host/name`.

    The folder of a SQLite file is made. SettingsError for a URL that is neither, StorageError
    where the folder cannot be made; a database that cannot be reached is told at first use.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed)
    return _postgresql_engine(parsed)


def session_factory(engine: Engine, *, read_only: bool = False) -> sessionmaker[Session]:
    """Sessions; `with factory.begin() as session:` commits at its end, before anything is answered.

    With `read_only` a write raises StorageError, and on SQLite no lock is taken.
    """
    if read_only:
        # PostgreSQL has its own word for it; the other one is read in _begin below.
        options: dict[str, Any] = {_READ_ONLY: True}
        if engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        engine = engine.execution_options(**options)
    return sessionmaker(engine, expire_on_commit=False)


def ping(engine: Engine) -> None:
    """StorageError where the database does not answer; for readiness checks."""
    with session_factory(engine, read_only=True)() as session:
        session.execute(text("SELECT 1"))


def shown_url(engine: Engine) -> str:
    """The URL for a message, password masked."""
    return engine.url.render_as_string(hide_password=True)


def raw_connection(connection: Connection) -> Any:
    """The driver's own connection, for what must be said outside a transaction."""
    return connection.connection.dbapi_connection


def _parse(url: str) -> URL:
    expected = "expected sqlite:///path/to/file.db or postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise SettingsError(f"the database URL cannot be read; {expected}") from error
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise SettingsError(f"there is no support for {backend!r} databases; {expected}")
    if parsed.database in (None, "", ":memory:"):
        raise SettingsError(
            f"a SQLite database in memory is not supported; {expected}",
            mend="Every connection would see an empty one of its own; name a file.",
        )
    return parsed.set(drivername="sqlite+pysqlite")


class _Pool(QueuePool):
    """A pool whose exhaustion is overload, not a fault."""

    def connect(self) -> PoolProxiedConnection:
        try:
            return super().connect()
        except PoolTimeout as error:
            raise Overloaded("too many callers wait for the database") from error


# SQLAlchemy names a pool's logger after its class: without this, it would log among our own lines.
logging.getLogger(f"{__name__}.{_Pool.__name__}").setLevel(logging.WARNING)


def _postgresql_engine(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            poolclass=_Pool,
            pool_size=5,
            max_overflow=15,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": 5},
        )
    except ModuleNotFoundError as error:
        raise SettingsError(
            "PostgreSQL needs the psycopg package, which is not installed",
            mend="Install it: pip install 'trefoil[postgres]'.",
        ) from error
    event.listen(engine, "handle_error", _translate)
    return engine


def _sqlite_engine(url: URL) -> Engine:
    folder = Path(str(url.database)).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder {folder} cannot be made ({error.strerror})",
            mend="Check its permissions, or set TREFOIL_VAR to a folder you may write.",
        ) from error
    engine = create_engine(
        url,
        poolclass=_Pool,
        pool_size=16,
        max_overflow=34,
        pool_timeout=BUSY_SECONDS,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    turns = _Turns()
    event.listen(engine, "begin", turns.begin)
    event.listen(engine, "commit", turns.end)
    event.listen(engine, "rollback", turns.end)
    event.listen(engine, "checkin", turns.end_unfinished)
    event.listen(engine, "handle_error", _translate)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    # None: the driver begins nothing by itself, _begin does.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """WAL stays with the file. Only the first switch needs the file for itself, and SQLite does
    not wait for that: two processes that start together would trip over each other."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


class _Turns:
    """Begins transactions: one of a process writes at a time; for others SQLite itself waits."""

    def __init__(self) -> None:
        self._writing = threading.Lock()

    def begin(self, connection: Connection) -> None:
        read_only = bool(connection.get_execution_options().get(_READ_ONLY, False))
        # The pragma stays with the pooled connection, so it is sent only when it changes.
        if connection.info.get(_QUERY_ONLY, False) != read_only:
            raw_connection(connection).execute(f"PRAGMA query_only={int(read_only)}")
            connection.info[_QUERY_ONLY] = read_only
        if not read_only and not connection.info.get(_TURN, False):
            if not self._writing.acquire(timeout=BUSY_SECONDS):
                raise Overloaded("too many callers wait to write into the database")
            connection.info[_TURN] = True
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    def end(self, connection: Connection) -> None:
        """The transaction is about to end, and the connection may be kept for a next one."""
        self._release(connection.info)

    def end_unfinished(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """The connection goes back to the pool, whatever became of its transaction."""
        self._release(record.info)

    def _release(self, info: dict[Any, Any]) -> None:
        if info.pop(_TURN, False):
            self._writing.release()


def _translate(context: ExceptionContext) -> None:
    """The one place where the database's errors become ours; what is none of them passes."""
    engine = context.engine
    where = "the database" if engine is None else shown_url(engine)
    ours = meaning_of(context.original_exception, where)
    if ours is not None:
        raise ours from context.original_exception
