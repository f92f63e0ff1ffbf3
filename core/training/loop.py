"""What do all long training runs share, whatever they train?

transformers' Trainer (and the sentence-transformers one, which is built on it) takes the steps.
What a person expects of a long run is here, as callbacks of it: the best epoch kept; Ctrl-C that
ends the run and keeps the best so far; checkpoints from which a run goes on as if it had not been
interrupted (what it says meanwhile: reporting.py). Training only.

Several processes: a script that calls `fine_tune`, started by
`accelerate launch --multi_gpu --num_processes 2 script.py` (on a CPU by
`torchrun --nproc_per_node 2 script.py`), splits each epoch's batches among the processes and takes
one step on the mean of their gradients; the batch is so many times as large. Each process judges
the whole held-out part; the first alone writes files and says how far it is.
"""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.trainer_callback import TrainerCallback

from core.errors import InvalidInput, ModelError
from core.progress import SILENT, Progress
from core.training.reporting import (
    Bar,
    Journal,
    Tracker,
    quieten,
    require_trackers,
    tracking,
)
from core.training.states import load_state, save_state

_KEPT = "kept.safetensors"


@dataclass(frozen=True)
class RunOptions:
    """Where a run leaves its traces.

    `journal`: a JSONL file, appended to; `checkpoints`: a folder, None for none. A run continues
    from the last checkpoint there with `resume`. `track`: further logs, in `track_folder` (Weights
    & Biases never goes online by itself). `on_epoch(epoch, score)` hears of each epoch as it is
    judged, `on_step()` of each step; what they raise ends the run and comes out of it.
    """

    journal: Path | None = None
    checkpoints: Path | None = None
    resume: bool = False
    track: tuple[Tracker, ...] = ()
    track_folder: Path = Path("runs")
    on_epoch: Callable[[int, float], None] = lambda epoch, score: None
    on_step: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        """Raises InvalidInput for `resume` without a folder to resume from."""
        if self.resume and self.checkpoints is None:
            raise InvalidInput(
                "resume needs checkpoints", mend="Name the folder of the run's checkpoints."
            )


@dataclass
class RunResult:
    """`history`: an entry an epoch, from 0 (before training) on; `interrupted`: by Ctrl-C;
    `seconds`: those before an interruption too."""

    history: list[dict[str, float]]
    best_epoch: int
    interrupted: bool
    seconds: float = field(compare=False)


def training_arguments(scratch: Path, options: RunOptions, *, seed: int, **given: Any) -> Any:
    """`transformers.TrainingArguments`; `given` are its own, such as num_train_epochs.

    A GPU is used where there is one, in bf16 where it can. `scratch` is a folder for what the
    Trainer writes although nobody asked. Raises SettingsError for a tracker that is not installed.
    """
    require_trackers(options.track)
    gpu = torch.cuda.is_available()
    kind = given.pop("kind", transformers.TrainingArguments)
    return kind(
        output_dir=str(options.checkpoints or scratch),
        seed=seed,
        bf16=gpu and torch.cuda.is_bf16_supported(),
        use_cpu=not gpu,
        save_strategy="epoch" if options.checkpoints else "no",
        save_total_limit=2,
        eval_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        # Else a loss that is no number would be replaced by one that is.
        logging_nan_inf_filter=False,
        report_to=list(options.track),
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        optim="adamw_torch_fused",
        **given,
    )


def run(
    trainer: Any,
    *,
    score: Callable[[], float],
    metric: str,
    options: RunOptions,
    patience: int,
    average: int = 1,
    margin: float = 0.0,
    max_minutes: float | None = None,
    progress: Progress = SILENT,
) -> RunResult:
    """Train, and leave the trainer's model with the weights of the last epoch that judged at most
    `margin` worse than the best one: 0 is the best alone, infinity the last one whatever it judges.

    `score()` judges the model as it is, higher is better, no number where there is nothing to judge
    by (`margin` is infinite then); `metric` is its name. Raises ModelError when the loss is no
    number any more, or when the checkpoint to resume from is of another model.
    """
    quieten(trainer)
    began = time.monotonic()
    first = trainer.is_world_process_zero()
    progress = progress if first else SILENT
    stop = threading.Event()
    keeper = Keeper(trainer, score, metric, stop, progress)
    keeper.patience, keeper.average, keeper.max_minutes = patience, average, max_minutes
    keeper.margin, keeper.options = margin, options
    trainer.add_callback(keeper)
    if first:
        trainer.add_callback(Bar(progress, metric, keeper.best_score))
    if first and options.journal is not None:
        trainer.add_callback(Journal(options.journal, began))
    checkpoint = _checkpoint(options, progress)
    if checkpoint is not None:
        keeper.load(checkpoint)
    with ExitStack() as around:
        around.enter_context(_interruptible(stop))
        around.enter_context(tracking(trainer, options.track, options.track_folder))
        if not keeper.over:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if stop.is_set():
        progress.say(f"interrupted: the weights of epoch {keeper.best_epoch} are kept")
    keeper.finish()
    return RunResult(keeper.history, keeper.best_epoch, stop.is_set(), keeper.seconds)


class Keeper(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Judges each epoch, keeps the best weights, and says when to stop."""

    def __init__(
        self,
        trainer: Any,
        score: Callable[[], float],
        metric: str,
        stop: threading.Event,
        progress: Progress,
    ) -> None:
        self._trainer = trainer
        self._score = score
        self._metric = metric
        self._stop = stop
        self._progress = progress
        self._began = time.monotonic()
        self.patience = 1
        self.average = 1
        self.margin = 0.0
        self.options = RunOptions()
        self.max_minutes: float | None = None
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self._best: dict[str, Any] = {}
        self._recent: list[dict[str, Any]] = []

    def best_score(self) -> float | None:
        """Of the best epoch so far; None before any was judged."""
        scores = (entry[self._metric] for entry in self.history)
        return max((score for score in scores if not math.isnan(score)), default=None)

    @property
    def seconds(self) -> float:
        """Since the run began, without the time between an interruption and its resumption."""
        return time.monotonic() - self._began

    @property
    def over(self) -> bool:
        """No better epoch came for long, or time is up."""
        if not self.history:
            return False
        late = self.max_minutes is not None and self.seconds >= 60 * self.max_minutes
        return late or self.history[-1]["epoch"] - self.best_epoch >= self.patience

    def on_train_begin(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """The model before any step is a candidate too; and so is an epoch at whose end the run
        was interrupted before it was judged."""
        self._judge_whole_epoch(args, state)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """Tell the batch sampler, however deep several processes or a resumption wrapped it."""
        sampler = getattr(of.get("train_dataloader"), "batch_sampler", None)
        while sampler is not None and not hasattr(sampler, "set_epoch"):
            sampler = getattr(sampler, "batch_sampler", None)
        if sampler is not None:
            sampler.set_epoch(int(state.epoch or 0))

    def on_step_end(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """Stop where Ctrl-C was pressed."""
        self.options.on_step()
        if _in_any_process(self._stop.is_set(), args):
            self._stop.set()
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **of: Any) -> None:
        """End a run that has gone astray."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise ModelError(
                "the training loss is no number any more",
                mend="Lower the learning rate, or use the fast preset.",
            )

    def on_epoch_end(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """Judge, and stop where the run is over; the Trainer then writes its checkpoint, also in
        the middle of an epoch where Ctrl-C was pressed."""
        self._judge_whole_epoch(args, state)
        if _in_any_process(self.over, args):
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """Put what is kept into the checkpoint, as its last file: a checkpoint with it is whole."""
        if not state.is_world_process_zero:
            return
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / _KEPT
        said = {"history": self.history, "best_epoch": self.best_epoch, "seconds": self.seconds}
        recent = {f"recent {i}": weights for i, weights in enumerate(self._recent)}
        save_state(path, {"best": self._best, **recent}, said)

    def _judge_whole_epoch(self, args: Any, state: Any) -> None:
        epoch = float(state.epoch or 0)
        judged = self.history[-1]["epoch"] if self.history else -1
        if not epoch.is_integer() or epoch <= judged:
            return
        found = _of_first_process(self._score(), args)
        entry = {"epoch": epoch, self._metric: found}
        if epoch:
            losses = [e["loss"] for e in state.log_history if "loss" in e and e["epoch"] > judged]
            entry["loss"] = sum(losses) / max(1, len(losses))
            judged_by = "" if math.isnan(found) else f", held-out {self._metric} {found:.3f}"
            self._progress.say(f"epoch {epoch:.0f}: loss {entry['loss']:.3f}{judged_by}")
            if judged_by:
                self._trainer.log({f"eval_{self._metric}": found})
            self.options.on_epoch(int(epoch), found)
        weights = self._weights()
        if self._as_good(found):
            self.best_epoch, self._best = int(epoch), weights
        self.history.append(entry)
        if self.average > 1 and epoch:
            self._recent = [*self._recent[1 - self.average :], weights]

    def _as_good(self, found: float) -> bool:
        """Whether an epoch takes the place of those before it."""
        if not self.history or math.isinf(self.margin):
            return True
        most = max(entry[self._metric] for entry in self.history)
        return found > most - self.margin

    def finish(self) -> None:
        """Restore the best weights, or the last epochs' average where that judges no worse."""
        model = self._trainer.model
        best = self.best_score() or 0.0
        if len(self._recent) > 1:
            model.load_state_dict(_mean(self._recent))
            found = _of_first_process(self._score(), self._trainer.args)
            # Where no epoch was better than the model as it was, their mean must be.
            better = found >= best if self.best_epoch else found > best
            better |= math.isnan(found)  # nothing judges: the mean was asked for
            self._progress.say(
                f"mean of {len(self._recent)} epochs: {self._metric} {found:.3f}, "
                + ("kept" if better else "not kept")
            )
            self.best_epoch = self.best_epoch or (int(self.history[-1]["epoch"]) if better else 0)
            self.history.append({"epoch": -1.0, self._metric: found})
            if better:
                self._best = self._weights()
        model.load_state_dict(self._best)
        model.eval()

    def _weights(self) -> dict[str, Any]:
        return copy.deepcopy(dict(self._trainer.model.state_dict()))

    def load(self, checkpoint: Path) -> None:
        """Take up what was judged before the interruption."""
        parts, said = load_state(checkpoint / _KEPT, self._trainer.args.device)
        best = parts.pop("best")
        if _shapes(best) != _shapes(self._trainer.model.state_dict()):
            raise ModelError(
                f"{checkpoint} is the checkpoint of another model",
                mend="Name another folder of checkpoints, or train without resuming.",
            )
        self.history, self.best_epoch = said["history"], said["best_epoch"]
        self._best = best
        self._recent = [parts[f"recent {i}"] for i in range(len(parts))]
        self._began -= said["seconds"]


def _shapes(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: value.shape for name, value in weights.items()}


def _checkpoint(options: RunOptions, progress: Progress) -> Path | None:
    """The newest whole checkpoint, where one is asked for."""
    if not options.resume or options.checkpoints is None:
        return None
    whole = list(options.checkpoints.glob(f"checkpoint-*/{_KEPT}"))
    if not whole:
        progress.say(f"no checkpoint of this run in {options.checkpoints}: it starts anew")
        return None
    newest = max(whole, key=lambda path: path.stat().st_mtime_ns).parent
    progress.say(f"going on from {newest}")
    return newest


def _in_any_process(said: bool, args: Any) -> bool:
    """All must stop at the same step: the others would wait for the missing one for ever."""
    if args.world_size == 1:
        return said
    flag = torch.tensor(float(said), device=args.device)
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return bool(flag)


def _of_first_process(value: float, args: Any) -> float:
    """So that all keep the same epoch, although sums may differ between devices."""
    if args.world_size == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=args.device)
    torch.distributed.broadcast(shared, src=0)
    return float(shared)


@contextmanager
def _interruptible(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C asks the run to end, the second ends the program as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _mean(states: list[dict[str, Any]]) -> dict[str, Any]:
    """Element by element; what is no fraction (counters) is the last one's."""
    return {
        name: sum(s[name] for s in states) / len(states) if last.is_floating_point() else last
        for name, last in states[-1].items()
    }
