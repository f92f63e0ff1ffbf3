"""From events in the database to a model that answers, and what happens when something breaks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core.artifacts import Manifest, Registry, Version, read_manifest
from core.db.engine import make_engine, session_factory
from core.db.leases import acquire
from services.recommender import retraining, training_store
from services.recommender.event_store import NewEvent, last_numbers
from services.recommender.model import KIND
from services.recommender.retraining import FOLDER, LEASE, Retrainer, end_of_log, preset_of
from services.recommender.settings import Settings
from services.recommender.tables import item_vectors, leases
from tests.recommender.conftest import AFTER, Clock, Database
from tests.recommender.shop import make_items

AT_ONCE = {"retrain_after": 50, "retrain_growth": 0.0, "retrain_hours": 0.0}


class FakeTraining:
    """In the place of a training: the artefact that it would make is there already."""

    source: Path | None
    reasons: Sequence[str] = ()
    status: int | None = 0
    during: Callable[[], None] = staticmethod(lambda: None)
    made = 0
    ended = 0
    arguments: Sequence[str] = ()

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        type(self).made += 1
        type(self).arguments = arguments
        if self.status == 0:
            if self.source is not None:
                copytree(self.source, self._given("--output"))
            told = {"reasons": list(self.reasons), "figures": {"users": 30, "judged_from": 17.0}}
            self._given("--json").write_text(json.dumps(told))

    def _given(self, name: str) -> Path:
        return Path(self.arguments[list(self.arguments).index(name) + 1])

    def wait(self, seconds: float) -> int | None:
        type(self).during()
        return self.status

    def last_line(self) -> str:
        return "trefoil: the disk is full"

    def __enter__(self) -> FakeTraining:
        return self

    def __exit__(self, *_: object) -> None:
        type(self).ended += 1


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> type[FakeTraining]:
    class Fake(FakeTraining):
        source = model_folder

    monkeypatch.setattr(retraining, "Training", Fake)
    return Fake


class Desk:
    """A shop with items, and a worker that looks when it is told to."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self.database, self.clock = database, clock
        self.settings = settings.replace(**AT_ONCE)
        self.stop = threading.Event()
        self.registry = Registry(settings.models_dir, KIND)
        self._events = 0
        database.items.upsert(make_items(), AFTER)

    def check(self, **changed: Any) -> bool:
        settings = self.settings.replace(**changed)
        sessions, readers = self.database.sessions, self.database.readers
        worker = Retrainer(settings, sessions, readers, owner="one", now=self.clock, stop=self.stop)
        return worker.check()

    def happen(self, number: int) -> None:
        ids = range(self._events, self._events + number)
        events = [NewEvent(str(n), "u", None, "a", "click", None, AFTER) for n in ids]
        self.database.events.add(events, AFTER)
        self.database.events.fold()
        self._events += number

    def rows(self) -> list[dict[str, Any]]:
        with self.database.readers() as session:
            return training_store.page(session, 20, None)

    def states(self) -> list[str]:
        return [row["state"] for row in self.rows()]

    def live(self) -> Version | None:
        return self.registry.active()


@pytest.fixture
def desk(sqlite: Database, settings: Settings, clock: Clock) -> Desk:
    return Desk(sqlite, settings, clock)


def test_the_first_model_comes_as_soon_as_there_are_items(
    desk: Desk, training: type[FakeTraining], model_folder: Path
) -> None:
    assert desk.check()
    assert desk.live() is not None and "--live" not in training.arguments
    [row] = desk.rows()
    identity = read_manifest(model_folder).identity
    assert (row["state"], row["cause"], row["version"]) == ("promoted", "first", identity)
    assert row["rung"] in ("frozen", "adapter") and row["why"]
    assert row["figures"]["users"] == 30 and row["counts"]["items"] == 40
    assert not desk.check(), "nothing is new"


def test_the_vectors_of_all_items_are_there_before_the_model_is(
    desk: Desk, training: type[FakeTraining], monkeypatch: pytest.MonkeyPatch, model_folder: Path
) -> None:
    seen: list[int] = []
    promote = Registry.promote

    def watched(self: Registry, *args: Any, **kwargs: Any) -> Version:
        encoder = retraining.load_encoder(model_folder, 1).encoder_id
        seen.append(len(desk.database.items.without_vector(encoder, 1_000)))
        return promote(self, *args, **kwargs)

    monkeypatch.setattr(Registry, "promote", watched)
    with desk.database.readers() as session:
        before = last_numbers(session)["items"]
    assert desk.check()
    assert seen == [0]
    with desk.database.readers() as session:
        assert last_numbers(session)["items"] == before, "no server need read the items again"
        assert session.execute(item_vectors.select()).first() is not None


def test_a_model_that_came_by_hand_is_the_place_to_count_from(
    desk: Desk, training: type[FakeTraining], model_folder: Path
) -> None:
    desk.happen(500)
    desk.registry.promote(model_folder)
    assert not desk.check()
    assert desk.states() == ["given"]
    desk.happen(50)
    assert desk.check()
    assert desk.states() == ["promoted", "given"]
    given = desk.rows()[1]["trained_until"]
    arguments = list(training.arguments)
    assert float(arguments[arguments.index("--live-until") + 1]) == given
    manifest = read_manifest(model_folder)
    assert arguments[arguments.index("--base-model") + 1] == manifest.base_model
    assert arguments[arguments.index("--preset") + 1] == "fast"


def test_a_training_that_is_asked_for_waits_for_nothing(
    desk: Desk, training: type[FakeTraining], model_folder: Path
) -> None:
    desk.registry.promote(model_folder)
    assert not desk.check(retrain_after=0)
    with desk.database.sessions.begin() as session:
        number = training_store.ask(session, desk.clock())
    assert desk.check(retrain_after=0)
    assert desk.rows()[0]["id"] == number
    assert desk.states() == ["promoted", "given"]


def test_a_refused_candidate_is_kept_for_a_person_and_not_tried_again_at_once(
    desk: Desk, training: type[FakeTraining], model_folder: Path
) -> None:
    desk.registry.promote(model_folder)
    desk.check()
    before = desk.live()
    training.reasons = ["overall: NDCG@10 is 0.1"]
    for _ in range(2):
        desk.happen(50)
        assert desk.check()
        assert not desk.check()
    assert desk.live() == before
    row = desk.rows()[0]
    assert (row["state"], row["reasons"]) == ("refused", list(training.reasons))
    assert row["trained_until"] == 17.0, "it was trained on what came before those who judge"
    assert read_manifest(desk.settings.models_dir / row["folder"]).kind == KIND
    assert len(list((desk.settings.models_dir / FOLDER).iterdir())) == 1


def test_where_nothing_can_be_judged_nothing_is_made(
    desk: Desk, training: type[FakeTraining], model_folder: Path
) -> None:
    desk.registry.promote(model_folder)
    desk.check()
    training.source, training.reasons = None, ["7 users took something new"]
    desk.happen(50)
    assert desk.check()
    row = desk.rows()[0]
    assert (row["state"], row["version"], row["folder"]) == ("refused", None, "")


def test_a_failed_training_is_told_and_tried_again_later(
    desk: Desk, training: type[FakeTraining]
) -> None:
    training.status = 1
    assert desk.check() and not desk.check()
    [row] = desk.rows()
    assert row["state"] == "failed"
    assert row["reasons"] == ["the training failed: trefoil: the disk is full"]
    desk.clock.forward(minutes=11)
    training.status = 0
    assert desk.check()
    assert desk.states() == ["promoted", "failed"]
    assert desk.rows()[0]["cause"] == "retry"
    assert list((desk.settings.models_dir / FOLDER).iterdir()) == []


def test_an_unforeseen_failure_is_kept_like_any_other(
    desk: Desk, training: type[FakeTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a surprise")

    monkeypatch.setattr(retraining, "load_encoder", broken)
    assert desk.check()
    assert "a surprise" in desk.rows()[0]["reasons"][0]
    assert desk.live() is None and not desk.check()


def test_a_model_that_went_live_meanwhile_is_not_replaced(
    desk: Desk, training: type[FakeTraining], model_folder: Path
) -> None:
    training.during = staticmethod(lambda: desk.live() or desk.registry.promote(model_folder))
    assert desk.check()
    [row] = desk.rows()
    assert row["state"] == "refused"
    assert row["reasons"] == ["another model went live while this one was trained"]


def test_one_worker_at_a_time_trains(desk: Desk, training: type[FakeTraining]) -> None:
    with desk.database.sessions.begin() as session:
        ttl = timedelta(minutes=5)
        assert acquire(session, leases, LEASE, "other", now=desk.clock(), ttl=ttl)
    assert not desk.check()
    assert desk.states() == []
    desk.clock.forward(minutes=6)
    assert desk.check()


def test_a_training_that_is_stopped_with_its_worker_begins_again_with_the_next(
    desk: Desk, training: type[FakeTraining]
) -> None:
    training.status = None
    training.during = staticmethod(desk.stop.set)
    assert not desk.check()
    assert (training.ended, desk.states()) == (1, [])
    desk.stop, training.status = threading.Event(), 0
    training.during = staticmethod(lambda: None)
    assert desk.check()
    assert desk.states() == ["promoted"]


def test_what_a_killed_worker_left_is_cleared_away(
    desk: Desk, training: type[FakeTraining]
) -> None:
    left = desk.settings.models_dir / FOLDER / ".training-abc"
    (left / "model").mkdir(parents=True)
    with desk.database.sessions.begin() as session:
        stood = training_store.standing(session, live=False)
        training_store.begin(session, stood, "first", "fast", "", desk.clock())
        training_store.ask(session, desk.clock())
    assert desk.check()
    assert desk.states() == ["promoted", "failed"]
    assert not left.exists()


def test_with_enough_events_the_encoder_is_tried_too(model_folder: Path) -> None:
    live = read_manifest(model_folder)
    assert preset_of(None, 19_999, 20_000) == preset_of(live, 10**6, 0) == "fast"
    assert preset_of(live, 20_000, 20_000) == "accurate"
    accurate = Manifest(KIND, "", "", "", "", {}, {"preset": "accurate"})
    assert preset_of(accurate, 5, 20_000) == "accurate"


def test_the_end_of_a_log_is_what_the_manifest_says_or_the_day_it_was_made() -> None:
    made = Manifest(KIND, "2026-03-01T00:00:00+00:00", "", "", "", {}, {"data": {}})
    assert end_of_log(made) == 1_772_323_200.0
    told = Manifest(
        KIND, "2026-03-01T00:00:00+00:00", "", "", "", {}, {"data": {"last_event_at": 5}}
    )
    assert end_of_log(told) == 5.0


def test_training_and_judging_are_a_process_of_their_own(
    stocked: Settings, model_folder: Path, clock: Clock
) -> None:
    engine = make_engine(stocked.database_url)
    database = Database(session_factory(engine), session_factory(engine, read_only=True))
    identity = read_manifest(model_folder).identity
    with database.sessions.begin() as session:
        training_store.note_given(session, identity, AFTER, clock())
        training_store.ask(session, clock())
    stop = threading.Event()
    worker = Retrainer(
        stocked, database.sessions, database.readers, owner="me", now=clock, stop=stop
    )
    assert worker.check()
    with database.readers() as session:
        told = training_store.page(session, 1, None)[0]
    assert told["state"] == "refused"
    assert told["reasons"] == [
        "nothing happened after the events that the live model was trained on"
    ]
    engine.dispose()
