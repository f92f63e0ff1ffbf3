"""Does a server always have a whole model, and the live one as soon as it can?"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from core.artifacts import Manifest, Registry, Version, write_artifact
from core.errors import ArtifactCorrupt, ModelCorrupt, ModelNotFound, NotReady, StorageError
from core.inference.slot import ModelSlot


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry", "test")


@pytest.fixture
def promote(registry: Registry, tmp_path: Path) -> Callable[[], Version]:
    def promote() -> Version:
        with write_artifact(tmp_path / "model") as draft:
            draft.manifest = Manifest("test", "2026-03-01", "tiny", "local", "0")
        return registry.promote(tmp_path / "model")

    return promote


def load(version: Version) -> str:
    return f"model {version.number}"


@pytest.fixture
def slot(registry: Registry, clock: Clock) -> ModelSlot[str]:
    return ModelSlot(registry, load, clock=clock)


def look(slot: ModelSlot[str], clock: Clock) -> bool:
    clock.now += 1.0
    return slot.refresh()


def test_without_a_live_model_it_says_how_to_get_one(
    slot: ModelSlot[str], registry: Registry
) -> None:
    assert slot.refresh() is False
    with pytest.raises(NotReady, match="no test model is live") as error:
        slot.current()
    assert "trefoil models promote" in str(error.value)
    assert str(registry.root) in str(error.value)


def test_a_promoted_version_takes_the_place_at_the_next_look(
    slot: ModelSlot[str], clock: Clock, promote: Callable[[], Version]
) -> None:
    promote()
    assert look(slot, clock) is True
    assert slot.current() == "model 1"
    assert look(slot, clock) is False, "nothing new"
    promote()
    assert slot.current() == "model 1"
    assert look(slot, clock) is True
    assert slot.current() == "model 2"


def test_rolling_back_takes_the_earlier_version_up_again(
    slot: ModelSlot[str], clock: Clock, registry: Registry, promote: Callable[[], Version]
) -> None:
    promote()
    promote()
    look(slot, clock)
    registry.rollback()
    assert look(slot, clock) is True
    assert slot.current() == "model 1"


def test_the_registry_is_looked_at_no_more_often_than_the_interval(
    slot: ModelSlot[str], clock: Clock, promote: Callable[[], Version]
) -> None:
    slot.refresh()
    promote()
    clock.now = 0.99
    assert slot.refresh() is False
    clock.now = 1.0
    assert slot.refresh() is True


def test_the_replaced_model_is_retired_once_after_its_grace_and_the_present_one_never(
    registry: Registry, clock: Clock, promote: Callable[[], Version]
) -> None:
    retired: list[str] = []
    slot = ModelSlot(registry, load, retire=retired.append, grace=2.0, clock=clock)
    promote()
    look(slot, clock)
    promote()
    look(slot, clock)
    look(slot, clock)
    assert retired == []
    look(slot, clock)
    look(slot, clock)
    assert retired == ["model 1"]


@pytest.mark.parametrize(
    "failure",
    [
        ModelCorrupt("heads.safetensors is broken"),
        ModelNotFound("there is no encoder"),
        ArtifactCorrupt("manifest.json was changed"),
    ],
)
def test_a_version_that_cannot_be_loaded_leaves_the_present_model_and_is_told_once(
    registry: Registry,
    clock: Clock,
    promote: Callable[[], Version],
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    tried: list[int] = []

    def load_all_but_the_second(version: Version) -> str:
        tried.append(version.number)
        if version.number == 2:
            raise failure
        return load(version)

    slot = ModelSlot(registry, load_all_but_the_second, clock=clock)
    promote()
    look(slot, clock)
    promote()
    with caplog.at_level(logging.ERROR):
        assert [look(slot, clock) for _ in range(3)] == [False] * 3
    assert slot.current() == "model 1"
    assert [str(failure) in r.getMessage() for r in caplog.records] == [True]
    promote()
    assert look(slot, clock) is True
    assert slot.current() == "model 3"
    assert tried == [1, 2, 3], "the broken one was not tried again and again"


@pytest.mark.parametrize(
    "failure", [StorageError("the database does not answer"), OSError(5, "i/o"), KeyError("x")]
)
def test_what_may_pass_is_tried_again_at_growing_intervals_and_told_once(
    registry: Registry,
    clock: Clock,
    promote: Callable[[], Version],
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    tried: list[float] = []

    def load_after_a_while(version: Version) -> str:
        tried.append(clock.now)
        if clock.now < 200:
            raise failure
        return load(version)

    slot = ModelSlot(registry, load_after_a_while, clock=clock)
    promote()
    with caplog.at_level(logging.ERROR):
        while not look(slot, clock):
            assert clock.now < 400
    assert slot.current() == "model 1"
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert len(caplog.records) == 1


def test_another_version_does_not_wait_for_the_next_try_of_the_one_before(
    registry: Registry, clock: Clock, promote: Callable[[], Version]
) -> None:
    tried: list[int] = []

    def load_all_but_the_first(version: Version) -> str:
        tried.append(version.number)
        if version.number == 1:
            raise OSError(5, "i/o")
        return load(version)

    slot = ModelSlot(registry, load_all_but_the_first, clock=clock)
    promote()
    for _ in range(6):
        look(slot, clock)
    promote()
    assert look(slot, clock) is True
    assert tried == [1, 1, 1, 2]


def test_a_version_that_the_disk_did_not_give_is_tried_again_whatever_it_was_called(
    registry: Registry, clock: Clock, promote: Callable[[], Version]
) -> None:
    def load_when_the_disk_is_back(version: Version) -> str:
        if clock.now < 3:
            raise ArtifactCorrupt("manifest.json cannot be read") from OSError(5, "i/o")
        return load(version)

    slot = ModelSlot(registry, load_when_the_disk_is_back, clock=clock)
    promote()
    assert [look(slot, clock) for _ in range(4)] == [False, False, False, True]


def test_a_first_version_that_cannot_be_loaded_is_not_called_missing(
    registry: Registry, clock: Clock, promote: Callable[[], Version]
) -> None:
    def fail(version: Version) -> str:
        raise ModelCorrupt("heads.safetensors is broken")

    slot = ModelSlot(registry, fail, clock=clock)
    promote()
    look(slot, clock)
    with pytest.raises(NotReady, match="version 1 of the test model is live but cannot be loaded"):
        slot.current()


def test_an_unreadable_state_file_leaves_the_present_model_and_is_told_once(
    slot: ModelSlot[str],
    clock: Clock,
    registry: Registry,
    promote: Callable[[], Version],
    caplog: pytest.LogCaptureFixture,
) -> None:
    promote()
    look(slot, clock)
    (registry.root / "active.json").write_text("{half")
    with caplog.at_level(logging.ERROR):
        assert [look(slot, clock) for _ in range(3)] == [False] * 3
    assert slot.current() == "model 1"
    assert len(caplog.records) == 1
    assert "active.json" in caplog.text


def test_while_one_thread_loads_the_others_go_on_with_the_present_model(
    registry: Registry, clock: Clock, promote: Callable[[], Version]
) -> None:
    loading, may_end = threading.Event(), threading.Event()

    def slow(version: Version) -> str:
        if version.number == 2:
            loading.set()
            assert may_end.wait(10)
        return load(version)

    slot = ModelSlot(registry, slow, clock=clock)
    promote()
    look(slot, clock)
    promote()
    thread = threading.Thread(target=look, args=(slot, clock))
    thread.start()
    assert loading.wait(10)
    assert slot.current() == "model 1"
    assert look(slot, clock) is False, "a second thread does not wait, and does not load it again"
    may_end.set()
    thread.join(10)
    assert slot.current() == "model 2"


class Heavy:
    """A model of which it can be told whether it is still in memory."""


def test_without_a_retirement_the_replaced_model_leaves_the_memory_at_once(
    registry: Registry, clock: Clock, promote: Callable[[], Version]
) -> None:
    slot = ModelSlot(registry, lambda version: Heavy(), clock=clock)
    promote()
    look(slot, clock)
    first = weakref.ref(slot.current())
    promote()
    look(slot, clock)
    assert first() is None
