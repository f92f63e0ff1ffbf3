"""How is an encoder tuned on labelled texts?

Linear probing first, then fine-tuning (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained
Features"): the heads start as the logistic regressions that fit the frozen embeddings, so that the
first steps do not tear the encoder apart. AdamW with linear warm-up and decay, a lower learning
rate for lower layers (Howard and Ruder 2018, "Universal Language Model Fine-tuning"), and the
weights of the epoch with the best validation score are kept. Training only: torch is imported here.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from core.errors import ModelError
from core.inference.export import text_room
from core.inference.onnx_session import pad
from core.models import Pooling
from core.progress import SILENT, Progress
from core.training.adapters import (
    Ranks,
    orthogonality,
    with_adapter,
    without_adapter,
    without_training,
)
from core.training.adversarial import Adversary
from core.training.batches import ClassBatches, LengthBatches, TokenRows, Tokens, collate
from core.training.config import ADAPTERS, FineTuneConfig
from core.training.dropout import set_dropout, use_byte_dropout
from core.training.linear import Linear
from core.training.loop import RunOptions, RunResult
from core.training.objective import ClassifierModule, class_weights
from core.training.rows import Fold, IntArray
from core.training.tuning import adamw, arguments, free_layers, run_trainer

FloatArray = npt.NDArray[np.float32]
# (epoch, row) → other tokens for the row in this epoch, or None for its own.
Vary = Callable[[int, int], Tokens | None]


@dataclass(frozen=True)
class FineTuned:
    """`model`: the tuned encoder; `heads`: name → dense part; `history`: one entry an epoch, from
    0 on; `best_epoch` is 0 where no epoch beat the encoder as it was."""

    model: Any
    heads: Mapping[str, Linear]
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    interrupted: bool
    seconds: float = field(compare=False)


def fine_tune(
    model: Any,
    pooling: Pooling,
    sequences: Sequence[Tokens],
    labels: Mapping[str, IntArray],
    start: Mapping[str, Linear],
    fold: Fold,
    config: FineTuneConfig,
    *,
    seed: int,
    threads: int,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
    teacher: Mapping[str, FloatArray] | None = None,
    vary: Vary | None = None,
) -> FineTuned:
    """Tune `model` in place on `fold.train`; `fold.held_out` picks the epoch.

    Without held-out rows the last epoch stays. `sequences`: token ids of n rows; `labels`: head →
    (n,) class numbers, −1 for none; `start`: the dense heads to begin with; `teacher`: head →
    (n, classes) logits to be distilled, NaN in rows without. Checkpoints lie in a folder of their
    own for each combination of data, seed and settings below `options.checkpoints`, so that no run
    goes on from another's. Raises ModelError when the loss is no number, InvalidInput where the
    model cannot be tuned as the settings say.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    config = replace(config, epochs=config.passes(len(fold.train)))
    options = _own_checkpoints(options, model, sequences, labels, fold, config, seed)
    model, layers = _prepare(model, config)
    weights = {
        name: class_weights(of[fold.train], start[name].bias.shape[0])
        for name, of in labels.items()
        if config.class_weights
    }
    module = ClassifierModule(model, pooling, start, labels, config, teacher, weights)
    rows = TokenRows(sequences, min(config.max_tokens, text_room(model)), vary)
    result = _run(module, layers, rows, labels, fold, config, seed, options, progress)
    heads = {name: _linear(head) for name, head in module.heads.items()}
    finish = without_adapter if result.best_epoch else without_training
    return FineTuned(
        finish(module.encoder).cpu().eval(),
        heads,
        result.history,
        result.best_epoch,
        result.interrupted,
        result.seconds,
    )


def _run(
    module: ClassifierModule,
    layers: list[Any],
    rows: TokenRows,
    labels: Mapping[str, IntArray],
    fold: Fold,
    config: FineTuneConfig,
    seed: int,
    options: RunOptions,
    progress: Progress,
) -> RunResult:
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _Trainer(
            model=module,
            args=arguments(Path(scratch), options, config, seed=seed),
            data_collator=collate,
            train_dataset=rows,
        )
        trainer.prepare(_batches(rows, labels, fold, config, seed), layers, config)
        try:
            return run_trainer(
                trainer,
                score=_judge(trainer, rows, labels, fold.held_out),
                metric="accuracy",
                config=config,
                options=options,
                progress=progress,
                judged=len(fold.held_out),
            )
        finally:
            trainer.close()


def _own_checkpoints(
    options: RunOptions | None,
    model: Any,
    sequences: Sequence[Tokens],
    labels: Mapping[str, IntArray],
    fold: Fold,
    config: FineTuneConfig,
    seed: int,
) -> RunOptions:
    """`options` with a folder that only the same run would choose again; how long it may last is
    no part of what it is."""
    options = options or RunOptions()
    if options.checkpoints is None:
        return options
    of = replace(config, patience=1, max_minutes=None)
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    digest = hashlib.sha256(json.dumps([seed, asdict(of), shapes, sorted(labels)]).encode())
    numbers = [labels[name] for name in sorted(labels)]
    for array in (fold.train, fold.held_out, *numbers, *sequences):
        digest.update(np.ascontiguousarray(array).tobytes() + b"|")
    digest.update(next(model.parameters()).detach().cpu().numpy().tobytes())
    folder = options.checkpoints / f"run-{digest.hexdigest()[:12]}"
    return replace(options, checkpoints=folder)


def _prepare(model: Any, config: FineTuneConfig) -> tuple[Any, list[Any]]:
    """(the model to train, its layers that learn from the top down)."""
    use_byte_dropout(model)
    if config.dropout is not None:
        set_dropout(model, config.dropout)
    if config.tune in ADAPTERS:
        return with_adapter(model, config), []
    return model, free_layers(model, config)


class _Trainer(transformers.Trainer):  # type: ignore[misc]  # transformers is untyped
    """The Trainer with our batches, our learning rates, and an adversary where one is wanted."""

    optimizer: Any

    def prepare(self, batches: LengthBatches, layers: list[Any], config: FineTuneConfig) -> None:
        """Before `train`: what the constructor of the library's own class has no place for."""
        self._batches = batches
        self._layers = layers
        self._config = config
        self._adversary: Adversary | None = None
        if config.adversarial != "none":
            steps = 1 if config.adversarial == "fgm" else config.adversarial_steps
            embeddings = _embedding_layer(self.model.encoder)
            self._adversary = Adversary(embeddings, config.adversarial_epsilon, steps)
        if config.tune == "adalora":
            self.add_callback(Ranks(self.model.encoder))

    def close(self) -> None:
        """Leave the model without hooks."""
        if self._adversary is not None:
            self._adversary.close()

    def get_train_dataloader(self) -> Any:
        """Batches by our sampler."""
        loader = torch.utils.data.DataLoader(
            self.train_dataset, batch_sampler=self._batches, collate_fn=self.data_collator
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW with a rate for each layer."""
        if self.optimizer is None:
            self.optimizer = adamw(self.model, self._layers, self._config)
        return self.optimizer

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The module's own loss, with AdaLoRA's penalty."""
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if self._config.tune == "adalora":
            loss = loss + orthogonality(self.model.encoder)
        return loss

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """The plain step's gradients, and the adversary's on top."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self._adversary is not None:
            ready = self._prepare_inputs(inputs)
            share = self.current_gradient_accumulation_steps
            self._adversary.step(
                lambda: self.compute_loss(model, ready) / share,
                self.accelerator.backward,
                # Not through the wrapper of several processes, which waits for a backward pass.
                probe=lambda: self.compute_loss(self.model, ready),
            )
        return loss


def _embedding_layer(encoder: Any) -> Any:
    """The module that turns token ids into the first layer's input."""
    base = encoder.get_base_model() if hasattr(encoder, "get_base_model") else encoder
    if not hasattr(base, "embeddings"):
        raise ModelError(
            f"{type(base).__name__} has no layer `embeddings` for an adversary to move",
            mend="Set adversarial=none.",
        )
    return base.embeddings


def _batches(
    rows: TokenRows,
    labels: Mapping[str, IntArray],
    fold: Fold,
    config: FineTuneConfig,
    seed: int,
) -> LengthBatches:
    lengths = [len(s) for s in rows.sequences]
    if config.contrastive == 0:
        return LengthBatches(fold.train, lengths, config.batch_size, seed=seed)
    first = next(iter(labels.values()))
    return ClassBatches(
        fold.train,
        lengths,
        config.batch_size,
        seed=seed,
        labels=first,
        per_class=config.examples_per_class,
    )


def _judge(
    trainer: Any, rows: TokenRows, labels: Mapping[str, IntArray], held_out: IntArray
) -> Callable[[], float]:
    """The score of an epoch, no number where there are no rows to judge by."""
    if len(held_out) == 0:
        return lambda: math.nan
    return lambda: _score(trainer.model, rows, labels, held_out)


def _score(
    module: ClassifierModule, rows: TokenRows, labels: Mapping[str, IntArray], held_out: IntArray
) -> float:
    """Accuracy on the held-out rows, the mean over the heads."""
    device = next(module.parameters()).device
    was_training = module.training
    module.eval()
    hits: dict[str, list[float]] = {name: [] for name in module.heads}
    order = sorted(held_out.tolist(), key=lambda row: len(rows.sequences[row]))
    with torch.no_grad():
        for start in range(0, len(order), 64):
            batch = order[start : start + 64]
            ids, mask = (torch.from_numpy(a) for a in pad([rows.sequences[r] for r in batch]))
            embeddings = module.embed(ids.to(device), mask.to(device))
            for name, head in module.heads.items():
                expected = torch.from_numpy(labels[name][batch])
                right = (head(embeddings).argmax(1).cpu() == expected)[expected >= 0]
                hits[name] += right.float().tolist()
    module.train(was_training)
    accuracies = [float(np.mean(h)) for h in hits.values() if h]
    return float(np.mean(accuracies)) if accuracies else 0.0


def _linear(head: Any) -> Linear:
    return Linear(
        head.weight.detach().cpu().numpy().T.astype(np.float32).copy(),
        head.bias.detach().cpu().numpy().astype(np.float32).copy(),
    )
