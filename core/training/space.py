"""Which settings of a fine-tuning are searched, and between which bounds?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.training.config import FineTuneConfig, changed

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; whole numbers where both are. `log`: as many draws
    between 1 and 10 as between 10 and 100, for which `low` must be above 0."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether 2.5 is left out."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def holds(self, value: Any) -> bool:
        """Whether it may be drawn."""
        return value is not None and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few."""

    options: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Whether it may be drawn."""
        return value in self.options


Space = Mapping[str, Range | Choice]

DEFAULT_SPACE: Space = {
    "learning_rate": Range(2e-5, 5e-4, log=True),
    "layer_decay": Range(0.7, 1.0),
    "label_smoothing": Range(0.0, 0.2),
    "epochs": Range(2, 8),
    "batch_size": Choice((16, 32, 64)),
    "weight_decay": Range(1e-3, 0.1, log=True),
    "dropout": Choice((None, 0.0, 0.05, 0.2, 0.3)),
}


def check_space(space: Space) -> None:
    """Raises InvalidInput for an empty space, a name that is no setting, or bounds that no
    fine-tuning can have."""
    if not space:
        raise InvalidInput("a search needs a setting to vary", mend="Name at least one.")
    for name, part in space.items():
        if isinstance(part, Choice):
            bounds = part.options
        elif part.low > part.high or (part.log and part.low <= 0):
            raise InvalidInput(
                f"the bounds of {name} must rise, from above 0 with log, were: {part}"
            )
        else:
            bounds = (part.low, part.high)
        if not bounds:
            raise InvalidInput(f"{name} has nothing to choose from", mend="Name its values.")
        for value in bounds:
            changed(FineTuneConfig(), {name: value})


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """A value for each name, drawn by the study's sampler."""
    found: dict[str, Any] = {}
    for name, part in space.items():
        if isinstance(part, Choice):
            found[name] = trial.suggest_categorical(name, part.options)
        elif part.whole:
            found[name] = trial.suggest_int(name, int(part.low), int(part.high), log=part.log)
        else:
            found[name] = trial.suggest_float(name, part.low, part.high, log=part.log)
    return found


def starting_point(space: Space, config: FineTuneConfig) -> dict[str, Any]:
    """The settings of `config` that the space holds: the first trial tries them."""
    said = {**dataclasses.asdict(config), "learning_rate": config.rate, "epochs": config.passes()}
    return {name: said[name] for name, part in space.items() if part.holds(said[name])}


def described(space: Space) -> dict[str, Any]:
    """Fit for JSON."""
    return {
        name: list(part.options) if isinstance(part, Choice) else dataclasses.asdict(part)
        for name, part in space.items()
    }
