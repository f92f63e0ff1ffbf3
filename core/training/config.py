"""How may a fine-tuning be set, and what does each setting mean?

One frozen dataclass holds every choice: it is what `--set name=value` and `--config FILE` on the
command line fill, what the search for hyper-parameters varies, and what the manifest records.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import InvalidInput

Tune = Literal["head", "top", "all", "lora", "adalora", "ia3", "prefix", "prompt"]
Keep = Literal["steady", "best", "last"]
Adversary = Literal["none", "fgm", "pgd"]
# Ways of tuning that leave the encoder's own weights alone and add a few new ones (peft).
ADAPTERS = ("lora", "adalora", "ia3", "prefix", "prompt")


@dataclass(frozen=True)
class FineTuneConfig:
    """Choices of one fine-tuning; the defaults are those of the preset `accurate`.

    tune                  what learns: the heads alone, the `top_layers` uppermost layers, all
                          layers, or an adapter beside them (`adapter_rank`: rank of LoRA and
                          AdaLoRA, virtual tokens of prefix and prompt tuning)
    learning_rate         of the top layer; each layer below has `layer_decay`, (0, 1], of the one
                          above; None: 1e-4, for adapters 1e-3
    epochs                passes over the training rows; None: 27,000 ÷ rows, from 3 to 8
    warmup                share of the steps, [0, 1)
    dropout               [0, 1) in all layers; None: as the base model says
    label_smoothing       [0, 1)
    class_weights         rare classes count more: weight ∝ 1 / √frequency, mean 1 over rows
    adversarial           a second pass a step on embeddings moved by `adversarial_epsilon` × their
                          norm against the model: one step (fgm) or `adversarial_steps` (pgd)
    augment               [0, 1] share of training texts that get typos, dropped and swapped words
                          (and synonyms where they are given), anew each epoch
    contrastive           weight of the supervised contrastive loss beside the cross-entropy;
                          batches then hold `examples_per_class` texts of each class they hold
    consistency           weight of R-Drop: two passes with other dropout must say the same
    teacher_weight        [0, 1] share of the teacher's word against the label's, in distillation;
                          `teacher_temperature` softens both sides
    average               weights averaged over the last so many epochs where that judges no worse
    keep                  steady: the last epoch, unless an earlier one judged better by more than
                          chance, 1 / √held-out rows; best: the one that judged best; last: the last
    patience              epochs without one to keep before tuning ends
    max_tokens            cuts texts in training
    max_minutes           ends between epochs; None: no limit
    gradient_accumulation batches a step
    """

    tune: Tune = "all"
    top_layers: int = 2
    adapter_rank: int = 16
    epochs: int | None = None
    batch_size: int = 32
    gradient_accumulation: int = 1
    learning_rate: float | None = None
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.1
    dropout: float | None = None
    label_smoothing: float = 0.0
    class_weights: bool = False
    adversarial: Adversary = "none"
    adversarial_epsilon: float = 0.1
    adversarial_steps: int = 3
    augment: float = 0.0
    contrastive: float = 0.0
    contrastive_temperature: float = 0.1
    examples_per_class: int = 4
    consistency: float = 0.0
    teacher_weight: float = 0.7
    teacher_temperature: float = 2.0
    average: int = 1
    gradient_norm: float = 1.0
    keep: Keep = "steady"
    patience: int = 2
    max_tokens: int = 96
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        """Raises InvalidInput for a value out of range."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InvalidInput(f"{name} must be in [{low:g}, {high:g}], was: {value}")

    @property
    def rate(self) -> float:
        """The learning rate that holds where none was given."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1e-3 if self.tune in ADAPTERS else 1e-4

    def passes(self, rows: int = 0) -> int:
        """The epochs that hold where none were given, for so many training rows."""
        if self.epochs is not None:
            return self.epochs
        return min(_MOST_EPOCHS, max(_LEAST_EPOCHS, round(_VISITS / max(rows, 1))))


_ALMOST_ONE = 1 - 1e-9
_MANY = 1_000_000
# Rows read in all, where no epochs are given. Of 9,000 rows the third epoch judged best, and those
# behind it worse (BANKING77); of 1,000 eight gave 1.2 points more than four (Twitter sentiment).
_VISITS = 27_000
_LEAST_EPOCHS, _MOST_EPOCHS = 3, 8
_RANGES = (
    ("top_layers", 1, _MANY),
    ("adapter_rank", 1, _MANY),
    ("epochs", 0, _MANY),
    ("batch_size", 1, _MANY),
    ("gradient_accumulation", 1, _MANY),
    ("learning_rate", 0, 1),
    ("head_learning_rate", 0, 1),
    ("layer_decay", 1e-9, 1),
    ("weight_decay", 0, 1),
    ("warmup", 0, _ALMOST_ONE),
    ("dropout", 0, _ALMOST_ONE),
    ("label_smoothing", 0, _ALMOST_ONE),
    ("adversarial_epsilon", 0, 10),
    ("adversarial_steps", 1, 100),
    ("augment", 0, 1),
    ("contrastive", 0, 1000),
    ("contrastive_temperature", 1e-3, 10),
    ("examples_per_class", 2, _MANY),
    ("consistency", 0, 1000),
    ("teacher_weight", 0, 1),
    ("teacher_temperature", 1e-3, 100),
    ("average", 1, 100),
    ("gradient_norm", 1e-9, _MANY),
    ("patience", 1, _MANY),
    ("max_tokens", 2, _MANY),
    ("max_minutes", 0, _MANY),
)


def changed(config: FineTuneConfig, settings: Mapping[str, Any]) -> FineTuneConfig:
    """`config` with some settings replaced; text such as "3e-5", "none" or "true" is understood.

    Raises InvalidInput for a name that is no setting, or a value that it cannot have.
    """
    kinds = typing.get_type_hints(FineTuneConfig)
    unknown = sorted(set(settings) - set(kinds))
    if unknown:
        raise InvalidInput(
            f"{unknown[0]!r} is no setting of fine-tuning", mend=f"Known are: {', '.join(kinds)}."
        )
    read = {name: _read(name, value, kinds[name]) for name, value in settings.items()}
    return dataclasses.replace(config, **read)


def _read(name: str, value: Any, kind: Any) -> Any:
    options = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        if value not in options:
            raise InvalidInput(f"{name} must be one of {', '.join(options)}, was: {value}")
        return value
    if isinstance(kind, types.UnionType):
        if value is None or str(value).casefold() == "none":
            return None
        kind = options[0]
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).casefold() not in words:
            raise InvalidInput(f"{name} must be true or false, was: {value}")
        return words[str(value).casefold()]
    try:
        read = kind(value)
    except (TypeError, ValueError):
        read = None
    if read is None or isinstance(value, bool) or (isinstance(value, float) and read != value):
        expected = "a whole number" if kind is int else "a number"
        raise InvalidInput(f"{name} must be {expected}, was: {value}")
    return read
