"""What the worker does beside the answers."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from core.artifacts import Registry
from core.data.records import Item
from core.db.leases import acquire
from services.recommender.event_store import NewEvent
from services.recommender.model import KIND
from services.recommender.settings import Settings
from services.recommender.tables import leases
from services.recommender.worker import Worker, run
from tests.recommender.conftest import AFTER, Clock, Database


@pytest.fixture
def worker(sqlite: Database, settings: Settings, clock: Clock) -> Worker:
    return make_worker(sqlite, settings, clock, threading.Event())


def make_worker(
    database: Database, settings: Settings, clock: Clock, stop: threading.Event
) -> Worker:
    return Worker(settings, database.sessions, database.readers, owner="me", now=clock, stop=stop)


def test_items_that_came_before_the_model_get_their_vectors(
    sqlite: Database, worker: Worker, settings: Settings, model_folder: Path
) -> None:
    sqlite.items.upsert([Item(f"i{n}", f"tent number {n}") for n in range(150)], AFTER)
    assert worker.encode() == 0  # there is no model yet
    Registry(settings.models_dir, KIND).promote(model_folder)
    assert worker.encode() == 150
    assert worker.encode() == 0


def test_events_are_summed_up_once(sqlite: Database, worker: Worker) -> None:
    sqlite.events.add(
        [NewEvent(str(n), "u", None, "a", "click", None, AFTER) for n in range(7)], AFTER
    )
    assert worker.fold() == 7
    assert worker.fold() == 0


def test_what_another_worker_does_is_left_to_it(
    sqlite: Database, worker: Worker, settings: Settings, clock: Clock
) -> None:
    sqlite.events.add([NewEvent("1", "u", None, "a", "click", None, AFTER)], AFTER)
    with sqlite.sessions.begin() as session:
        ttl = timedelta(minutes=5)
        assert acquire(session, leases, "counters", "another", now=clock(), ttl=ttl)
    assert worker.fold() == 0
    clock.forward(minutes=6)  # the other one has died
    assert worker.fold() == 1


def test_a_worker_that_is_told_to_stop_begins_nothing(
    sqlite: Database, settings: Settings, clock: Clock
) -> None:
    sqlite.events.add([NewEvent("1", "u", None, "a", "click", None, AFTER)], AFTER)
    stop = threading.Event()
    stop.set()
    assert make_worker(sqlite, settings, clock, stop).fold() == 0


def test_run_works_until_it_is_told_to_stop(stocked: Settings, clock: Clock) -> None:
    stop = threading.Event()
    thread = threading.Thread(
        target=run, args=(stocked.replace(worker_seconds=0.1), stop), kwargs={"now": clock}
    )
    thread.start()
    stop.set()
    thread.join(timeout=30)
    assert not thread.is_alive()
