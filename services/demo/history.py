"""What happened at the bot and in the shop before the demo began, so that the charts have a past?

The sample log of the shop is moved so that it ends now. Then two weeks of conversations and of
shelves are played through the services' own code by a clock that runs ahead, in some seconds: what
the dashboards show was asked, answered, logged and rated like anything else. A demo that was here
before plays the time since it ended.
"""

from __future__ import annotations

import csv
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from fastapi import FastAPI

from services.demo.visitors import Customers, DeskPerson, Question, Shoppers, password_of

DAYS = 14
CONVERSATIONS_A_DAY = 24
VISITS_A_DAY = 40
_UNTIL = "history-until"
# How busy each hour of the day is beside the others.
_RHYTHM = (1, 1, 1, 1, 1, 2, 3, 5, 8, 10, 10, 9, 8, 8, 9, 9, 9, 9, 10, 10, 8, 6, 4, 2)


class MovedClock:
    """A clock that is set by whoever makes the past."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


def moved_shop(data: Path, folder: Path, now: datetime) -> tuple[Path, Path]:
    """(items, events) of the sample shop in `folder`, moved by whole days so that the last event
    was within the last day. Files that are there stay: the shop has them already."""
    items, events = folder / "items.csv", folder / "events.csv"
    if not events.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (data / "events.csv").open(encoding="utf-8", newline="") as file:
            last = max(datetime.fromisoformat(row["timestamp"]) for row in csv.DictReader(file))
        days = timedelta(days=(now - last).days)
        _moved(data / "items.csv", items, "created_at", days)
        _moved(data / "events.csv", events, "timestamp", days)
    return items, events


def _moved(source: Path, target: Path, column: str, days: timedelta) -> None:
    aside = target.with_suffix(".part")
    with (
        source.open(encoding="utf-8", newline="") as old,
        aside.open("w", encoding="utf-8", newline="") as new,
    ):
        rows = csv.DictReader(old)
        writer = csv.DictWriter(new, rows.fieldnames or ())
        writer.writeheader()
        for row in rows:
            when = datetime.fromisoformat(row[column]) + days
            row[column] = when.isoformat() if when.tzinfo else when.date().isoformat()
            writer.writerow(row)
    aside.replace(target)


async def make_past(
    folder: Path, questions: list[Question], shoppers: Shoppers, now: datetime
) -> tuple[int, int]:
    """(conversations, visits) made between the last time, at most `DAYS` ago, and now. The
    services' settings are those of the environment."""
    kept = folder / _UNTIL
    begin = now - timedelta(days=DAYS)
    if kept.exists():
        begin = max(begin, datetime.fromisoformat(kept.read_text().strip()))
    rng = random.Random(int(begin.timestamp()))
    asked = await _past_of_the_bot(questions, password_of(folder), begin, now, rng)
    visited = await _past_of_the_shop(shoppers, begin, now, rng)
    kept.write_text(now.isoformat())
    return asked, visited


async def _past_of_the_bot(
    questions: list[Question], password: str, begin: datetime, end: datetime, rng: random.Random
) -> int:
    from services.customer_service.app import create_app
    from services.customer_service.settings import Settings

    clock = MovedClock(begin)
    count = 0
    # One log-in lasts for all of the moved time.
    settings = Settings(desk_idle_minutes=10_080, desk_session_hours=720)
    # Two clients: who has logged in at the desk is no customer.
    async with _clients(create_app(settings, now=clock)) as (asking, sitting):
        customers, person = Customers(asking, questions), DeskPerson(sitting, password)
        for moment in _moments(begin, end, CONVERSATIONS_A_DAY, rng):
            clock.moment = max(clock.moment, moment)
            name = f"past-{moment:%Y%m%d%H%M%S}-{count}"
            if await customers.converse(name, rng, clock.wait):
                clock.wait(rng.uniform(60, 900))
                await person.answer(name)
            count += 1
    return count


async def _past_of_the_shop(
    shoppers: Shoppers, begin: datetime, end: datetime, rng: random.Random
) -> int:
    from services.recommender.app import create_app

    clock = MovedClock(begin)
    count = 0
    async with _clients(create_app(now=clock)) as (client, _):
        for moment in _moments(begin, end, VISITS_A_DAY, rng):
            clock.moment = moment
            await shoppers.visit(client, rng, clock)
            count += 1
    return count


@asynccontextmanager
async def _clients(app: FastAPI) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    def client() -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)

    async with app.router.lifespan_context(app), client() as one, client() as other:
        yield one, other


def _moments(begin: datetime, end: datetime, a_day: int, rng: random.Random) -> Iterator[datetime]:
    """About `a_day` moments a day, in order, by the rhythm of the day."""
    hour = begin.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < end:
        expected = a_day * _RHYTHM[hour.hour] / sum(_RHYTHM)
        count = int(expected) + (rng.random() < expected % 1)
        for second in sorted(rng.uniform(0, 3600) for _ in range(count)):
            moment = hour + timedelta(seconds=second)
            # The last minutes belong to what is alive: nothing may lie ahead of the clock.
            if begin <= moment < end - timedelta(minutes=10):
                yield moment
        hour += timedelta(hours=1)
