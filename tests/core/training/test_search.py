"""Does a search find what is better, in its time, and without a look at the rows that judge?"""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.records import LabeledText
from core.errors import Conflict, InvalidInput, ModelError, StorageError
from core.training import trial as trial_module
from core.training.classifier import train_classifier
from core.training.config import FineTuneConfig
from core.training.finetune import FineTuned
from core.training.loop import RunOptions
from core.training.rows import Fold
from core.training.search import SearchResult, _accuracy_given_back, search
from core.training.space import (
    DEFAULT_SPACE,
    Choice,
    Range,
    Space,
    check_space,
    described,
    starting_point,
)
from core.training.trial import searchable_rows

EPOCH_SECONDS = 60.0
BY_RATE: Space = {"learning_rate": Range(1e-5, 1e-3, log=True)}
CONFIG = FineTuneConfig(epochs=4, learning_rate=1e-4)


class Tuner:
    """Stands in for `fine_tune`: each epoch takes a minute, and its accuracy is said in advance."""

    def __init__(self, accuracy: Callable[[FineTuneConfig, int], float]) -> None:
        self.now = 0.0
        self.accuracy = accuracy
        self.configs: list[FineTuneConfig] = []
        self.folds: list[Fold] = []
        self.interrupt_at: int | None = None
        self.fail_at: int | None = None

    def clock(self) -> float:
        return self.now

    def __call__(
        self, model: Any, pooling: Any, sequences: Any, labels: Any, start: Any, fold: Fold,
        config: FineTuneConfig, *, options: Any, **others: Any,
    ) -> FineTuned:  # fmt: skip
        number = len(self.configs)
        self.configs.append(config)
        self.folds.append(fold)
        if number == self.fail_at:
            raise ModelError("the training loss is no number any more")
        history = [{"epoch": 0.0, "accuracy": 0.1}]
        for epoch in range(1, config.epochs + 1):
            if number == self.interrupt_at:
                return FineTuned(model, {}, history, 0, True, 0.0)
            for _ in range(2):
                self.now += EPOCH_SECONDS / 2
                options.on_step()
            history.append({"epoch": float(epoch), "accuracy": self.accuracy(config, epoch)})
            options.on_epoch(epoch, history[-1]["accuracy"])
        return FineTuned(model, {}, history, config.epochs, False, 0.0)


def near(config: FineTuneConfig, epoch: int) -> float:
    """The nearer the learning rate is to 3e-4, and the later the epoch, the better."""
    return 0.9 - abs(np.log(config.rate / 3e-4)) / 10 + epoch / 1000


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch, export_once: Any) -> Tuner:
    found = Tuner(near)
    monkeypatch.setattr(trial_module, "fine_tune", found)
    monkeypatch.setattr(trial_module, "export_encoder", export_once)
    return found


@pytest.fixture
def look(
    shop_rows: list[LabeledText], tiny_base_model: Path, tuner: Tuner
) -> Callable[..., SearchResult]:
    """Search with the stand-in, by its clock."""

    def look(*, minutes: float = 1e6, **options: Any) -> SearchResult:
        given: dict[str, Any] = {
            "space": BY_RATE,
            "config": CONFIG,
            "base_model": str(tiny_base_model),
            "threads": 1,
            "clock": tuner.clock,
        }
        return search(shop_rows, ("intent",), minutes=minutes, **(given | options))

    return look


# --- what is found -------------------------------------------------------------------------------


def test_the_best_trial_is_given_back_with_all_that_was_tried(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    found = look(max_trials=12)
    assert found.accuracy == max(t["accuracy"] for t in found.record["trials"]) > 0.85
    assert found.config in tuner.configs
    assert found.record["best"]["settings"] == {"learning_rate": found.config.learning_rate}
    assert len(found.record["trials"]) == 12
    assert found.record["minutes"] == pytest.approx(tuner.now / 60)
    assert json.loads(json.dumps(found.record, allow_nan=False)) == found.record


def test_the_first_trial_is_the_configuration_given(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    look(max_trials=2)
    assert tuner.configs[0] == CONFIG
    assert tuner.configs[1] != CONFIG


def test_what_the_space_does_not_name_stays_as_it_was(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    config = FineTuneConfig(epochs=2, layer_decay=0.77, max_tokens=40)
    look(max_trials=3, config=config, space={"dropout": Choice((None, 0.3))})
    assert all((c.epochs, c.layer_decay, c.max_tokens) == (2, 0.77, 40) for c in tuner.configs)
    assert {c.dropout for c in tuner.configs} <= {None, 0.3}


def test_the_same_seed_proposes_the_same_and_another_seed_something_else(
    look: Callable[..., SearchResult],
) -> None:
    one, same, other = (look(max_trials=8, seed=seed) for seed in (3, 3, 4))
    assert one == same
    assert one.record["trials"] != other.record["trials"]


@pytest.mark.parametrize(
    ("best_epoch", "mean", "expected"),
    [(2, None, 0.6), (1, None, 0.7), (1, 0.65, 0.7), (1, 0.8, 0.8)],
)
def test_a_trial_is_worth_what_the_weights_it_gives_back_are(
    best_epoch: int, mean: float | None, expected: float
) -> None:
    history = [{"epoch": e, "accuracy": a} for e, a in ((0.0, 0.5), (1.0, 0.7), (2.0, 0.6))]
    if mean is not None:
        history.append({"epoch": -1.0, "accuracy": mean})
    assert _accuracy_given_back(FineTuned(None, {}, history, best_epoch, False, 0.0)) == expected


# --- which rows ----------------------------------------------------------------------------------


def test_rows_that_judge_the_final_model_take_no_part(
    shop_rows: list[LabeledText], tiny_base_model: Path, tmp_path: Path
) -> None:
    trained = train_classifier(
        shop_rows,
        ("intent",),
        folder=tmp_path,
        base_model=str(tiny_base_model),
        preset="accurate",
        seed=7,
        threads=1,
        config=FineTuneConfig(epochs=1),
    )
    judged_by = {shop_rows[row].text for row in trained.held_out["intent"].rows}
    rows, fold = searchable_rows(shop_rows, ("intent",))
    assert judged_by
    assert not judged_by & set(rows.texts)
    assert len(judged_by) + len(rows) == len(shop_rows), "no other row is lost"
    assert not set(fold.train) & set(fold.held_out)
    assert sorted([*fold.train, *fold.held_out]) == list(range(len(rows)))


def test_every_trial_is_judged_on_the_same_rows(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    look(max_trials=3)
    first = tuner.folds[0]
    assert all(fold is first for fold in tuner.folds)


def test_the_frozen_encoder_reads_the_texts_once(
    look: Callable[..., SearchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    load = trial_module.TextEncoder.load

    def spy(*arguments: Any, **options: Any) -> Any:
        read.append(1)
        return load(*arguments, **options)

    monkeypatch.setattr(trial_module.TextEncoder, "load", spy)
    look(max_trials=4)
    assert len(read) == 1


# --- in its time ---------------------------------------------------------------------------------


def test_no_trial_begins_that_would_not_end_in_time(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    found = look(minutes=11.0)  # trials of 4 minutes
    assert len(tuner.configs) == 2
    assert found.record["minutes"] == 8.0


def test_a_trial_that_takes_too_long_is_ended_and_its_epochs_count(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    found = look(minutes=2.4)
    assert tuner.now / 60 <= 2.5, "one step too far at most"
    assert found.accuracy == near(CONFIG, 2)
    assert [t["state"] for t in found.record["trials"]] == ["ended early"]
    assert found.config == CONFIG


def test_a_search_too_short_for_an_epoch_says_so(look: Callable[..., SearchResult]) -> None:
    with pytest.raises(InvalidInput, match="no trial came to the end of an epoch"):
        look(minutes=0.4)


def test_a_trial_that_falls_behind_the_others_is_ended(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    tuner.accuracy = lambda config, epoch: 0.9 if len(tuner.configs) <= 3 else 0.5
    found = look(max_trials=5)
    assert [t["state"] for t in found.record["trials"]] == ["whole"] * 3 + ["ended early"] * 2
    assert [len(t["epochs"]) for t in found.record["trials"][3:]] == [2, 2], "the first is free"
    assert found.record["trials"][4]["minutes"] < 4.0


# --- stopped and started again -------------------------------------------------------------------


def test_a_search_that_was_stopped_goes_on_as_if_it_was_not(
    look: Callable[..., SearchResult], tuner: Tuner, tmp_path: Path
) -> None:
    whole = look(max_trials=8)
    before = len(tuner.configs)
    look(max_trials=3, storage=tmp_path / "deep" / "search.db")
    again = look(max_trials=8, storage=tmp_path / "deep" / "search.db")
    assert again == whole
    assert len(tuner.configs) == before + 8, "no trial was repeated"


def test_the_minutes_of_earlier_runs_count(
    look: Callable[..., SearchResult], tuner: Tuner, tmp_path: Path
) -> None:
    look(minutes=9.0, storage=tmp_path / "search.db")
    assert len(tuner.configs) == 2
    look(minutes=9.0, storage=tmp_path / "search.db")
    assert len(tuner.configs) == 2, "the time is used up"
    look(minutes=13.0, storage=tmp_path / "search.db")
    assert len(tuner.configs) == 3


def test_an_interrupted_trial_is_tried_again(
    look: Callable[..., SearchResult], tuner: Tuner, tmp_path: Path
) -> None:
    tuner.interrupt_at = 2
    stopped = look(max_trials=6, storage=tmp_path / "search.db")
    assert len(stopped.record["trials"]) == 2
    found = look(max_trials=6, storage=tmp_path / "search.db")
    assert tuner.configs[3] == tuner.configs[2]
    tuner.interrupt_at = None
    whole = look(max_trials=6)
    tried = [[t["settings"] for t in r.record["trials"]] for r in (found, whole)]
    assert tried[0] == tried[1]


def test_a_trial_whose_process_was_killed_is_tried_again(
    look: Callable[..., SearchResult], tuner: Tuner, tmp_path: Path
) -> None:
    def die(config: FineTuneConfig, epoch: int) -> float:
        if len(tuner.configs) == 2:
            raise KeyboardInterrupt
        return near(config, epoch)

    tuner.accuracy = die
    with pytest.raises(KeyboardInterrupt):
        look(max_trials=3, storage=tmp_path / "search.db")
    found = look(max_trials=3, storage=tmp_path / "search.db")
    assert tuner.configs[2] == tuner.configs[1]
    assert len(found.record["trials"]) == 3


def test_a_storage_of_another_search_is_refused(
    look: Callable[..., SearchResult], tmp_path: Path
) -> None:
    look(max_trials=1, storage=tmp_path / "search.db")
    with pytest.raises(Conflict, match="holds another search: its seed differed"):
        look(max_trials=1, storage=tmp_path / "search.db", seed=5)


def test_a_file_that_is_no_storage_is_refused(
    look: Callable[..., SearchResult], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no database, but a letter\n" * 100, encoding="utf-8")
    with pytest.raises(StorageError, match=r"notes\.txt cannot be used as storage"):
        look(max_trials=1, storage=tmp_path / "notes.txt")


# --- trials that fail ----------------------------------------------------------------------------


def test_a_setting_that_ruins_the_model_is_a_bad_trial_not_the_end(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    tuner.fail_at = 1
    found = look(max_trials=3)
    assert [t["state"] for t in found.record["trials"]] == ["whole", "ended early", "whole"]
    assert found.record["trials"][1]["accuracy"] is None


def test_where_the_first_trial_cannot_run_none_can(
    look: Callable[..., SearchResult], tuner: Tuner
) -> None:
    tuner.fail_at = 0
    with pytest.raises(ModelError, match="no number"):
        look(max_trials=3)


# --- with the real tuning ------------------------------------------------------------------------


def test_real_trials_are_heard_pruned_and_compared(
    shop_rows: list[LabeledText],
    tiny_base_model: Path,
    export_once: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial_module, "export_encoder", export_once)
    found = search(
        shop_rows,
        ("intent",),
        minutes=10,
        max_trials=7,
        space={"learning_rate": Choice((1e-4, 0.5))},
        config=FineTuneConfig(epochs=4, batch_size=16, learning_rate=1e-4, patience=9),
        base_model=str(tiny_base_model),
        threads=1,
    )
    by_rate: dict[float, list[Any]] = {1e-4: [], 0.5: []}
    for tried in found.record["trials"]:
        by_rate[tried["settings"]["learning_rate"]].append(tried)
    assert found.config.learning_rate == 1e-4
    assert all(list(tried["epochs"]) == ["1", "2", "3"] for tried in by_rate[1e-4])
    assert any(tried["state"] == "ended early" for tried in by_rate[0.5])


def test_ctrl_c_ends_the_search_and_keeps_what_was_found(
    shop_rows: list[LabeledText],
    tiny_base_model: Path,
    export_once: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial_module, "export_encoder", export_once)
    tune = trial_module.fine_tune
    begun = []

    def press_in_the_second(*arguments: Any, options: RunOptions, **others: Any) -> Any:
        begun.append(1)
        steps = itertools.count()

        def press_once() -> None:
            if len(begun) == 2 and next(steps) == 1:
                os.kill(os.getpid(), signal.SIGINT)

        return tune(*arguments, options=replace(options, on_step=press_once), **others)

    monkeypatch.setattr(trial_module, "fine_tune", press_in_the_second)
    found = search(
        shop_rows,
        ("intent",),
        minutes=10,
        max_trials=5,
        config=FineTuneConfig(epochs=2, batch_size=16),
        space=BY_RATE,
        base_model=str(tiny_base_model),
        threads=1,
    )
    assert len(found.record["trials"]) == 1
    assert len(begun) == 2


# --- the space -----------------------------------------------------------------------------------


def test_the_default_space_holds_the_default_configuration() -> None:
    check_space(DEFAULT_SPACE)
    assert set(starting_point(DEFAULT_SPACE, FineTuneConfig())) == set(DEFAULT_SPACE)


@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_the_start_is_left_out_where_the_space_does_not_hold_it(low: float, high: float) -> None:
    space = {"learning_rate": Range(low, high)}
    start = starting_point(space, FineTuneConfig(learning_rate=0.01))
    assert start == ({"learning_rate": 0.01} if low <= 0.01 <= high else {})


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "needs a setting to vary"),
        ({"learning_rat": Range(0.1, 0.2)}, "is no setting of fine-tuning"),
        ({"dropout": Range(0.2, 0.1)}, "the bounds of dropout must rise"),
        ({"weight_decay": Range(0.0, 0.1, log=True)}, "from above 0"),
        ({"dropout": Range(0.5, 1.5)}, "dropout must be in"),
        ({"batch_size": Choice(())}, "batch_size has nothing to choose from"),
        ({"tune": Choice(("all", "nothing"))}, "tune must be one of"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(space: Space, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_space(space)


def test_a_space_is_described_for_the_record() -> None:
    assert described({"epochs": Range(2, 8), "dropout": Choice((None, 0.2))}) == {
        "epochs": {"low": 2, "high": 8, "log": False},
        "dropout": [None, 0.2],
    }
