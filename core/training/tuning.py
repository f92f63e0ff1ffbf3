"""What do all ways of tuning an encoder share, whatever the task?

Which layers are freed, AdamW's groups with a lower learning rate for lower layers (Howard and Ruder
2018, "Universal Language Model Fine-tuning"), which settings count, and what the manifest keeps.
Training only: torch is imported here.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from core.artifacts import Manifest, now_iso
from core.errors import InvalidInput
from core.models import BaseModel
from core.progress import Progress
from core.training.adapters import encoder_layers, with_adapter
from core.training.config import FineTuneConfig
from core.training.loop import RunOptions, RunResult, run, training_arguments

# Ways of tuning that add tokens to the text, or whose steps need to be told of each other.
_BESIDE = ("prefix", "prompt", "adalora")


def free_layers(encoder: Any, config: FineTuneConfig) -> list[Any]:
    """Freeze `encoder` but for the layers that `config.tune` names; they come from the top down.

    The token embeddings stay as they are: half of all parameters, which a few thousand texts touch
    too rarely to improve. Raises InvalidInput for an adapter.
    """
    count = {"head": 0, "top": config.top_layers}.get(config.tune)
    if config.tune not in ("head", "top", "all"):
        raise InvalidInput(
            f"tune must be head, top or all for this task, was: {config.tune}",
            mend="Adapters are there for text and token classification.",
        )
    layers = list(reversed(encoder_layers(encoder)))[:count]
    encoder.requires_grad_(False)
    for layer in layers:
        layer.requires_grad_(True)
    return layers


def with_learning_parts(encoder: Any, config: FineTuneConfig) -> tuple[Any, list[Any]]:
    """(the encoder to train, its layers that learn), as `free_layers`, or with an adapter that can
    be merged into the weights (lora, ia3)."""
    if config.tune in ("head", "top", "all"):
        return encoder, free_layers(encoder, config)
    if config.tune in _BESIDE:
        raise InvalidInput(
            f"tune must be head, top, all, lora or ia3 for this task, was: {config.tune}"
        )
    return with_adapter(encoder, config), []


def parameter_groups(
    module: Any, layers: Sequence[Any], config: FineTuneConfig
) -> list[dict[str, Any]]:
    """AdamW's groups: each of `layers` at its own rate, all else that learns as a head does.

    Without layers (an adapter) everything named `encoder` has the config's rate.
    """
    seen: set[int] = set()
    groups: list[dict[str, Any]] = []
    parts = [list(layer.parameters()) for layer in layers]
    if not parts and hasattr(module, "encoder"):
        parts = [list(module.encoder.parameters())]
    for depth, parameters in enumerate(parts):
        learning = [p for p in parameters if p.requires_grad]
        seen |= {id(p) for p in learning}
        rate = config.rate * config.layer_decay**depth
        for decay, few in ((config.weight_decay, False), (0.0, True)):
            chosen = [p for p in learning if (p.ndim <= 1) == few]
            groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    heads = [p for p in module.parameters() if p.requires_grad and id(p) not in seen]
    groups.insert(0, {"params": heads, "lr": config.head_learning_rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def adamw(module: Any, layers: Sequence[Any], config: FineTuneConfig) -> Any:
    """The optimiser of `parameter_groups`."""
    return torch.optim.AdamW(parameter_groups(module, layers, config), fused=True)


# What every task of this kind reads of a FineTuneConfig.
SHARED_SETTINGS = frozenset(
    {
        *("tune", "top_layers", "epochs", "batch_size", "gradient_accumulation", "learning_rate"),
        *("head_learning_rate", "layer_decay", "weight_decay", "warmup", "dropout", "average"),
        *("gradient_norm", "keep", "patience", "max_tokens", "max_minutes"),
    }
)


def refuse_unused(config: FineTuneConfig, defaults: FineTuneConfig, used: frozenset[str]) -> None:
    """InvalidInput where a setting that the task does not read was changed: it would do nothing."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in used and value != getattr(defaults, field.name):
            raise InvalidInput(
                f"{field.name} does nothing for this task, was: {value}",
                mend=f"It reads {', '.join(sorted(used))}.",
            )


def manifest_of(
    kind: str,
    base: BaseModel,
    data_sha256: str,
    *,
    metrics: dict[str, Any],
    settings: dict[str, Any],
) -> Manifest:
    """The manifest of a model that was made now."""
    return Manifest(
        kind=kind,
        created_at=now_iso(),
        base_model=base.reference,
        base_revision=base.revision,
        data_sha256=data_sha256,
        metrics=metrics,
        settings=settings,
    )


def tuning_settings(config: FineTuneConfig, seed: int, result: RunResult) -> dict[str, Any]:
    """What the manifest keeps of a run."""
    return {
        "config": dataclasses.asdict(config),
        "seed": seed,
        "best_epoch": result.best_epoch,
        "history": result.history,
        "interrupted": result.interrupted,
        "seconds": round(result.seconds, 1),
    }


def arguments(
    scratch: Path, options: RunOptions, config: FineTuneConfig, *, seed: int, **given: Any
) -> Any:
    """The Trainer's arguments that a config stands for; `given` are further ones."""
    return training_arguments(
        scratch,
        options,
        seed=seed,
        num_train_epochs=config.passes(),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        warmup_steps=config.warmup,
        lr_scheduler_type="linear",
        max_grad_norm=config.gradient_norm,
        **given,
    )


def run_trainer(
    trainer: Any,
    *,
    score: Callable[[], float],
    metric: str,
    config: FineTuneConfig,
    options: RunOptions,
    progress: Progress,
    judged: int,
) -> RunResult:
    """`loop.run` with what the config says of its end; `judged`: rows that `score` looks at."""
    margins = {"best": 0.0, "steady": 1 / math.sqrt(max(judged, 1)), "last": math.inf}
    return run(
        trainer,
        score=score,
        metric=metric,
        options=options,
        patience=config.patience,
        average=config.average,
        margin=margins[config.keep] if judged else math.inf,
        max_minutes=config.max_minutes,
        progress=progress,
    )


def run_sentence_trainer(
    trainer: type[Any],
    kind: type[Any],
    model: Any,
    rows: Mapping[str, list[Any]],
    *,
    loss: Any,
    layers: Sequence[Any],
    score: Callable[[Any], float],
    metric: str,
    config: FineTuneConfig,
    seed: int,
    options: RunOptions | None,
    progress: Progress,
    judged: int,
    **given: Any,
) -> RunResult:
    """Train `model` with one of sentence-transformers' trainers and its `kind` of arguments.

    `rows`: columns in the order in which the loss reads them; `score` gets the trainer, and looks
    at `judged` queries; `given` are further arguments.
    """
    from datasets import Dataset

    options = options or RunOptions()
    # It would describe data and model in prose before it begins.
    silent = {"add_model_card_callback": lambda self, defaults: None}
    with tempfile.TemporaryDirectory() as scratch:
        made: Any = type(trainer.__name__, (trainer,), silent)(
            model=model,
            args=arguments(Path(scratch), options, config, seed=seed, kind=kind, **given),
            train_dataset=Dataset.from_dict(dict(rows)),
            loss=loss,
            optimizers=(adamw(model, layers, config), None),
        )
        return run_trainer(
            made,
            score=lambda: score(made),
            metric=metric,
            config=config,
            options=options,
            progress=progress,
            judged=judged,
        )
