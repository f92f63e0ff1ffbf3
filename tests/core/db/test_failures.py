"""Is each driver's error told as what it means?"""

from __future__ import annotations

import sqlite3

import pytest

from core.db.failures import meaning_of
from core.errors import InvalidInput, StorageError


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("database or disk is full", "the disk is full"),
        ("disk I/O error", "the disk cannot be read"),
        ("database is locked", "busy with another writer"),
        ("attempt to write a readonly database", "cannot be written"),
        ("unable to open database file", "cannot be opened"),
        ("no such table: turns", "a table is missing. Run `db upgrade`"),
        ("something nobody has seen yet\nsecond line", "something nobody has seen yet$"),
    ],
)
def test_an_operational_error_becomes_a_storage_error(said: str, told: str) -> None:
    ours = meaning_of(sqlite3.OperationalError(said), "the database")
    assert isinstance(ours, StorageError)
    with pytest.raises(StorageError, match=told):
        raise ours


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.IntegrityError("UNIQUE constraint failed"),
        sqlite3.ProgrammingError("wrong number of bindings"),
        KeyError("ours"),
    ],
)
def test_what_is_an_answer_or_a_mistake_of_ours_passes(error: Exception) -> None:
    assert meaning_of(error, "the database") is None


def test_a_value_no_database_takes_is_bad_input() -> None:
    ours = meaning_of(OverflowError("Python int too large"), "the database")
    assert isinstance(ours, InvalidInput)
