"""What does a long run say while it runs, and where does it write it down?

A bar with loss, metric and time left; a line of JSON a step; and the libraries that draw curves of
runs, through the Trainer's own reporting. Training only.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import transformers
from transformers.integrations import TensorBoardCallback
from transformers.trainer_callback import TrainerCallback

from core.errors import SettingsError
from core.progress import Progress

Tracker = Literal["tensorboard", "wandb"]
_KEPT_OF_LOSS = 0.95
_EXTRA = {"tensorboard": "train", "wandb": "tracking"}


class Bar(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Shows steps, loss, and the best value of `metric` so far, with the time left."""

    def __init__(self, progress: Progress, metric: str, best: Callable[[], float | None]) -> None:
        self._progress = progress
        self._metric = metric
        self._best = best
        self._steps: Iterator[int] | None = None
        self._loss: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """A resumed run shows the steps that are left."""
        left = state.max_steps - state.global_step
        self._steps = self._progress.bar(itertools.count(), left, "training", self._detail)
        next(self._steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **of: Any) -> None:
        """Take the loss: a running mean, since that of one batch says little."""
        if logs and "loss" in logs:
            before = logs["loss"] if self._loss is None else self._loss
            self._loss = _KEPT_OF_LOSS * before + (1 - _KEPT_OF_LOSS) * logs["loss"]

    def on_step_end(self, args: Any, state: Any, control: Any, **of: Any) -> None:
        """One further."""
        if self._steps is not None:
            next(self._steps)

    def _detail(self) -> str:
        best = self._best()
        loss = "" if self._loss is None else f"loss {self._loss:.3f}"
        figure = "" if best is None else f"{self._metric} {best:.3f}"
        return " ".join(word for word in (loss, figure) if word)


class Journal(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Appends what the Trainer logs, a line of JSON each; `began` is a time.monotonic()."""

    def __init__(self, path: Path, began: float) -> None:
        self._path = path
        self._began = began

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **of: Any) -> None:
        """Append one line."""
        entry: Mapping[str, Any] = {
            "step": state.global_step,
            "seconds": round(time.monotonic() - self._began, 1),
            **{k: v for k, v in (logs or {}).items() if isinstance(v, int | float)},
            "epoch": round(float(state.epoch or 0), 4),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def require_trackers(track: Sequence[Tracker]) -> None:
    """Raises SettingsError for a tracker that is not installed, or that there is none of."""
    for name in track:
        if name not in _EXTRA:
            raise SettingsError(f"track must be tensorboard or wandb, was: {name}")
        if importlib.util.find_spec(name) is None:
            raise SettingsError(
                f"track {name} needs the package {name}",
                mend=f"pip install 'trefoil[{_EXTRA[name]}]'",
            )


@contextmanager
def tracking(trainer: Any, track: Sequence[Tracker], folder: Path) -> Iterator[None]:
    """The trackers of `trainer` write below `folder`, and Weights & Biases stays offline unless
    WANDB_MODE says otherwise."""
    if not track:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback):
            name = time.strftime("%Y%m%d-%H%M%S")
            callback.logging_dir = str(folder / "tensorboard" / f"{name}-{os.getpid()}")
    wanted = {
        "WANDB_DIR": str(folder),
        "WANDB_MODE": os.environ.get("WANDB_MODE", "offline"),
        "WANDB_PROJECT": os.environ.get("WANDB_PROJECT", "trefoil"),
        "WANDB_SILENT": os.environ.get("WANDB_SILENT", "true"),
        # Our output is our own: it is not copied into the run.
        "WANDB_CONSOLE": os.environ.get("WANDB_CONSOLE", "off"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        if "wandb" in track:
            import wandb

            wandb.finish()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def quieten(trainer: Any) -> None:
    """Take the Trainer's own printing away: ours says it."""
    transformers.utils.logging.set_verbosity_error()
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.remove_callback(transformers.ProgressCallback)
