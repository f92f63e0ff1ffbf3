"""Are feeds read from YAML, taken by one worker, and is their state kept?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import DataError
from services.finance_sentiment.feeds import Fetched
from services.finance_sentiment.pacing import Bounds
from services.finance_sentiment.source_lists import Listed, read_sources
from services.finance_sentiment.sources import (
    CLAIM,
    Checked,
    all_sources,
    claim,
    due_sources,
    record,
    save_sources,
)
from tests.finance_sentiment.conftest import NOW

Sessions = sessionmaker[Session]
A = Listed("A", "https://a.example/f")
B = Listed("B", "https://b.example/f", interval_seconds=60)
BOUNDS = Bounds(timedelta(minutes=5), timedelta(hours=1))


def save(sessions: Sessions, *feeds: Listed) -> tuple[int, int]:
    with sessions.begin() as session:
        return save_sources(session, feeds, NOW)


def test_a_yaml_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "- {name: A, url: 'https://a.example/f'}\n"
        "- {name: B, url: 'https://b.example/f', interval_minutes: 1, enabled: false}\n"
    )
    assert read_sources(path) == [A, Listed("B", "https://b.example/f", False, 60)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: A}", "url"),
        ("- {name: A, url: 'ftp://a.example'}", "http or https"),
        ("- {name: 3, url: 'https://a.example'}", "name"),
        ("- {name: A, url: 'https://a.example', interval_minutes: -1}", "interval_minutes"),
        ("- {name: A, url: 'https://a.example', interval_minutes: .nan}", "interval_minutes"),
        ("- {name: A, url: 'https://a.example', enabled: maybe}", "enabled"),
        ("- {name: A, url: 'https://a.example'}\n- {name: A, url: 'https://b.example'}", "line 1"),
        ("a: b", "list"),
        ("- [", "YAML"),
        ("", "no rows"),
    ],
)
def test_a_wrong_list_names_the_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_sources(path)


def test_feeds_are_added_once_and_brought_up_to_date(sessions: Sessions) -> None:
    assert save(sessions, A, B) == (2, 0)
    assert save(sessions, A, Listed("B", "https://b.example/new")) == (0, 2)
    with sessions() as session:
        assert [row.url for row in all_sources(session)] == [A.url, "https://b.example/new"]


def test_a_feed_that_is_switched_off_is_never_due(sessions: Sessions) -> None:
    save(sessions, Listed("A", A.url, enabled=False), B)
    with sessions() as session:
        assert [feed.name for feed in due_sources(session, NOW, 10)] == ["B"]


def test_a_due_feed_is_taken_by_one_worker(sessions: Sessions) -> None:
    save(sessions, A)
    with sessions() as session:
        [feed] = due_sources(session, NOW, 10)
    taken = []
    for _ in range(2):
        with sessions.begin() as session:
            taken.append(claim(session, feed, NOW))
    assert taken == [True, False]
    with sessions() as session:
        assert due_sources(session, NOW, 10) == []
        # A worker that died with it in its hands gives it back.
        assert due_sources(session, NOW + CLAIM, 10) != []


def test_failures_are_counted_shown_and_rested_from(sessions: Sessions) -> None:
    save(sessions, A)
    for expected in (1, 2):
        with sessions.begin() as session:
            [feed] = due_sources(session, NOW + timedelta(days=expected), 10)
            failed = Fetched("failed", error="the server answered 500")
            record(session, feed, failed, Checked(NOW, BOUNDS, 0))
        with sessions() as session:
            [row] = all_sources(session)
        assert (row.error_count, row.last_error) == (expected, "the server answered 500")
        assert row.next_check_at == NOW + timedelta(seconds=300 * 2**expected)


def test_a_success_clears_the_error_and_keeps_the_validators(sessions: Sessions) -> None:
    save(sessions, B)
    with sessions.begin() as session:
        [feed] = due_sources(session, NOW, 10)
        record(session, feed, Fetched("failed", error="x"), Checked(NOW, BOUNDS, 0))
        fresh = Fetched("fresh", etag='"v"', last_modified="m")
        record(session, feed, fresh, Checked(NOW, BOUNDS, 0))
    with sessions() as session:
        [row] = all_sources(session)
    assert (row.error_count, row.last_error, row.etag) == (0, None, '"v"')
    assert row.next_check_at == NOW + timedelta(seconds=60)
