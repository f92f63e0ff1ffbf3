"""Do both databases behave alike, and does a failure say its mend?"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from core.db.engine import BUSY_SECONDS, make_engine, ping, session_factory, shown_url
from core.db.types import UtcDateTime
from core.errors import InvalidInput, Overloaded, SettingsError, StorageError, TrefoilError

METADATA = MetaData()
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("words", String(100), unique=True),
    Column("at", UtcDateTime),
)


@pytest.fixture
def notes(engine: Engine) -> Engine:
    METADATA.create_all(engine)
    return engine


def count(engine: Engine) -> int:
    with session_factory(engine, read_only=True)() as session:
        return len(session.execute(select(NOTES.c.id)).all())


def test_a_session_commits_at_its_end(notes: Engine) -> None:
    with session_factory(notes).begin() as session:
        session.execute(NOTES.insert().values(words="kept"))
    assert count(notes) == 1


def test_an_exception_leaves_nothing_behind(notes: Engine) -> None:
    with pytest.raises(KeyError), session_factory(notes).begin() as session:
        session.execute(NOTES.insert().values(words="lost"))
        raise KeyError
    assert count(notes) == 0


def test_a_read_only_session_cannot_write_and_the_next_one_can(notes: Engine) -> None:
    with (
        pytest.raises(StorageError, match=r"read-only|cannot be written"),
        session_factory(notes, read_only=True).begin() as session,
    ):
        session.execute(NOTES.insert().values(words="no"))
    with session_factory(notes).begin() as session:
        session.execute(NOTES.insert().values(words="yes"))
    assert count(notes) == 1


def test_a_moment_comes_back_in_utc_whatever_its_zone_was(notes: Engine) -> None:
    in_shanghai = datetime(2026, 3, 1, 8, 30, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    with session_factory(notes).begin() as session:
        session.execute(NOTES.insert().values(at=in_shanghai))
    with session_factory(notes)() as session:
        found = session.execute(select(NOTES.c.at)).scalar_one()
    assert found == in_shanghai
    assert found.utcoffset() == timedelta(0)


def test_a_naive_moment_is_refused(notes: Engine) -> None:
    with (
        pytest.raises(StatementError, match="was naive"),
        session_factory(notes).begin() as session,
    ):
        session.execute(NOTES.insert().values(at=datetime(2026, 3, 1)))


def test_a_breach_of_a_unique_rule_passes_as_it_is(notes: Engine) -> None:
    with pytest.raises(IntegrityError), session_factory(notes).begin() as session:
        session.execute(NOTES.insert().values(words="twice"))
        session.execute(NOTES.insert().values(words="twice"))


@pytest.mark.parametrize("words", ["half a pair \ud800"])
def test_text_that_no_database_takes_is_bad_input(notes: Engine, words: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be stored"), session_factory(notes)() as session:
        session.execute(NOTES.insert().values(words=words))


def test_a_number_beyond_64_bits_is_bad_input(notes: Engine) -> None:
    with pytest.raises(InvalidInput, match="cannot be stored"), session_factory(notes)() as session:
        session.execute(NOTES.insert().values(id=2**80))


def test_nul_is_stored_or_refused_but_never_breaks(notes: Engine) -> None:
    try:
        with session_factory(notes).begin() as session:
            session.execute(NOTES.insert().values(words="a\x00b"))
    except InvalidInput:
        assert notes.dialect.name == "postgresql"


def test_a_missing_table_names_the_mend(engine: Engine) -> None:
    with pytest.raises(StorageError, match="db upgrade"), session_factory(engine)() as session:
        session.execute(text("SELECT * FROM nowhere"))


def test_transactions_that_read_and_then_write_wait_for_each_other(notes: Engine) -> None:
    """On SQLite a deferred transaction would fail here at once: "database is locked"."""
    sessions = session_factory(notes)
    with sessions.begin() as session:
        session.execute(NOTES.insert().values(id=1, words="0"))
    failures: list[Exception] = []

    def add_one() -> None:
        try:
            for _ in range(10):
                with sessions.begin() as session:
                    one = select(NOTES.c.words).where(NOTES.c.id == 1).with_for_update()
                    words = session.execute(one).scalar_one()
                    session.execute(NOTES.update().values(words=str(int(words) + 1)))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with sessions() as session:
        assert session.execute(select(NOTES.c.words)).scalar_one() == "40"


def test_after_writers_that_failed_the_next_one_writes(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.db.engine.BUSY_SECONDS", 0.05)
    engine = make_engine(sqlite_url)
    METADATA.create_all(engine)
    sessions = session_factory(engine)
    with pytest.raises(ZeroDivisionError), sessions.begin() as session:
        session.execute(NOTES.insert().values(id=1, words="never"))
        raise ZeroDivisionError
    other = sqlite3.connect(str(engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TrefoilError), sessions.begin() as session:
        session.execute(NOTES.insert().values(id=1, words="never"))
    other.execute("ROLLBACK")
    other.close()
    for number in range(20):  # more than the pool keeps
        with sessions.begin() as session:
            session.execute(NOTES.insert().values(id=number, words=str(number)))
    engine.dispose()


def test_a_writer_whose_turn_does_not_come_is_told_so_and_the_others_go_on(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.db.engine.BUSY_SECONDS", 0.05)
    engine = make_engine(sqlite_url)
    METADATA.create_all(engine)
    sessions = session_factory(engine)
    with sessions.begin() as first:
        first.execute(NOTES.insert().values(id=1, words="first"))
        with pytest.raises(Overloaded), sessions.begin() as second:
            second.execute(NOTES.insert().values(id=2, words="never"))
    with sessions.begin() as third:
        third.execute(NOTES.insert().values(id=3, words="third"))
    assert count(engine) == 2
    engine.dispose()


def test_what_the_pool_does_is_not_logged_among_our_own_lines(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "core")
    engine = make_engine(sqlite_url)
    ping(engine)
    engine.dispose()
    assert caplog.messages == []


def test_a_connection_that_is_kept_after_its_commit_holds_nobody_up(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    METADATA.create_all(engine)

    def write() -> None:
        with session_factory(engine).begin() as session:
            session.execute(NOTES.insert().values(id=2, words="second"))

    with engine.connect() as kept:
        kept.execute(NOTES.insert().values(id=1, words="first"))
        kept.commit()
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(BUSY_SECONDS / 2)
        assert not writer.is_alive()
    engine.dispose()


def test_ping_passes_on_a_database_that_answers(engine: Engine) -> None:
    ping(engine)


def test_sqlite_runs_in_wal_with_foreign_keys(sqlite_url: str) -> None:
    with make_engine(sqlite_url).connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragma == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "busy_timeout": 10_000,
    }


def test_a_reader_is_not_held_up_by_a_writer_on_sqlite(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    METADATA.create_all(engine)
    with session_factory(engine).begin() as writer:
        writer.execute(NOTES.insert().values(words="not yet"))
        assert count(engine) == 0
    assert count(engine) == 1


def test_what_was_committed_survives_kill_9(sqlite_url: str) -> None:
    script = (
        "import os, signal, sys\n"
        "from core.db.engine import BUSY_SECONDS, make_engine, session_factory\n"
        "from sqlalchemy import text\n"
        "engine = make_engine(sys.argv[1])\n"
        "sessions = session_factory(engine)\n"
        "with sessions.begin() as session:\n"
        "    session.execute(text('CREATE TABLE turns (id INTEGER)'))\n"
        "    session.execute(text('INSERT INTO turns VALUES (1)'))\n"
        "open_one = sessions()\n"
        "open_one.execute(text('INSERT INTO turns VALUES (2)'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, sqlite_url],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with make_engine(sqlite_url).connect() as connection:
        assert connection.execute(text("SELECT id FROM turns")).scalars().all() == [1]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    ping(make_engine(f"sqlite:///{tmp_path}/not/yet/there.db"))
    assert (tmp_path / "not/yet/there.db").exists()


def test_a_folder_that_cannot_be_made_is_told_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="TREFOIL_VAR"):
        make_engine(f"sqlite:///{tmp_path}/file/there.db")


def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are my notes, " * 100)
    with pytest.raises(StorageError, match="is no SQLite database") as caught:
        ping(make_engine(f"sqlite:///{tmp_path}/notes.db"))
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_with_its_mend(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    METADATA.create_all(engine)
    with (
        pytest.raises(StorageError, match=r"the disk is full. Free some space"),
        engine.connect() as connection,
    ):
        # The same code that a full disk gives, at a size we choose.
        connection.exec_driver_sql("PRAGMA max_page_count=1")
        for number in range(1000):
            connection.execute(NOTES.insert().values(words=f"{number} " + "x" * 90))


def test_a_database_that_nobody_serves_is_told_with_its_mend() -> None:
    engine = make_engine("postgresql://me:secret@127.0.0.1:1/nothing")
    with pytest.raises(StorageError, match="nobody listens there") as caught:
        ping(engine)
    assert "secret" not in str(caught.value)
    assert "secret" not in shown_url(engine)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "cannot be read"),
        ("my.db", "cannot be read"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("mysql://host/name", "no support for 'mysql'"),
        ("nonsense://host/name", "no support for 'nonsense'"),
    ],
)
def test_a_url_that_is_not_for_us_is_a_settings_error(url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        make_engine(url)
