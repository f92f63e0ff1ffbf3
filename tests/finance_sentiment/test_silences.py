"""Are just those alerts silenced that a silence names, just as long?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import InvalidInput
from services.finance_sentiment.silence_store import add_silence, end_silence, open_silences
from services.finance_sentiment.silences import (
    Matcher,
    Silence,
    alert_labels,
    check_times,
    checked_matchers,
    silenced_by,
)
from tests.finance_sentiment.conftest import NOW

Sessions = sessionmaker[Session]
HOUR = timedelta(hours=1)
BANKING = alert_labels("banking", "rule:half", test=False)


@pytest.mark.parametrize(
    ("operator", "name", "value", "meets"),
    [
        ("=", "topic", "banking", True),
        ("=", "topic", "bank", False),
        ("!=", "topic", "energy", True),
        ("!=", "topic", "banking", False),
        ("^=", "detector", "rule:", True),
        ("^=", "topic", "energy", False),
        ("=", "test", "false", True),
        ("=", "unknown", "", True),
    ],
)
def test_a_matcher_reads_as_it_is_written(
    operator: str, name: str, value: str, meets: bool
) -> None:
    assert Matcher(name, operator, value).meets(BANKING) is meets


def test_all_matchers_must_be_met_at_that_time() -> None:
    both = (Matcher("topic", "=", "banking"), Matcher("detector", "^=", "rule:"))
    silence = Silence(7, both, NOW, NOW + HOUR)
    assert silenced_by(BANKING, [silence], NOW) == [7]
    assert silenced_by(BANKING, [silence], NOW + HOUR) == []
    assert silenced_by(BANKING, [silence], NOW - HOUR) == []
    assert silenced_by(BANKING | {"topic": "energy"}, [silence], NOW) == []


@pytest.mark.parametrize(
    "said",
    [
        [],
        [{"name": "colour", "operator": "=", "value": "red"}],
        [{"name": "topic", "operator": "=~", "value": ".*"}],
        [{"name": "topic", "operator": "=", "value": 5}],
        [{"name": "topic", "operator": "=", "value": "x" * 201}],
        [{"name": "topic", "operator": "^=", "value": ""}],
    ],
)
def test_a_matcher_that_means_nothing_or_everything_is_refused(said: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidInput):
        checked_matchers(said)


@pytest.mark.parametrize("length", [timedelta(0), -HOUR, timedelta(days=367)])
def test_times_that_cannot_be_meant_are_refused(length: timedelta) -> None:
    with pytest.raises(InvalidInput):
        check_times(NOW, NOW + length)


def test_silences_are_kept_and_ended(sessions: Sessions) -> None:
    matchers = checked_matchers([{"name": "topic", "operator": "=", "value": "banking"}])
    with sessions.begin() as session:
        first, second = (
            add_silence(
                session, matchers, NOW, NOW + hours * HOUR, created_by="A", comment="", now=NOW
            )
            for hours in (1, 5)
        )
    with sessions() as session:
        assert [s.id for s in open_silences(session, NOW)] == [first, second]
        assert open_silences(session, NOW)[0].matchers == matchers
        assert [s.id for s in open_silences(session, NOW + 2 * HOUR)] == [second]
    with sessions.begin() as session:
        assert end_silence(session, second, NOW + HOUR)
        assert not end_silence(session, second, NOW + HOUR)
    with sessions() as session:
        assert open_silences(session, NOW + HOUR) == []
