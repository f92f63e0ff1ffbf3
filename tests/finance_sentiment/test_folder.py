"""Is a file in the watched folder read once, put aside, and told of when it is broken?"""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import DataError
from services.finance_sentiment.folder import Folder
from tests.finance_sentiment.conftest import Clock
from tests.finance_sentiment.site import rss

Sessions = sessionmaker[Session]


@pytest.fixture
def folder(sessions: Sessions, clock: Clock, tmp_path: Path) -> Folder:
    place = tmp_path / "in"
    place.mkdir()
    return Folder(place, sessions, clock, 10_000, 100)


def names(folder: Folder, place: str) -> list[str]:
    return sorted(path.name for path in (folder.path / place).glob("*"))


def test_feeds_and_lists_come_in_and_are_put_aside(folder: Folder) -> None:
    (folder.path / "feed.xml").write_bytes(rss("Oil falls", "Gold rises"))
    (folder.path / "list.csv").write_text("title,published_at\nBank fails,2026-03-02T10:00:00Z\n")
    assert folder.take(Event()) == 3
    assert names(folder, "done") == ["feed.xml", "list.csv"]
    assert folder.take(Event()) == 0


def test_a_file_that_comes_twice_is_no_news(folder: Folder) -> None:
    for _ in range(2):
        (folder.path / "feed.xml").write_bytes(rss("Oil falls"))
        last = folder.take(Event())
    assert last == 0
    assert names(folder, "done") == ["feed.xml"]


def test_a_broken_file_stops_no_other_and_says_why(folder: Folder) -> None:
    (folder.path / "a.xml").write_bytes(b"words")
    (folder.path / "b.csv").write_text("headline\nx\n")
    (folder.path / "c.exe").write_bytes(b"MZ")
    (folder.path / "d.xml").write_bytes(rss("Oil falls") + b" " * 10_000)
    (folder.path / "e.xml").write_bytes(rss("Oil falls"))
    assert folder.take(Event()) == 1
    assert names(folder, "failed") == [
        *("a.xml", "a.xml.txt", "b.csv", "b.csv.txt"),
        *("c.exe", "c.exe.txt", "d.xml", "d.xml.txt"),
    ]
    assert "title" in (folder.path / "failed" / "b.csv.txt").read_text()


def test_files_that_are_still_written_and_links_are_left_alone(folder: Folder) -> None:
    (folder.path / ".feed.xml").write_bytes(rss("Oil falls"))
    (folder.path / "feed.xml.part").write_bytes(rss("Oil falls"))
    secret = folder.path.parent / "secret.csv"
    secret.write_text("title,published_at\nSecret,2026-03-02T10:00:00Z\n")
    (folder.path / "link.csv").symlink_to(secret)
    assert folder.take(Event()) == 0
    assert secret.exists()


def test_a_folder_that_is_not_there_says_so(folder: Folder) -> None:
    folder.path.rmdir()
    with pytest.raises(DataError, match="WATCH_FOLDER"):
        folder.take(Event())
