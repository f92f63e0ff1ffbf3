"""Is a long run kind: does it stop, go on and report as a person expects?"""

from __future__ import annotations

import io
import json
import math
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from core.errors import InvalidInput, ModelError, SettingsError
from core.inference.export import load_torch_encoder
from core.models import resolve_model
from core.progress import Progress
from core.training import loop, reporting
from core.training.batches import LengthBatches
from core.training.finetune import FineTuned
from core.training.loop import Keeper, RunOptions, run, training_arguments
from core.training.rows import Fold

Tune = Callable[..., FineTuned]
Press = Callable[..., None]
Questions = SimpleNamespace

# Of three steps each: the seventh step is the first of the third epoch.
EPOCHS = {"epochs": 4, "batch_size": 8, "patience": 9, "learning_rate": 1e-2, "average": 2}


@pytest.fixture
def fresh(tiny_base_model: Path) -> Callable[[], Any]:
    return lambda: load_torch_encoder(resolve_model(str(tiny_base_model)))


@pytest.fixture
def press_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Press:
    """`press_ctrl_c(step)`: the process sends itself SIGINT within that step of each run."""

    step = transformers.Trainer.training_step

    def press(at: int) -> None:
        coming = [at]

        def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
            if coming == [self.state.global_step + 1]:
                coming.clear()
                os.kill(os.getpid(), signal.SIGINT)
            return step(self, *args, **kwargs)

        monkeypatch.setattr(transformers.Trainer, "training_step", training_step)

    return press


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that grows while the head learns, and that shows the last bit of it."""

    def score(module: Any, *of: Any) -> float:
        return float(module.heads["intent"].weight.detach().abs().sum())

    monkeypatch.setattr("core.training.finetune._score", score)


def same(left: FineTuned, right: FineTuned) -> bool:
    """Bit for bit."""
    one, two = left.model.state_dict(), right.model.state_dict()
    learnt = [name for name in one if "pooler" not in name]
    heads = [(left.heads[n], right.heads[n]) for n in left.heads]
    return (
        all(torch.equal(one[name], two[name]) for name in learnt)
        and all(np.array_equal(a.weight, b.weight) for a, b in heads)
        and all(np.array_equal(a.bias, b.bias) for a, b in heads)
    )


def shuffled(epoch: int, row: int) -> np.ndarray | None:
    """An augmentation by epoch and row."""
    rng = np.random.default_rng((epoch, row))
    return rng.integers(4, 60, 9) if rng.random() < 0.5 else None


# --- going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "interruptions",
    [(7,), (6,), (1,), (4, 11), (7, 8)],
    ids=["in an epoch", "at its end", "at once", "twice", "twice in one epoch"],
)
def test_a_resumed_run_ends_with_the_same_weights_as_one_that_was_never_interrupted(
    interruptions: tuple[int, ...],
    fresh: Callable[[], Any],
    tune: Tune,
    press_ctrl_c: Press,
    rising: None,
    tmp_path: Path,
) -> None:
    whole = tune(fresh(), **EPOCHS, vary=shuffled)
    for number, step in enumerate(interruptions):
        press_ctrl_c(step)
        options = RunOptions(checkpoints=tmp_path, resume=number > 0)
        part = tune(fresh(), **EPOCHS, vary=shuffled, options=options)
        assert part.interrupted
    press_ctrl_c(99)
    options = RunOptions(checkpoints=tmp_path, resume=True)
    resumed = tune(fresh(), **EPOCHS, vary=shuffled, options=options)
    assert not resumed.interrupted
    assert resumed.history == whole.history
    assert resumed.best_epoch == whole.best_epoch == 4
    assert same(resumed, whole)
    assert not same(part, whole)


@pytest.mark.parametrize(
    "settings",
    [
        {"adversarial": "pgd", "gradient_accumulation": 2},
        {"contrastive": 0.5, "consistency": 1.0},
        {"tune": "lora"},
        {"tune": "adalora", "adapter_rank": 2},
        {"tune": "ia3"},
        {"tune": "prompt"},
        {"tune": "prefix"},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_every_way_of_tuning_goes_on_where_it_was(
    settings: dict[str, Any],
    fresh: Callable[[], Any],
    tune: Tune,
    press_ctrl_c: Press,
    rising: None,
    tmp_path: Path,
) -> None:
    whole = tune(fresh(), **EPOCHS, **settings)
    press_ctrl_c(5)
    part = tune(fresh(), **EPOCHS, **settings, options=RunOptions(checkpoints=tmp_path))
    assert part.interrupted
    press_ctrl_c(99)
    options = RunOptions(checkpoints=tmp_path, resume=True)
    resumed = tune(fresh(), **EPOCHS, **settings, options=options)
    assert resumed.history == whole.history
    assert same(resumed, whole)


def test_a_run_that_was_killed_goes_on_from_its_last_whole_epoch(
    fresh: Callable[[], Any],
    tune: Tune,
    rising: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    whole = tune(fresh(), **EPOCHS)
    on_save = Keeper.on_save

    def killed(self: Keeper, args: Any, state: Any, control: Any, **of: Any) -> None:
        if state.global_step == 9:
            raise MemoryError
        on_save(self, args, state, control, **of)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "on_save", killed)
        with pytest.raises(MemoryError):
            tune(fresh(), **EPOCHS, options=RunOptions(checkpoints=tmp_path))
    log = io.StringIO()
    options = RunOptions(checkpoints=tmp_path, resume=True)
    resumed = tune(fresh(), **EPOCHS, options=options, progress=Progress(log))
    assert "checkpoint-6" in log.getvalue().splitlines()[0], "the ninth step's is not whole"
    assert same(resumed, whole)


def test_a_run_that_had_ended_gives_the_same_again_without_a_step(
    fresh: Callable[[], Any], tune: Tune, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.3])
    monkeypatch.setattr("core.training.finetune._score", lambda *of: next(scores))
    settings = {"epochs": 9, "patience": 2}
    ended = tune(fresh(), **settings, options=RunOptions(checkpoints=tmp_path))
    again = tune(fresh(), **settings, options=RunOptions(checkpoints=tmp_path, resume=True))
    assert again.history == ended.history
    assert same(again, ended)


def test_a_run_of_other_settings_or_data_never_goes_on_from_this_one(
    fresh: Callable[[], Any], tune: Tune, questions: Questions, tmp_path: Path
) -> None:
    tune(fresh(), epochs=1, options=RunOptions(checkpoints=tmp_path))
    options = RunOptions(checkpoints=tmp_path, resume=True)
    others = ({"epochs": 2}, {"seed": 1}, {"labels": {"intent": 1 - questions.labels}})
    for other in others:
        log = io.StringIO()
        tune(fresh(), **({"epochs": 1} | other), options=options, progress=Progress(log))
        assert log.getvalue().startswith("no checkpoint of this run in "), other
    log = io.StringIO()
    tune(fresh(), epochs=1, patience=5, options=options, progress=Progress(log))
    assert log.getvalue().startswith("going on from "), "how long it may last is no other run"


def test_without_rows_to_judge_by_a_resumed_run_ends_with_the_last_epoch_too(
    fresh: Callable[[], Any], tune: Tune, press_ctrl_c: Press, tmp_path: Path
) -> None:
    settings = {"epochs": 3, "patience": 1, "fold": Fold(np.arange(32), np.arange(0))}
    whole = tune(fresh(), **settings)
    press_ctrl_c(10)
    tune(fresh(), **settings, options=RunOptions(checkpoints=tmp_path))
    press_ctrl_c(99)
    options = RunOptions(checkpoints=tmp_path, resume=True)
    resumed = tune(fresh(), **settings, options=options)
    assert resumed.best_epoch == 3
    assert same(resumed, whole)


def test_the_checkpoint_of_another_model_is_refused(
    fresh: Callable[[], Any], tune: Tune, tmp_path: Path
) -> None:
    tune(fresh(), epochs=1, options=RunOptions(checkpoints=tmp_path))
    [folder] = tmp_path.iterdir()
    with pytest.raises(ModelError, match="the checkpoint of another model"):
        steps(folder, resume=True)


def test_going_on_needs_a_place_to_go_on_from() -> None:
    with pytest.raises(InvalidInput, match="resume needs checkpoints"):
        RunOptions(resume=True)


# --- stopping ------------------------------------------------------------------------------------


def test_ctrl_c_keeps_the_best_epoch_so_far_and_writes_a_checkpoint(
    fresh: Callable[[], Any],
    tune: Tune,
    press_ctrl_c: Press,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def score(module: Any, *of: Any) -> float:
        seen.append({n: v.clone() for n, v in module.encoder.state_dict().items()})
        return [0.1, 0.6, 0.4][len(seen) - 1]

    monkeypatch.setattr("core.training.finetune._score", score)
    press_ctrl_c(8)
    log = io.StringIO()
    options = RunOptions(checkpoints=tmp_path)
    tuned = tune(fresh(), epochs=5, patience=9, options=options, progress=Progress(log))
    assert tuned.interrupted
    assert [entry["epoch"] for entry in tuned.history] == [0, 1, 2]
    assert tuned.best_epoch == 1
    assert all(torch.equal(v, seen[1][n]) for n, v in tuned.model.state_dict().items())
    checkpoint = "*/checkpoint-8/kept.safetensors"
    assert list(tmp_path.glob(checkpoint)), "in the middle of the third epoch"
    assert log.getvalue().splitlines()[-1] == "interrupted: the weights of epoch 1 are kept"


def test_ctrl_c_in_the_last_step_of_an_epoch_still_lets_it_be_judged(
    fresh: Callable[[], Any], tune: Tune, press_ctrl_c: Press, rising: None
) -> None:
    press_ctrl_c(6)
    tuned = tune(fresh(), epochs=5)
    assert tuned.interrupted
    assert tuned.best_epoch == 2


def test_ctrl_c_works_as_before_when_the_run_is_over(
    fresh: Callable[[], Any], tune: Tune, press_ctrl_c: Press
) -> None:
    before = signal.getsignal(signal.SIGINT)
    press_ctrl_c(2)
    assert tune(fresh(), epochs=1).interrupted
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_ends_the_program(fresh: Callable[[], Any], tune: Tune) -> None:
    def vary(epoch: int, row: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    # Whoever starts the tests in the background may have had SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            tune(fresh(), vary=vary)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_outside_the_main_thread_leaves_ctrl_c_alone(
    fresh: Callable[[], Any], tune: Tune
) -> None:
    found: list[FineTuned] = []
    thread = threading.Thread(target=lambda: found.append(tune(fresh(), epochs=1)))
    thread.start()
    thread.join()
    assert found[0].history[-1]["epoch"] == 1


def test_the_time_before_an_interruption_counts(
    fresh: Callable[[], Any], tune: Tune, press_ctrl_c: Press, tmp_path: Path
) -> None:
    press_ctrl_c(4)
    part = tune(fresh(), epochs=3, options=RunOptions(checkpoints=tmp_path))
    press_ctrl_c(99)
    options = RunOptions(checkpoints=tmp_path, resume=True)
    resumed = tune(fresh(), epochs=3, options=options, max_minutes=part.seconds / 60 / 2)
    assert [entry["epoch"] for entry in resumed.history] == [0, 1], "time was up"
    assert resumed.seconds >= part.seconds / 2


# --- what it says --------------------------------------------------------------------------------


def test_each_step_and_each_epoch_is_a_line_of_the_journal(
    fresh: Callable[[], Any], tune: Tune, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "training.jsonl"
    tuned = tune(fresh(), epochs=2, options=RunOptions(journal=path))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert all({"learning_rate", "grad_norm", "seconds", "epoch"} <= set(line) for line in steps)
    judged = [(line["step"], line["eval_accuracy"]) for line in lines if "eval_accuracy" in line]
    assert judged == [(3, tuned.history[1]["accuracy"]), (6, tuned.history[2]["accuracy"])]
    losses = [line["loss"] for line in steps]
    assert tuned.history[1]["loss"] == pytest.approx(sum(losses[:3]) / 3)
    assert tuned.history[2]["loss"] == pytest.approx(sum(losses[3:]) / 3)


def test_the_journal_of_a_second_run_is_appended(
    fresh: Callable[[], Any], tune: Tune, tmp_path: Path
) -> None:
    path = tmp_path / "training.jsonl"
    counts = []
    for _ in range(2):
        tune(fresh(), epochs=1, options=RunOptions(journal=path))
        counts.append(len(path.read_text(encoding="utf-8").splitlines()))
    assert counts[1] == 2 * counts[0]


def test_the_bar_shows_loss_metric_and_time_left(
    fresh: Callable[[], Any], tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.finetune._score", lambda *of: 0.5)
    log = io.StringIO()
    tune(fresh(), epochs=2, progress=Progress(log, clock=iter(range(99)).__next__))
    bars = [line for line in log.getvalue().splitlines() if line.startswith("training")]
    assert bars[0] == "training 1/6 accuracy 0.500 5 s left"
    assert len(bars) == 6
    assert bars[1].startswith("training 2/6 loss 0.69")
    assert bars[1].endswith(" accuracy 0.500 4 s left")


def test_the_bar_of_a_resumed_run_counts_what_is_left(
    fresh: Callable[[], Any], tune: Tune, press_ctrl_c: Press, tmp_path: Path
) -> None:
    press_ctrl_c(4)
    tune(fresh(), epochs=3, options=RunOptions(checkpoints=tmp_path))
    press_ctrl_c(99)
    log = io.StringIO()
    options = RunOptions(checkpoints=tmp_path, resume=True)
    tune(fresh(), epochs=3, patience=9, options=options, progress=Progress(log))
    assert "training 5/5" in log.getvalue()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects to another machine fails."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        local = isinstance(address, str | bytes) or address[0] in ("127.0.0.1", "::1")
        assert local, f"connects to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def test_tensorboard_gets_its_files(fresh: Callable[[], Any], tune: Tune, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "runs"
    options = RunOptions(track=("tensorboard",), track_folder=folder)
    tune(fresh(), epochs=1, options=options)
    [file] = folder.rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file.parent)).Reload()
    assert {"train/loss", "eval/accuracy"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("train/loss")) == 3


def test_weights_and_biases_writes_offline(
    fresh: Callable[[], Any],
    tune: Tune,
    monkeypatch: pytest.MonkeyPatch,
    no_network: None,
    tmp_path: Path,
) -> None:
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "runs"
    tune(fresh(), epochs=1, options=RunOptions(track=("wandb",), track_folder=folder))
    [file] = folder.glob("wandb/offline-run-*/run-*.wandb")
    assert file.stat().st_size > 0
    assert "WANDB_MODE" not in os.environ, "the environment is as it was"


def test_a_tracker_that_is_not_installed_is_told_with_the_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'trefoil\[tracking\]'"):
        reporting.require_trackers(["wandb"])
    with pytest.raises(SettingsError, match="tensorboard or wandb"):
        reporting.require_trackers(["mlflow"])  # type: ignore[list-item]


# --- any Trainer ---------------------------------------------------------------------------------


class Line(torch.nn.Module):
    """One number that shall become three."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.number - 3) ** 2 * x).mean()}


def steps(checkpoints: Path | None = None, **given: Any) -> SimpleNamespace:
    """Train a `Line`; `first` is whether this is the process that speaks."""
    first, resume = given.pop("first", True), given.pop("resume", False)
    journal = given.pop("journal", None)
    options = RunOptions(checkpoints=checkpoints, resume=resume, journal=journal)
    model, log = Line(), io.StringIO()
    scratch = checkpoints or Path(given.pop("scratch", "unused"))
    trainer = transformers.Trainer(
        model=model,
        args=training_arguments(scratch, options, seed=0, num_train_epochs=2, learning_rate=0.1),
        train_dataset=[{"x": torch.ones(1)}] * 8,
    )
    trainer.is_world_process_zero = lambda: first
    result = run(
        trainer,
        score=lambda: -abs(float(model.number.detach()) - 3),
        metric="closeness",
        options=options,
        patience=9,
        progress=Progress(log),
        **given,
    )
    return SimpleNamespace(result=result, model=model, log=log.getvalue(), trainer=trainer)


def test_any_trainer_can_be_run_and_a_score_may_be_below_zero(tmp_path: Path) -> None:
    done = steps(scratch=tmp_path)
    closeness = [entry["closeness"] for entry in done.result.history]
    assert closeness == sorted(closeness)
    assert closeness[0] == -3
    assert done.result.best_epoch == 2
    assert "epoch 2: loss " in done.log


def test_only_the_first_process_writes_and_speaks(tmp_path: Path) -> None:
    journal = tmp_path / "training.jsonl"
    first = steps(scratch=tmp_path, journal=journal)
    assert first.log
    assert journal.exists()
    journal.unlink()
    second = steps(scratch=tmp_path, journal=journal, first=False)
    assert not second.log
    assert not journal.exists()
    assert torch.equal(first.model.number, second.model.number)


def test_only_the_first_process_writes_into_a_checkpoint(tmp_path: Path) -> None:
    keeper = Keeper(None, float, "accuracy", threading.Event(), Progress(quiet=True))
    args = SimpleNamespace(output_dir=str(tmp_path))
    (tmp_path / "checkpoint-3").mkdir()
    for first, expected in ((False, []), (True, ["kept.safetensors"])):
        state = SimpleNamespace(is_world_process_zero=first, global_step=3)
        keeper.on_save(args, state, None)
        assert [path.name for path in (tmp_path / "checkpoint-3").iterdir()] == expected


def test_the_batch_sampler_is_told_the_epoch_however_deep_it_is_wrapped() -> None:
    batches = LengthBatches(np.arange(4), [1] * 4, 2, seed=0)
    skipping = SimpleNamespace(batch_sampler=SimpleNamespace(batch_sampler=batches))
    keeper = Keeper(None, float, "accuracy", threading.Event(), Progress(quiet=True))
    keeper.on_epoch_begin(None, SimpleNamespace(epoch=3.5), None, train_dataloader=skipping)
    assert batches.epoch == 3


def test_all_processes_stop_when_one_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[float] = []

    def all_reduce(flag: torch.Tensor, how: Any) -> None:
        said.append(float(flag))
        flag.fill_(1)  # another process was told

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    stop = threading.Event()
    keeper = Keeper(None, float, "accuracy", stop, Progress(quiet=True))
    args = SimpleNamespace(world_size=2, device="cpu")
    control = SimpleNamespace(should_training_stop=False)
    keeper.on_step_end(args, None, control)
    assert said == [0.0]
    assert control.should_training_stop
    assert stop.is_set()


@pytest.mark.parametrize("bf16", [True, False])
def test_a_gpu_is_used_in_bf16_where_it_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bf16: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    said = training_arguments(tmp_path, RunOptions(), seed=0, kind=SimpleNamespace)
    assert said.bf16 is bf16
    assert not said.use_cpu


def test_without_a_gpu_the_cpu_counts_in_full(tmp_path: Path) -> None:
    said = training_arguments(tmp_path, RunOptions(), seed=0)
    assert said.use_cpu
    assert not said.bf16


def test_the_newest_whole_checkpoint_is_taken_whatever_its_step(tmp_path: Path) -> None:
    for age, name in ((3, "checkpoint-500"), (2, "checkpoint-4"), (1, "checkpoint-6")):
        (tmp_path / name).mkdir()
        if name != "checkpoint-6":  # half written
            kept = tmp_path / name / "kept.safetensors"
            kept.touch()
            os.utime(kept, (100 - age, 100 - age))
    options = RunOptions(checkpoints=tmp_path, resume=True)
    assert loop._checkpoint(options, Progress(quiet=True)) == tmp_path / "checkpoint-4"


def test_a_mean_of_weights_is_taken_of_fractions_alone() -> None:
    states = [{"w": torch.tensor(float(i)), "n": torch.tensor(i)} for i in (1, 2)]
    found = loop._mean(states)
    assert math.isclose(found["w"], 1.5)
    assert int(found["n"]) == 2
