"""Does a past stream come in again as feeds, faster than it was lived?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from core.errors import SettingsError
from services.finance_sentiment.feed_formats import parse_feed
from services.finance_sentiment.replay import Replay, load_replay, make_server
from tests.finance_sentiment.conftest import NOW

STORIES = """offset_minutes,topic,sentiment,title,summary,source,url
-1500,banking,negative,5 < 6 & Co fails,,The Wire,https://a.example/1
-600,energy,positive,Oil found,More.,The Wire,https://a.example/2
-60,energy,neutral,Oil meets,,北方,https://b.example/3
0,energy,neutral,Oil ends,,The Wire,https://a.example/4
"""


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    path = tmp_path / "replay.csv"
    path.write_text(STORIES, encoding="utf-8")
    return load_replay(
        path, anchor=NOW, last_hours=12, hours_per_minute=60, base_url="http://127.0.0.1:8010"
    )


def titles(replay: Replay, seconds: float, slug: str = "the-wire") -> list[str]:
    answer = replay.answer(f"/feeds/{slug}.xml", {}, NOW + timedelta(seconds=seconds))
    assert answer.status == 200
    return [entry.title for entry in parse_feed(answer.body).entries]


def test_stories_appear_as_time_passes(replay: Replay) -> None:
    assert titles(replay, 0) == ["5 < 6 & Co fails"]
    assert titles(replay, 3)[0] == "Oil found"
    assert titles(replay, 12)[0] == "Oil ends"
    assert titles(replay, 9_999) == titles(replay, 12)


def test_a_story_keeps_the_hour_it_has_in_the_stream(replay: Replay) -> None:
    answer = replay.answer("/feeds/the-wire.xml", {}, NOW + timedelta(minutes=1))
    entry = parse_feed(answer.body).entries[0]
    assert entry.published_at == NOW.replace(second=0)


def test_who_has_it_already_is_told_so(replay: Replay) -> None:
    etag = replay.answer("/feeds/the-wire.xml", {}, NOW).headers["ETag"]
    again = replay.answer("/feeds/the-wire.xml", {"if-none-match": etag}, NOW)
    assert (again.status, again.body) == (304, b"")
    later = NOW + timedelta(seconds=3)
    assert replay.answer("/feeds/the-wire.xml", {"if-none-match": etag}, later).status == 200


def test_a_source_without_a_latin_letter_has_an_address(replay: Replay) -> None:
    [slug] = [slug for slug, name in replay.names.items() if name == "北方"]
    assert titles(replay, 12, slug) == ["Oil meets"]


def test_the_feeds_are_listed_for_import(replay: Replay) -> None:
    listed = yaml.safe_load(replay.answer("/sources.yaml", {}, NOW).body)
    assert [feed["name"] for feed in listed] == ["The Wire", "北方"]
    assert listed[0]["url"] == "http://127.0.0.1:8010/feeds/the-wire.xml"


def test_history_is_what_came_before_the_played_hours(replay: Replay) -> None:
    assert [story.url for story in replay.history] == ["https://a.example/1"]


@pytest.mark.parametrize(
    "path", ["/feeds/x.xml", "/../etc/passwd", "/feeds/", "", "/feeds/a.xml?x"]
)
def test_other_addresses_are_unknown(replay: Replay, path: str) -> None:
    assert replay.answer(path, {}, NOW).status == 404


def test_a_taken_port_says_what_to_do(replay: Replay) -> None:
    first = make_server(replay, "127.0.0.1", 0, lambda: NOW)
    try:
        with pytest.raises(SettingsError, match="--port"):
            make_server(replay, "127.0.0.1", first.server_address[1], lambda: NOW)
    finally:
        first.server_close()
