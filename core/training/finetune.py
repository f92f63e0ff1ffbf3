"""How is the whole encoder tuned on labelled texts?

Linear probing first, then fine-tuning (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained
Features"): the heads start as the logistic regressions that fit the frozen embeddings, so that the
first steps do not tear the encoder apart. AdamW with linear warm-up and decay, label smoothing,
batches of like lengths, and the weights of the epoch with the best validation score are kept.

Training only: torch is imported here.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from core.inference.export import pool
from core.inference.onnx_session import pad
from core.models import Pooling
from core.progress import SILENT, Progress
from core.training.heads import Linear
from core.training.rows import Fold, IntArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FineTuneConfig:
    """`learning_rate` of the top layer; each layer below has `layer_decay` (0 to 1] of the one
    above. `warmup` is the share of steps, `label_smoothing` 0 to 1, `patience` in epochs,
    `max_tokens` cuts texts in training, `max_minutes` (None: no limit) ends between epochs."""

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.1
    label_smoothing: float = 0.05
    gradient_norm: float = 1.0
    patience: int = 2
    max_tokens: int = 96
    max_minutes: float | None = None


@dataclass(frozen=True)
class FineTuned:
    """`heads`: name → dense part; `history`: one entry an epoch; `best_epoch` counts from 1,
    0 where no epoch beat the frozen encoder."""

    heads: Mapping[str, Linear]
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    seconds: float = field(compare=False)


def fine_tune(
    model: Any,
    pooling: Pooling,
    sequences: Sequence[npt.NDArray[np.int64]],
    labels: Mapping[str, IntArray],
    start: Mapping[str, Linear],
    fold: Fold,
    config: FineTuneConfig,
    *,
    seed: int,
    threads: int,
    progress: Progress = SILENT,
) -> FineTuned:
    """Tune `model` in place on `fold.train`; `fold.held_out` picks the epoch.

    `sequences`: token ids of each row; `labels`: head → (n,) class numbers, −1 for none; `start`:
    the dense heads to begin with. Raises ModelError when the loss is no number.
    """
    import torch

    from core.training.dropout import use_byte_dropout

    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    use_byte_dropout(model)
    began = time.monotonic()
    run = _Run(model, pooling, sequences, labels, start, config, np.random.default_rng(seed))
    steps = config.epochs * math.ceil(len(fold.train) / config.batch_size)
    optimizer, schedule = run.optimizer(steps)
    best_score, best, best_epoch = run.score(fold.held_out), run.state(), 0
    history = [{"epoch": 0.0, "accuracy": best_score}]
    for epoch in range(1, config.epochs + 1):
        loss = run.epoch(fold.train, optimizer, schedule, progress, epoch)
        score = run.score(fold.held_out)
        history.append({"epoch": float(epoch), "loss": loss, "accuracy": score})
        progress.say(f"epoch {epoch}: loss {loss:.3f}, held-out accuracy {score:.3f}")
        if score > best_score:
            best_score, best, best_epoch = score, run.state(), epoch
        minutes = (time.monotonic() - began) / 60
        if epoch - best_epoch >= config.patience or (
            config.max_minutes is not None and minutes >= config.max_minutes
        ):
            break
    run.restore(best)
    return FineTuned(run.linear_heads(), history, best_epoch, time.monotonic() - began)


class _Run:
    """The torch side of one fine-tuning."""

    def __init__(
        self,
        model: Any,
        pooling: Pooling,
        sequences: Sequence[npt.NDArray[np.int64]],
        labels: Mapping[str, IntArray],
        start: Mapping[str, Linear],
        config: FineTuneConfig,
        rng: np.random.Generator,
    ) -> None:
        import torch

        self.model = model
        self.pooling = pooling
        self.sequences = [s[: config.max_tokens] for s in sequences]
        self.labels = {name: torch.from_numpy(np.asarray(of)) for name, of in labels.items()}
        self.config = config
        self.rng = rng
        self.heads = torch.nn.ModuleDict(
            {name: _torch_linear(linear) for name, linear in start.items()}
        )

    def optimizer(self, steps: int) -> tuple[Any, Any]:
        import torch

        warmup = max(1, round(self.config.warmup * steps))

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return max(0.0, (steps - step) / max(1, steps - warmup))

        optimizer = torch.optim.AdamW(self._parameter_groups())
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        config = self.config
        heads = {
            "params": list(self.heads.parameters()),
            "lr": config.head_learning_rate,
            "weight_decay": 0.0,
        }
        groups = [heads]
        layers = list(self.model.encoder.layer)
        # The token embeddings stay as they are: half of all parameters, which a few thousand
        # texts touch too rarely to improve.
        self.model.embeddings.requires_grad_(False)
        for depth, layer in enumerate(reversed(layers)):
            rate = config.learning_rate * config.layer_decay**depth
            decayed = [p for p in layer.parameters() if p.ndim > 1]
            others = [p for p in layer.parameters() if p.ndim <= 1]
            groups.append({"params": decayed, "lr": rate, "weight_decay": config.weight_decay})
            groups.append({"params": others, "lr": rate, "weight_decay": 0.0})
        return groups

    def epoch(
        self, rows: IntArray, optimizer: Any, schedule: Any, progress: Progress, epoch: int
    ) -> float:
        import torch

        self.model.train()
        batches = self._training_batches(rows)
        losses: list[float] = []
        for batch in progress.bar(
            batches, len(batches), f"epoch {epoch}", lambda: f"loss {losses[-1]:.3f}"
        ):
            loss = self._loss(self._embed(batch), batch)
            if not torch.isfinite(loss):
                raise ModelError(
                    "the training loss is no number any more",
                    mend="Lower the learning rate, or use the fast preset.",
                )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(
                [*self.model.parameters(), *self.heads.parameters()], self.config.gradient_norm
            )
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def score(self, rows: IntArray) -> float:
        """Accuracy on rows, the mean over the heads."""
        import torch

        self.model.eval()
        hits: dict[str, list[float]] = {name: [] for name in self.heads}
        with torch.no_grad():
            for batch in self._batches_by_length(rows, 64):
                embeddings = self._embed(batch)
                for name, head in self.heads.items():
                    expected = self.labels[name][batch]
                    right = (head(embeddings).argmax(1) == expected)[expected >= 0]
                    hits[name] += right.float().tolist()
        accuracies = [float(np.mean(h)) for h in hits.values() if h]
        return float(np.mean(accuracies)) if accuracies else 0.0

    def state(self) -> tuple[Any, Any]:
        return copy.deepcopy(self.model.state_dict()), copy.deepcopy(self.heads.state_dict())

    def restore(self, state: tuple[Any, Any]) -> None:
        self.model.load_state_dict(state[0])
        self.heads.load_state_dict(state[1])
        self.model.eval()

    def linear_heads(self) -> dict[str, Linear]:
        return {
            name: Linear(
                head.weight.detach().numpy().T.astype(np.float32).copy(),
                head.bias.detach().numpy().astype(np.float32).copy(),
            )
            for name, head in self.heads.items()
        }

    def _embed(self, batch: IntArray) -> torch.Tensor:
        import torch

        ids, mask = (torch.from_numpy(a) for a in pad([self.sequences[row] for row in batch]))
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return pool(hidden, mask, self.pooling)

    def _loss(self, embeddings: torch.Tensor, batch: IntArray) -> torch.Tensor:
        import torch

        losses = []
        for name, head in self.heads.items():
            expected = self.labels[name][batch]
            if (expected >= 0).any():
                losses.append(
                    torch.nn.functional.cross_entropy(
                        head(embeddings),
                        expected,
                        ignore_index=-1,
                        label_smoothing=self.config.label_smoothing,
                    )
                )
        return torch.stack(losses).sum() if losses else embeddings.sum() * 0.0

    def _training_batches(self, rows: IntArray) -> list[IntArray]:
        """Rows of like length together (noise keeps the batches different), in random order."""
        lengths = np.array([len(self.sequences[row]) for row in rows])
        order = np.argsort(lengths + self.rng.uniform(0, 4, len(rows)), kind="stable")
        size = self.config.batch_size
        batches = [rows[order[i : i + size]] for i in range(0, len(rows), size)]
        return [batches[i] for i in self.rng.permutation(len(batches))]

    def _batches_by_length(self, rows: IntArray, size: int) -> Iterator[IntArray]:
        order = sorted(rows, key=lambda row: len(self.sequences[row]))
        yield from (np.array(order[i : i + size]) for i in range(0, len(order), size))


def _torch_linear(linear: Linear) -> Any:
    import torch

    module = torch.nn.Linear(*linear.weight.shape)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(linear.weight.T.copy()))
        module.bias.copy_(torch.from_numpy(linear.bias))
    return module
