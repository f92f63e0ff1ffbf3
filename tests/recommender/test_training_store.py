"""When is a training due, and what is kept of those there were?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.data.records import Item
from services.recommender import training_store as store
from services.recommender.event_store import NewEvent
from services.recommender.training_store import Result, Standing, When, plan
from tests.recommender.conftest import AFTER, Clock, Database

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHEN = When(after=100, growth=0.2, pause=HOUR)


def stand(**changed: object) -> Standing:
    values = {"live": True, "items": 5, "positives": 1_000, "positives_then": 1_000} | changed
    return Standing(**values)


def due(when: When = WHEN, **changed: object) -> bool:
    return plan(stand(**changed), when, NOW).due(NOW)


def test_enough_new_events_in_number_and_in_share_make_a_training_due() -> None:
    assert not due(positives=1_199), "100 are enough, but not a fifth of what there was"
    assert due(positives=1_200)
    assert not due(positives=350, positives_then=300)
    assert due(positives=400, positives_then=300)


def test_a_shop_without_a_model_gets_one_as_soon_as_it_has_items() -> None:
    assert due(live=False, positives=0, positives_then=0)
    assert not due(live=False, items=0)
    assert plan(stand(live=False), WHEN, NOW).cause == "first"


def test_trainings_by_themselves_keep_their_distance_and_asked_ones_do_not() -> None:
    late = {"positives": 2_000, "last_start": NOW - HOUR / 2}
    assert not due(**late)
    assert plan(stand(**late), WHEN, NOW).at == NOW + HOUR / 2
    assert due(**late, asked=3)


def test_without_a_number_only_asked_trainings_are_made() -> None:
    never = When(0, 0.2, HOUR)
    assert not due(never, positives=10**6) and not due(never, live=False)
    assert due(never, asked=1)


@pytest.mark.parametrize(("failures", "minutes"), [(1, 10), (2, 20), (4, 80), (20, 24 * 60)])
def test_a_failed_training_is_tried_again_later_and_later(failures: int, minutes: int) -> None:
    coming = plan(stand(failures=failures, last_end=NOW, last_start=NOW), WHEN, NOW)
    assert coming.cause == "retry" and coming.at == NOW + timedelta(minutes=minutes)


def clicks(number: int, start: int = 0) -> list[NewEvent]:
    ids = range(start, start + number)
    return [NewEvent(str(n), "u", None, "a", "click", None, AFTER) for n in ids]


def test_what_came_is_counted_from_the_last_training_that_ended_well(
    database: Database, clock: Clock
) -> None:
    database.items.upsert([Item("a", "a tent")], AFTER)
    database.events.add(clicks(7), AFTER)
    database.events.fold()
    with database.sessions.begin() as session:
        stood = store.standing(session, live=True)
        assert (stood.new, stood.items, stood.asked) == (7, 1, None)
        number = store.begin(session, stood, "growth", "fast", "live", clock())
        store.keep(session, number, Result("v1", 5.0, {"items": 1}, "adapter", "it ranked better"))
        store.finish(session, number, "promoted", clock())
        assert store.trained_until(session, "v1") == 5.0
        assert store.trained_until(session, "v2") is None
    database.events.add(clicks(3, start=7), AFTER)
    database.events.fold()
    with database.sessions.begin() as session:
        stood = store.standing(session, live=True)
        assert (stood.new, stood.failures) == (3, 0)
        failed = store.begin(session, stood, "growth", "fast", "live", clock())
        store.finish(session, failed, "failed", clock(), ["the disk is full"])
        stood = store.standing(session, live=True)
        assert (stood.new, stood.failures) == (3, 1), "it learned nothing"


def test_asking_twice_is_asking_once(database: Database, clock: Clock) -> None:
    with database.sessions.begin() as session:
        first = store.ask(session, clock())
        assert store.ask(session, clock()) == first
        stood = store.standing(session, live=True)
        assert store.begin(session, stood, "asked", "fast", "", clock()) == first
        assert store.ask(session, clock()) != first, "one that runs began before this was asked"


def test_an_asked_training_that_was_stopped_is_asked_again_and_another_forgotten(
    database: Database, clock: Clock
) -> None:
    with database.sessions.begin() as session:
        asked = store.ask(session, clock())
        store.begin(session, store.standing(session, live=True), "asked", "fast", "", clock())
        store.put_back(session, asked)
        row = store.find(session, asked)
        assert row is not None and (row["state"], row["started_at"]) == ("asked", None)
        other = store.begin(session, stand(asked=None), "growth", "fast", "", clock())
        store.put_back(session, other)
        assert store.find(session, other) is None


def test_a_killed_training_is_closed_by_what_it_had_reached(
    database: Database, clock: Clock
) -> None:
    with database.sessions.begin() as session:
        numbers = [store.begin(session, stand(), "growth", "fast", "v0", clock()) for _ in "ab"]
        store.keep(session, numbers[0], Result("v1", 5.0))
        store.keep(session, numbers[1], Result("v2", 5.0))
        assert store.close_killed(session, "v1", clock()) == numbers
        told = [store.find(session, number) for number in numbers]
    assert [row and row["state"] for row in told] == ["promoted", "failed"]
    assert told[1] and told[1]["reasons"] == ["its worker ended before it did"]


def test_a_model_that_came_by_hand_is_noted_once(database: Database, clock: Clock) -> None:
    with database.sessions.begin() as session:
        assert store.note_given(session, "v1", 9.0, clock())
        assert not store.note_given(session, "v1", 9.0, clock())
        assert store.trained_until(session, "v1") == 9.0
        assert store.standing(session, live=True).last_start is None
        assert [row["state"] for row in store.page(session, 5, None)] == ["given"]
