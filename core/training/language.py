"""How does a base model learn the language of a company before it sees a label?

Continued masked-language pre-training on the company's own unlabelled texts (Gururangan et al.
2020, "Don't Stop Pretraining"): hidden words are guessed from the words around them, by a small
head whose output layer is the token embeddings (Press and Wolf 2017, "Using the Output Embedding to
Improve Language Models"). What comes out is a folder like the one that went in, so that it can be
named as base model. Training only: torch is imported here.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn import functional

from core.errors import Conflict, DataError, InvalidInput
from core.inference.export import load_torch_encoder
from core.models import BUNDLED, BaseModel, resolve_model
from core.progress import SILENT, Progress
from core.text import for_model
from core.training.batches import LengthBatches
from core.training.dropout import use_byte_dropout
from core.training.loop import RunOptions, RunResult, run, training_arguments
from core.training.masking import IGNORED, MaskedRows, WordTokenizer, collate_masked

METRIC = "log_likelihood"
_HELD_OUT_SHARE = 0.05
# The record beside the weights: what was read, and what it gave.
RECORD = "pretraining.json"
# Tokenizer, limits and pooling are the base model's own: these of its files are copied.
_COPIED = ("*.json", "*.txt", "*.model", "1_Pooling/config.json")
_NOT_COPIED = ("config.json", RECORD)


@dataclass(frozen=True)
class LanguageConfig:
    """`mask_share`, (0, 1]: of the words, hidden anew each epoch; `head_learning_rate`: of the head
    that is thrown away in the end; the others as in FineTuneConfig."""

    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 5e-5
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    mask_share: float = 0.15
    max_tokens: int = 96
    gradient_norm: float = 1.0
    patience: int = 2
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        """Raises InvalidInput for a value out of range."""
        if not 0 < self.mask_share <= 1:
            raise InvalidInput(f"mask_share must be in (0, 1], was: {self.mask_share}")
        for name in ("epochs", "batch_size", "patience", "max_tokens"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be at least 1, was: {getattr(self, name)}")


@dataclass(frozen=True)
class Pretrained:
    """`loss_before`, `loss_after`: nats a hidden token of the held-out texts, by the base model
    (with a new head) and by what was written; `texts`: different ones; `history`: an entry an
    epoch, from 0 on."""

    base: BaseModel
    texts: int
    held_out: int
    loss_before: float
    loss_after: float
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    interrupted: bool
    seconds: float = field(compare=False)


def pretrain(
    texts: Sequence[str],
    folder: Path,
    *,
    base_model: str = BUNDLED,
    config: LanguageConfig | None = None,
    seed: int = 0,
    threads: int = 2,
    progress: Progress = SILENT,
    options: RunOptions | None = None,
) -> Pretrained:
    """Write a base model in the Hugging Face layout to `folder`, tuned on `texts`.

    One text in twenty is held out and picks the epoch. Raises Conflict where `folder` holds
    something, DataError for fewer than 2 different texts, ModelError and its kinds where the base
    model cannot be used.
    """
    config = config or LanguageConfig()
    _refuse_taken(folder)
    different = list(dict.fromkeys(map(for_model, texts)))
    if len(different) < 2:
        raise DataError(
            f"expected at least 2 different texts, found {len(different)}", mend="Add texts."
        )
    base = resolve_model(base_model)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    tokenizer = WordTokenizer(base.path / "tokenizer.json", min(config.max_tokens, base.max_length))
    module = MaskedLanguageModule(load_torch_encoder(base), tokenizer.size)
    use_byte_dropout(module.encoder)
    progress.say(f"reading {len(different)} texts")
    rows = MaskedRows(tokenizer.encode(different), tokenizer, config.mask_share, seed)
    order = np.random.default_rng(seed).permutation(len(different))
    held_out = order[: max(1, round(_HELD_OUT_SHARE * len(order)))]
    train = np.sort(order[len(held_out) :])
    result = _run(module, rows, train, held_out, config, seed, progress, options or RunOptions())
    found = Pretrained(
        base,
        len(different),
        len(held_out),
        -result.history[0][METRIC],
        -max(entry[METRIC] for entry in result.history),
        result.history,
        result.best_epoch,
        result.interrupted,
        result.seconds,
    )
    _write(module.encoder, folder, found, config, seed)
    return found


class MaskedLanguageModule(torch.nn.Module):  # type: ignore[misc]  # mypy does not look into torch
    """An encoder with a head that guesses hidden tokens; its forward pass gives the loss.

    The head's first layer begins as the identity, so that the first steps do not tear the encoder
    apart.
    """

    def __init__(self, encoder: Any, vocabulary: int) -> None:
        super().__init__()
        self.encoder = encoder
        width = int(encoder.config.hidden_size)
        size, depth = encoder.get_input_embeddings().weight.shape
        self.dense = torch.nn.Linear(width, depth)
        self.norm = torch.nn.LayerNorm(depth)
        self.bias = torch.nn.Parameter(torch.zeros(max(size, vocabulary)))
        with torch.no_grad():
            self.dense.weight.copy_(torch.eye(depth, width))
            self.dense.bias.zero_()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """All (batch_size, seq_len). `loss`: mean nats; `sum` and `count` over hidden tokens."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[
            labels != IGNORED
        ]
        table = self.encoder.get_input_embeddings().weight
        logits = functional.linear(
            self.norm(functional.gelu(self.dense(hidden))), table, self.bias[: len(table)]
        )
        total = functional.cross_entropy(logits, labels[labels != IGNORED], reduction="sum")
        count = (labels != IGNORED).sum()
        return {"loss": total / count.clamp(min=1), "sum": total.detach(), "count": count}


def _run(
    module: MaskedLanguageModule,
    rows: MaskedRows,
    train: Any,
    held_out: Any,
    config: LanguageConfig,
    seed: int,
    progress: Progress,
    options: RunOptions,
) -> RunResult:
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _Trainer(
            model=module,
            args=training_arguments(
                Path(scratch),
                options,
                seed=seed,
                num_train_epochs=config.epochs,
                per_device_train_batch_size=config.batch_size,
                warmup_steps=config.warmup,
                lr_scheduler_type="linear",
                max_grad_norm=config.gradient_norm,
            ),
            data_collator=collate_masked,
            train_dataset=rows,
        )
        trainer.prepare(LengthBatches(train, rows.lengths, config.batch_size, seed=seed), config)
        return run(
            trainer,
            score=lambda: _log_likelihood(module, rows, held_out),
            metric=METRIC,
            options=options,
            patience=config.patience,
            max_minutes=config.max_minutes,
            progress=progress,
        )


class _Trainer(transformers.Trainer):  # type: ignore[misc]  # transformers is untyped
    """The Trainer with batches of like length, and a rate of its own for the head."""

    optimizer: Any

    def prepare(self, batches: LengthBatches, config: LanguageConfig) -> None:
        self._batches = batches
        self._config = config

    def get_train_dataloader(self) -> Any:
        loader = torch.utils.data.DataLoader(
            self.train_dataset, batch_sampler=self._batches, collate_fn=self.data_collator
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> Any:
        if self.optimizer is None:
            groups = _parameter_groups(self.model, self._config)
            self.optimizer = torch.optim.AdamW(groups, fused=True)
        return self.optimizer


def _parameter_groups(module: MaskedLanguageModule, config: LanguageConfig) -> list[dict[str, Any]]:
    encoder = list(module.encoder.parameters())
    head = [*module.dense.parameters(), *module.norm.parameters(), module.bias]
    decayed = [p for p in encoder if p.ndim > 1]
    others = [p for p in encoder if p.ndim <= 1]
    rate = config.learning_rate
    return [
        {"params": head, "lr": config.head_learning_rate, "weight_decay": 0.0},
        {"params": decayed, "lr": rate, "weight_decay": config.weight_decay},
        {"params": others, "lr": rate, "weight_decay": 0.0},
    ]


def _log_likelihood(module: MaskedLanguageModule, rows: MaskedRows, held_out: Any) -> float:
    """Mean nats a hidden token, the words hidden being the same each time."""
    device = next(module.parameters()).device
    was_training = module.training
    module.eval()
    total, count = 0.0, 0
    order = sorted(held_out.tolist(), key=lambda row: rows.lengths[row])
    with torch.no_grad():
        for start in range(0, len(order), 64):
            batch = collate_masked([rows[0, row] for row in order[start : start + 64]])
            said = module(**{name: tensor.to(device) for name, tensor in batch.items()})
            total += float(said["sum"])
            count += int(said["count"])
    module.train(was_training)
    return -total / max(1, count)


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already", mend="Name a folder that is new or empty.")


def _write(
    encoder: Any, folder: Path, found: Pretrained, config: LanguageConfig, seed: int
) -> None:
    """Aside first, then renamed: a folder that carries the name is whole."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _copy_small_files(found.base.path, aside)
        encoder.cpu().eval().save_pretrained(str(aside), max_shard_size="100GB")
        text = json.dumps(_record(found, config, seed), indent=1) + "\n"
        (aside / RECORD).write_text(text, encoding="utf-8")
        aside.chmod(0o755)  # mkdtemp makes it private
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copy_small_files(source: Path, target: Path) -> None:
    for pattern in _COPIED:
        for path in source.glob(pattern):
            relative = path.relative_to(source)
            if str(relative) not in _NOT_COPIED:
                (target / relative).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target / relative)


def _record(found: Pretrained, config: LanguageConfig, seed: int) -> dict[str, Any]:
    return {
        "base_model": found.base.reference,
        "base_revision": found.base.revision,
        "base_sha256": found.base.sha256,
        "seed": seed,
        "config": asdict(config),
        "texts": found.texts,
        "held_out": found.held_out,
        "loss_before": found.loss_before,
        "loss_after": found.loss_after,
        "best_epoch": found.best_epoch,
        "history": [dict(entry) for entry in found.history],
    }
