"""Which settings of a fine-tuning suit these rows best, as far as a budget of minutes can tell?

optuna proposes (tree-structured Parzen estimator: Bergstra et al. 2011, "Algorithms for
Hyper-Parameter Optimization") and ends trials that fall behind the median of the others. The first
trial is the configuration given, so that what comes back is no worse on the rows that judge here.
With a storage a search goes on where it stopped, with the proposals of one that never stopped. The
rows that judge the final model take no part (see trial.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from core.data.records import LabeledText
from core.errors import Conflict, InvalidInput, ModelError, StorageError
from core.models import BUNDLED
from core.progress import SILENT, Progress
from core.training.augment import Synonyms
from core.training.config import FineTuneConfig, changed
from core.training.finetune import FineTuned
from core.training.space import (
    DEFAULT_SPACE,
    Space,
    check_space,
    described,
    starting_point,
    suggest,
)
from core.training.trial import Problem

_STUDY = "search"
# Proposals at random before the estimator begins; trials that run whole before any is cut short.
_RANDOM_TRIALS = 5
_WHOLE_TRIALS = 3
# Long schedules learn little in their first epoch: it is not held against them.
_WHOLE_EPOCHS = 1
_SECONDS = "seconds"


@dataclass(frozen=True)
class SearchResult:
    """`config`: the best found; `accuracy`: its own on the rows that judged the trials, which is
    flattering, being the best of several; `record`: everything tried, for JSON and the manifest."""

    config: FineTuneConfig
    accuracy: float
    record: dict[str, Any]


def search(
    labelled: Sequence[LabeledText],
    heads: Sequence[str],
    *,
    minutes: float,
    storage: Path | None = None,
    space: Space = DEFAULT_SPACE,
    config: FineTuneConfig | None = None,
    base_model: str = BUNDLED,
    seed: int = 0,
    threads: int = 2,
    max_trials: int | None = None,
    synonyms: Synonyms | None = None,
    progress: Progress = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> SearchResult:
    """Try settings of `space` around `config` until `minutes` (or `max_trials`) are used up.

    `storage`, an SQLite file, keeps the trials; `minutes` and `max_trials` count those of earlier
    runs with it. One search at a time may use it. No trial starts that would not end in time if it
    took as long as the median one; one that takes longer is ended and counts with the epochs it
    had. Ctrl-C ends the search, and the trial that ran is repeated when it goes on.

    Raises Conflict where `storage` belongs to another search, StorageError where it cannot be used,
    InvalidInput for a bad space or where no trial came to an epoch's end, DataError and ModelError
    as `train_classifier`.
    """
    began = clock()
    check_space(space)
    config = config or FineTuneConfig()
    problem = Problem(
        labelled,
        heads,
        base_model=base_model,
        seed=seed,
        threads=threads,
        synonyms=synonyms,
        progress=progress,
    )
    identity = {
        "data": problem.rows.fingerprint(),
        "base model": problem.base.sha256,
        "settings": _unusual(config),
        "space": described(space),
        "seed": seed,
    }
    run = _Search(_study(storage, identity), problem, space, config, seed, progress, clock)
    run.go(began + 60 * minutes, max_trials)
    return run.result(identity)


class _Search:
    """One search, from the trials that are there to the last that fits."""

    def __init__(
        self,
        study: optuna.Study,
        problem: Problem,
        space: Space,
        config: FineTuneConfig,
        seed: int,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self._study = study
        self._problem = problem
        self._space = space
        self._config = config
        self._seed = seed
        self._progress = progress
        self._clock = clock

    def go(self, deadline: float, max_trials: int | None) -> None:
        """Until `deadline`, less what earlier runs took."""
        self._take_up()
        deadline -= sum(_seconds(trial) for trial in self._study.trials)
        going = True
        while going and (max_trials is None or len(self._judged()) < max_trials):
            whole = [_seconds(t) for t in self._judged() if t.state is TrialState.COMPLETE]
            if self._clock() + (median(whole) if whole else 0.0) >= deadline:
                self._progress.say("the time is up: no further trial would end in it")
                return
            going = self._try(deadline)

    def _take_up(self) -> None:
        """What ran when the last run stopped is tried again; a new search begins as configured."""
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
            self._study.enqueue_trial(trial.params)
        if not self._study.trials:
            self._study.enqueue_trial(starting_point(self._space, self._config))

    def _judged(self) -> list[FrozenTrial]:
        return self._study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))

    def _try(self, deadline: float) -> bool:
        """One trial; whether the search goes on."""
        self._problem.prepare()
        # A sampler of its own for each, so that a search that was stopped goes on alike.
        drawn = (self._seed * 100_003 + len(self._judged())) % 2**32
        self._study.sampler = optuna.samplers.TPESampler(
            seed=drawn, n_startup_trials=_RANDOM_TRIALS
        )
        trial = self._study.ask()
        settings = suggest(trial, self._space)
        shown = ", ".join(f"{name}={_short(value)}" for name, value in settings.items())
        self._progress.say(f"trial {trial.number}: {shown}")
        began = self._clock()
        trial.set_user_attr(_SECONDS, 0.0)
        try:
            state, value = self._judge(trial, settings, deadline)
        finally:
            trial.set_user_attr(_SECONDS, self._clock() - began)
        self._study.tell(trial, value, state=state)
        if state is TrialState.FAIL:  # interrupted
            self._study.enqueue_trial(trial.params)
            return False
        told = "ended early" if value is None else f"accuracy {value:.3f}"
        self._progress.say(f"trial {trial.number}: {told}, {(self._clock() - began) / 60:.1f} min")
        return True

    def _judge(
        self, trial: optuna.Trial, settings: dict[str, Any], deadline: float
    ) -> tuple[TrialState, float | None]:
        def heard(epoch: int, accuracy: float) -> None:
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        def on_step() -> None:
            if self._clock() >= deadline:
                raise optuna.TrialPruned

        try:
            tuned = self._problem.tune(changed(self._config, settings), heard, on_step)
        except optuna.TrialPruned:
            return TrialState.PRUNED, None
        except ModelError as error:  # most likely the loss left the numbers, at too high a rate
            if not self._judged():
                raise
            self._progress.say(f"trial {trial.number}: {error.message}")
            return TrialState.PRUNED, None
        if tuned.interrupted:
            return TrialState.FAIL, None
        return TrialState.COMPLETE, _accuracy_given_back(tuned)

    def result(self, identity: dict[str, Any]) -> SearchResult:
        """The best whole trial; where none ran whole, the best epoch of the others."""
        judged = self._judged()
        whole = [trial for trial in judged if trial.state is TrialState.COMPLETE]
        scored = [trial for trial in whole or judged if _accuracy(trial) is not None]
        if not scored:
            raise InvalidInput(
                "no trial came to the end of an epoch",
                mend="Give more minutes, or fewer rows. With the same storage the search goes on.",
            )
        best = max(scored, key=lambda trial: (_accuracy(trial), -trial.number))
        accuracy = _accuracy(best)
        assert accuracy is not None
        record = {
            "data_sha256": identity["data"],
            "base_model": self._problem.base.reference,
            "base_sha256": identity["base model"],
            "seed": self._seed,
            "space": identity["space"],
            "train_rows": len(self._problem.fold.train),
            "held_out_rows": len(self._problem.fold.held_out),
            "minutes": round(sum(_seconds(trial) for trial in self._study.trials) / 60, 2),
            "best": {"number": best.number, "settings": best.params, "accuracy": accuracy},
            "trials": [_described(trial) for trial in judged],
        }
        return SearchResult(changed(self._config, best.params), accuracy, record)


def _study(storage: Path | None, identity: dict[str, Any]) -> optuna.Study:
    """A new study, or the one that `storage` holds if it is of the same search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=_STUDY,
        storage=None if storage is None else _opened(storage),
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=_WHOLE_TRIALS, n_warmup_steps=_WHOLE_EPOCHS + 1
        ),
        load_if_exists=True,
    )
    if not study.user_attrs:
        for name, value in identity.items():
            study.set_user_attr(name, value)
    for name, value in identity.items():
        if study.user_attrs.get(name) != value:
            raise Conflict(
                f"{storage} holds another search: its {name} differed",
                mend="Name another file as storage, or remove that one to begin anew.",
            )
    return study


def _opened(path: Path) -> optuna.storages.RDBStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path.absolute()}")
    except Exception as error:  # optuna passes on whatever its database library raises
        raise StorageError(
            f"{path} cannot be used as storage ({type(error).__name__})",
            mend="Name a file that is new, or one that an earlier search has written.",
        ) from error


def _unusual(config: FineTuneConfig) -> dict[str, Any]:
    """What is not as by default: a setting that a later version adds then changes nothing."""
    usual = asdict(FineTuneConfig())
    return {name: value for name, value in asdict(config).items() if value != usual[name]}


def _accuracy_given_back(tuned: FineTuned) -> float:
    """Of the weights that were kept: an epoch's, or the mean of several that was no worse."""
    found = {entry["epoch"]: entry["accuracy"] for entry in tuned.history}
    mean = found.pop(-1.0, None)
    if mean is not None and mean >= max(found.values()):
        return mean
    return found[tuned.best_epoch]


def _seconds(trial: FrozenTrial) -> float:
    return float(trial.user_attrs.get(_SECONDS, 0.0))


def _accuracy(trial: FrozenTrial) -> float | None:
    """Of its best epoch; optuna's own value of a trial that was cut short is its last epoch's."""
    if trial.state is TrialState.COMPLETE:
        return trial.value
    return max(trial.intermediate_values.values(), default=None)


def _described(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": "whole" if trial.state is TrialState.COMPLETE else "ended early",
        "settings": trial.params,
        "accuracy": _accuracy(trial),
        "epochs": {str(epoch): value for epoch, value in trial.intermediate_values.items()},
        "minutes": round(_seconds(trial) / 60, 2),
    }


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
