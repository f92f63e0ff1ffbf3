"""Does the demo's past end now, and look like something that happened?"""

from __future__ import annotations

import asyncio
import csv
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.db.engine import make_engine
from services.customer_service.tables import handoffs, turns
from services.demo.history import make_past, moved_shop
from services.demo.steps import add_agent
from services.demo.visitors import Shoppers, password_of, read_questions
from services.recommender.tables import answers, events
from tests.made_services import trained_services

__all__ = ["trained_services"]

DATA = Path(__file__).resolve().parents[2] / "shared_data"
NOW = datetime(2027, 2, 3, 15, 0, tzinfo=UTC)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_sample_log_is_moved_by_whole_days_so_that_it_ends_within_the_last_day(
    tmp_path: Path,
) -> None:
    items, log = moved_shop(DATA / "recommender", tmp_path, NOW)
    before, after = rows(DATA / "recommender" / "events.csv"), rows(log)
    moments = [datetime.fromisoformat(row["timestamp"]) for row in after]
    assert timedelta(0) <= NOW - max(moments) < timedelta(days=1)
    moved = {
        new - datetime.fromisoformat(old["timestamp"])
        for new, old in zip(moments, before, strict=True)
    }
    assert len(moved) == 1
    assert moved.pop().seconds == 0, "the time of day must stay"
    assert max(row["created_at"] for row in rows(items)) <= NOW.date().isoformat()
    assert [row["title"] for row in rows(items)] == [
        row["title"] for row in rows(DATA / "recommender" / "items.csv")
    ]


def test_files_that_the_shop_was_filled_with_are_not_moved_again(tmp_path: Path) -> None:
    moved_shop(DATA / "recommender", tmp_path, NOW)
    kept = (tmp_path / "events.csv").read_bytes()
    moved_shop(DATA / "recommender", tmp_path, NOW + timedelta(days=30))
    assert (tmp_path / "events.csv").read_bytes() == kept


@pytest.fixture(scope="module")
def shoppers() -> Shoppers:
    return Shoppers.read(DATA / "recommender" / "items.csv", DATA / "recommender" / "events.csv")


def test_a_shopper_likes_what_carries_the_tags_of_their_clicks(shoppers: Shoppers) -> None:
    name = "u0371"  # bakes sourdough, says shoppers.yaml
    likings = {item: shoppers.liking(name, item) for item in shoppers.tags}
    best = sorted(likings, key=lambda item: -likings[item])[:10]
    loved = Counter(tag for item in best for tag in shoppers.tags[item])
    assert loved["sourdough"] >= 3
    assert all(0.01 <= liking <= 0.3 for liking in likings.values())
    assert shoppers.liking("nobody", best[0]) == 0.01


@pytest.fixture
def var(trained_services: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run-time folder, with somebody who may log in at the desk."""
    copy = tmp_path / "var"
    shutil.copytree(trained_services, copy)
    monkeypatch.setenv("TREFOIL_VAR", str(copy))
    add_agent(tmp_path)
    return copy


def test_a_past_of_hours_is_asked_answered_shown_and_ends_before_now(
    var: Path, tmp_path: Path, shoppers: Shoppers
) -> None:
    now = datetime.now(UTC)
    kept = tmp_path / "history-until"
    kept.write_text((now - timedelta(hours=30)).isoformat())
    questions = read_questions(DATA / "customer_service")
    asked, visited = asyncio.run(make_past(tmp_path, questions, shoppers, now))
    assert asked > 10
    assert visited > 20
    assert datetime.fromisoformat(kept.read_text()) == now

    support = make_engine(f"sqlite:///{var}/customer_service/customer_service.db")
    with support.connect() as connection:
        count, first, last = connection.execute(
            select(func.count(), func.min(turns.c.created_at), func.max(turns.c.created_at))
        ).one()
        still_waiting = connection.scalar(
            select(func.count()).select_from(handoffs).where(handoffs.c.resolved_at.is_(None))
        )
    assert count >= asked
    assert now - timedelta(hours=31) < first < last < now
    assert still_waiting == 0, "somebody at the desk answered everybody"

    shop = make_engine(f"sqlite:///{var}/recommender/recommender.db")
    with shop.connect() as connection:
        shelves = connection.scalar(select(func.count()).select_from(answers))
        kinds = Counter(
            connection.execute(
                select(events.c.kind).where(events.c.recommendation_id.is_not(None))
            ).scalars()
        )
    assert shelves == visited
    assert kinds["impression"] == 8 * visited
    assert 0 < kinds["click"] < kinds["impression"]


def test_nothing_is_made_up_for_time_that_has_its_past_already(
    var: Path, tmp_path: Path, shoppers: Shoppers
) -> None:
    now = datetime.now(UTC)
    (tmp_path / "history-until").write_text(now.isoformat())
    questions = read_questions(DATA / "customer_service")
    assert asyncio.run(make_past(tmp_path, questions, shoppers, now)) == (0, 0)


def test_each_demo_has_a_password_of_its_own_that_nobody_else_reads(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = password_of(tmp_path / "a")
    assert password_of(tmp_path / "a") == first
    assert password_of(tmp_path / "b") != first
    assert (tmp_path / "a" / "desk-password").stat().st_mode & 0o077 == 0
