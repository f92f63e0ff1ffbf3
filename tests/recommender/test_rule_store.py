"""Versions of the rules, in two processes on one database."""

from __future__ import annotations

import pytest

from core.errors import Conflict, InvalidInput, NotFound
from services.recommender.rule_store import RuleStore
from tests.recommender.conftest import Database

NOW = 1_800_000_000.0
BLOCK = [{"kind": "block", "filter": {"brand": "Alder"}}]
CAP = [{"kind": "cap", "field": "brand", "most": 1}]


def store(database: Database) -> RuleStore:
    return RuleStore(database.sessions, database.readers)


def test_what_one_process_puts_the_other_has_at_once(database: Database) -> None:
    one, other = store(database), store(database)
    assert other.in_force().version == 0 and other.current() is None
    made = one.put(BLOCK, "merchandiser", "no Alder", NOW)
    assert made.version == 1
    assert len(other.in_force().of(None).blocks) == 1
    one.put(CAP, "merchandiser", "", NOW + 1)
    assert other.in_force().of(None).caps == {"brand": 1}
    assert other.in_force() is other.in_force()


def test_versions_are_kept_and_any_can_come_back(database: Database) -> None:
    rules = store(database)
    rules.put(BLOCK, "ann", "first", NOW)
    rules.put(CAP, "bob", "second", NOW + 1)
    back = rules.roll_back(1, "ann", "as it was", NOW + 2)
    assert (back.version, back.rules, back.restored) == (3, BLOCK, 1)
    assert rules.current() == back
    assert [one.author for one in rules.versions(10)] == ["ann", "bob", "ann"]
    assert [one.version for one in rules.versions(1, before=3)] == [2]
    assert rules.roll_back(0, "ann", "", NOW).rules == []
    with pytest.raises(NotFound, match="no version 9"):
        rules.roll_back(9, "ann", "", NOW)


def test_nothing_of_a_wrong_list_is_kept(sqlite: Database) -> None:
    rules = store(sqlite)
    with pytest.raises(InvalidInput, match=r"rules\[1\]"):
        rules.put([*BLOCK, {"kind": "no"}], "ann", "", NOW)
    assert rules.current() is None


def test_a_change_to_an_older_version_is_refused(sqlite: Database) -> None:
    rules = store(sqlite)
    rules.put(BLOCK, "ann", "", NOW, based_on=0)
    with pytest.raises(Conflict, match="version 1 is in force, not 0"):
        rules.put(CAP, "bob", "", NOW, based_on=0)
