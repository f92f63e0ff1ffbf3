"""Do files of past stories come in with their labels, moved where they are asked to be?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.errors import DataError
from services.finance_sentiment import alert_store
from services.finance_sentiment.alerts import Baseline
from services.finance_sentiment.baseline import Normal, TopicNormal
from services.finance_sentiment.history import read_history, write_history
from services.finance_sentiment.importing import Imported, import_sources, import_stories
from services.finance_sentiment.promise import Promise
from services.finance_sentiment.store import StoryFilter, page_of_stories
from tests.finance_sentiment.conftest import NOW

Sessions = sessionmaker[Session]
REPLAY = """offset_minutes,topic,sentiment,title,summary,source,url,story_key
-1500,banking,negative,Bank fails,It did.,A,https://a.example/1,s1
-60,energy,positive,Oil found,,B,https://b.example/2,s2
0,banking,neutral,Bank meets,,A,https://a.example/3,s3
"""


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    path = tmp_path / "replay.csv"
    path.write_text(REPLAY)
    return path


def take(sessions: Sessions, path: Path, **options: object) -> Imported:
    return import_stories(sessions, path, now=lambda: NOW, **options)  # type: ignore[arg-type]


def kept(sessions: Sessions) -> list[tuple[str, str | None, timedelta, str]]:
    with sessions() as session:
        rows, _ = page_of_stories(session, StoryFilter(), limit=100, cursor=None)
    return [(row.title, row.sentiment, NOW - row.published_at, row.source) for row in rows]


def test_a_stream_ends_now_and_keeps_its_labels(sessions: Sessions, replay: Path) -> None:
    assert take(sessions, replay, anchor=NOW) == Imported(3, 3, 0)
    assert kept(sessions) == [
        ("Bank meets", "neutral", timedelta(0), "A"),
        ("Oil found", "positive", timedelta(hours=1), "B"),
        ("Bank fails", "negative", timedelta(hours=25), "A"),
    ]


def test_the_last_hours_can_be_left_to_a_replay(sessions: Sessions, replay: Path) -> None:
    assert take(sessions, replay, anchor=NOW, leave_out=timedelta(hours=12)).added == 1


def test_an_import_again_adds_nothing(sessions: Sessions, replay: Path) -> None:
    take(sessions, replay, anchor=NOW)
    assert take(sessions, replay, anchor=NOW + timedelta(minutes=5)).added == 0


def test_labels_can_be_left_to_the_model(sessions: Sessions, replay: Path) -> None:
    assert take(sessions, replay, anchor=NOW, relabel=True).unlabelled == 3
    assert {sentiment for _, sentiment, _, _ in kept(sessions)} == {None}


def test_history_makes_the_detector_learn_anew(sessions: Sessions, replay: Path) -> None:
    normal = Normal({}, TopicNormal(0.2, 10.0), (0.1,) * 3, (9.0,) * 3)
    old = Baseline(1, 1, Promise(1.0, 1.0, (5.0, 9.0, 7.0), 1.0, None), normal)
    with sessions.begin() as session:
        alert_store.save_baseline(session, old, NOW)
        assert alert_store.latest_baseline(session) == old
    take(sessions, replay, anchor=NOW)
    with sessions() as session:
        assert alert_store.latest_baseline(session) is None


def test_a_written_history_is_read_back(replay: Path, tmp_path: Path) -> None:
    stories = read_history(replay, anchor=NOW)
    path = tmp_path / "out.csv"
    write_history(path, stories)
    again = read_history(path, anchor=NOW - timedelta(days=99))
    assert [(s.title, s.published_at, s.sentiment) for s in again] == [
        (s.title, s.published_at, s.sentiment) for s in stories
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title\nOil", "published_at"),
        ("offset_minutes\n-1", "title"),
        ("title,offset_minutes\nOil,5", "line 2.*offset_minutes"),
        ("title,offset_minutes\nOil,nan", "offset_minutes"),
        ("title,published_at\nOil,soon", "published_at"),
        ("title,published_at\nOil,1e300", "published_at"),
        ("title,published_at,sentiment\nOil,2026-01-01,bad", "sentiment"),
        ('title,published_at\n"Oil,2026-01-01', "quote"),
        ("", "empty"),
    ],
)
def test_a_wrong_file_names_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "h.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_history(path, anchor=NOW)


def test_a_list_of_feeds_comes_in(sessions: Sessions, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("- {name: A, url: 'https://a.example/f'}\n")
    assert import_sources(sessions, path, NOW) == (1, 0)
    assert import_sources(sessions, path, NOW) == (0, 1)
