"""How is the encoder itself tuned on what users did? (torch, training only; preset accurate)

The same loss as the adapter's, before any adapter: the interests of a pair should match the text
of what the user took next. The top layers move, or all of them, and only the targets' side carries
the gradient; the vectors of the interests are made anew at the start of each epoch. The work is
bounded by the number of texts, not by the clock, so that the same seed gives the same encoder.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from core.inference.export import export_encoder, load_torch_encoder, pool
from core.inference.onnx_session import pad
from core.inference.tokenizer import TextTokenizer
from core.models import BaseModel, resolve_model
from services.recommender.learning.log import EventLog
from services.recommender.learning.pairs import Pairs, make_pairs
from services.recommender.learning.parts import PAIRS_PER_USER, Choices, Effort
from services.recommender.learning.shop import Shop

if TYPE_CHECKING:
    import torch

IntArray = npt.NDArray[np.int64]

# Rung of the ladder → how many of the encoder's last layers move, None for all.
RUNGS: Final[dict[str, int | None]] = {"top_layers": 2, "all_layers": None}
_MAX_TOKENS: Final = 48
# Target texts run forwards and backwards in one tuning: one to two minutes on two cores.
_MAX_TEXTS: Final = 6_000
# Pairs from which on all layers are tried: as many as one tuning runs, so that none comes twice.
PAIRS_FOR_ALL: Final = _MAX_TEXTS
_EPOCHS: Final = 3
_BATCH: Final = 64
_LEARNING_RATE: Final = 5e-5
_SHARPNESS: Final = 8.0


def tune_encoder(
    shop: Shop,
    log: EventLog,
    choices: Choices,
    rung: str,
    base_model: str,
    folder: Path,
    effort: Effort,
) -> int:
    """Tune the base model's layers of a rung on the pairs of `log` and export it into `folder`; how
    many pairs there were."""
    import torch

    torch.manual_seed(effort.seed)
    torch.set_num_threads(effort.threads)
    rng = np.random.default_rng(effort.seed)
    base = resolve_model(base_model)
    pairs = make_pairs(log, choices.half_life_days, per_user=PAIRS_PER_USER, rng=rng)
    pairs = pairs.select(np.flatnonzero(shop.readable[pairs.target]))
    run = _Run(load_torch_encoder(base), base, shop, pairs, RUNGS[rung])
    steps = _steps(len(pairs))
    order = np.concatenate([rng.permutation(len(pairs)) for _ in range(_EPOCHS)])
    each_epoch = max(1, math.ceil(len(pairs) / _BATCH))
    for step in effort.progress.bar(range(steps), steps, rung):
        if step % each_epoch == 0:
            run.refresh()
        run.step(order[step * _BATCH : (step + 1) * _BATCH], step / steps)
    export_encoder(run.model.eval(), base, folder)
    return len(pairs)


def _steps(pairs: int) -> int:
    return min(_EPOCHS * math.ceil(pairs / _BATCH), _MAX_TEXTS // _BATCH) if pairs > 1 else 0


class _Run:
    """The torch side of one tuning."""

    def __init__(
        self, model: Any, base: BaseModel, shop: Shop, pairs: Pairs, layers: int | None
    ) -> None:
        import torch

        self.model, self.pooling, self.pairs = model, base.pooling, pairs
        length = min(base.max_length, _MAX_TOKENS)
        tokenizer = TextTokenizer(base.path / "tokenizer.json", length)
        self.tokens = [tokens.ids for tokens in tokenizer.encode(shop.texts)]
        self.readable = torch.from_numpy(shop.readable).float().unsqueeze(1)
        frequency = (np.bincount(pairs.target, minlength=len(shop)) + 0.1) / max(len(pairs), 1)
        self.log_frequency = torch.from_numpy(np.log(frequency)).float()
        self.vectors = torch.empty(0)
        self.log_sharpness = torch.tensor(math.log(_SHARPNESS), requires_grad=True)
        model.requires_grad_(False)
        top = list(model.encoder.layer)[0 if layers is None else -layers :]
        moving = [p.requires_grad_(True) for layer in top for p in layer.parameters()]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": moving, "lr": _LEARNING_RATE, "weight_decay": 0.01},
                {"params": [self.log_sharpness], "lr": 1e-2, "weight_decay": 0.0},
            ]
        )
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def refresh(self) -> None:
        """Vectors of all items as the encoder stands."""
        import torch

        self.model.eval()
        with torch.no_grad():
            parts = [
                self._embed(np.arange(start, min(start + _BATCH, len(self.tokens))))
                for start in range(0, len(self.tokens), _BATCH)
            ]
            self.vectors = torch.cat(parts) * self.readable
        self.model.train()

    def step(self, batch: IntArray, done: float) -> None:
        """One step on these pairs; `done` is the share of all steps before it."""
        import torch

        if len(batch) < 2:
            return
        # A short warm-up, then down to nothing.
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * min(1.0, done / 0.1 + 0.05) * (1 - done)
        loss = self._loss(batch)
        if not torch.isfinite(loss):
            raise ModelError(
                "the encoder's loss is no number any more", mend="Use the fast preset."
            )
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def _loss(self, batch: IntArray) -> torch.Tensor:
        import torch

        items, weights = self.pairs.dense(batch)
        targets = self.pairs.target[batch]
        unique, place = np.unique(targets, return_inverse=True)
        taken = self._embed(unique)[torch.from_numpy(place)]
        interests = self.vectors[torch.from_numpy(items)]
        closeness = torch.exp(self.log_sharpness.exp() * (interests @ taken.T - 1))
        match = torch.log(torch.from_numpy(weights) @ closeness + 1e-9)
        logits = match - self.log_frequency[targets][None, :]
        same = torch.from_numpy(targets[:, None] == targets[None, :])
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -1e9)
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(batch)))

    def _embed(self, rows: IntArray) -> torch.Tensor:
        import torch

        ids, mask = (torch.from_numpy(a) for a in pad([self.tokens[row] for row in rows]))
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return pool(hidden, mask, self.pooling)
