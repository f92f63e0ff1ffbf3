"""How are the text vectors tuned on what users did? (torch, training only)

The adapter starts as the plain vectors and is tuned by a softmax over the targets of a batch: the
interests of a pair should match its own target better than the other pairs' targets. Those come
as often as they are popular, which the loss takes back (logQ correction; Yi et al. 2019,
"Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations"): popularity has
signals of its own. Where the log shows what a user passed by as they took the target, a second
softmax sets the target against that alone; all of it was shown, so nothing is taken back. Weight
decay pulls what is learnt back to the plain vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from core.progress import SILENT, Progress
from services.recommender.learning.pairs import Pairs
from services.recommender.vectors import Adapter, TextTower, unit
from services.recommender.words import BUCKETS, BagOfWords, bag_of_words, rarity

if TYPE_CHECKING:
    import torch

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Parts of a vector: directions of the embedding, and of the words.
_DIRECTIONS = 128
_WORDS = 128
_WORD_SHARE = 0.5
_SHARPNESS = 8.0
_TABLE_SEED = 20_261


@dataclass(frozen=True)
class AdapterConfig:
    """`patience` in steps without a better validation score; at most `max_pairs` pairs an epoch.
    Few pairs go in smaller batches, down to `smallest_batch`, so that an epoch has 20 steps."""

    epochs: int = 8
    batch_size: int = 256
    smallest_batch: int = 32
    learning_rate: float = 3e-3
    scale_learning_rate: float = 1e-2
    weight_decay: float = 0.1
    patience: int = 150
    max_pairs: int = 40_000


@dataclass(frozen=True)
class Tuned:
    """`adapter` after `epochs` epochs, 0 where the plain vectors were best; `scores`: the
    validation score after each epoch, the plain one first."""

    adapter: Adapter
    epochs: int
    scores: tuple[float, ...]


@dataclass(frozen=True)
class ItemTexts:
    """n items as the adapters read them: `embedded` (n, p) and their words."""

    embedded: FloatArray
    bag: BagOfWords


def plain_tower(
    embeddings: FloatArray, readable: npt.NDArray[np.bool_], texts: list[str]
) -> TextTower:
    """The tower before anything is learnt: the directions in which this catalogue's embeddings
    differ most (eigenvectors of their second moments) and a random table of words."""
    trusted = embeddings[readable].astype(np.float64)
    _, directions = np.linalg.eigh(trusted.T @ trusted)
    basis = directions[:, ::-1][:, :_DIRECTIONS].astype(np.float32)
    rng = np.random.default_rng(_TABLE_SEED)
    table = (rng.normal(size=(BUCKETS, _WORDS)) / math.sqrt(_WORDS)).astype(np.float32)
    plain = Adapter(np.eye(basis.shape[1], dtype=np.float32), table, _WORD_SHARE, _SHARPNESS)
    return TextTower(np.ascontiguousarray(basis), rarity(texts), plain, plain)


def item_texts(
    tower: TextTower, embeddings: FloatArray, readable: npt.NDArray[np.bool_], texts: list[str]
) -> ItemTexts:
    """What both adapters of the tower start from."""
    embedded = unit((embeddings * readable[:, None]) @ tower.basis)
    return ItemTexts(embedded, bag_of_words(texts, tower.rare))


def tune(
    plain: Adapter,
    items: ItemTexts,
    pairs: Pairs,
    *,
    seed: int,
    validate: Callable[[Adapter], float] | None = None,
    epochs: int | None = None,
    config: AdapterConfig | None = None,
    progress: Progress = SILENT,
) -> Tuned:
    """Tune from `plain`. With `validate` the best epoch's adapter is kept, and tuning ends when
    nothing gets better; without it `epochs` epochs are run."""
    import torch

    config = config or AdapterConfig()
    torch.manual_seed(seed)
    # One thread: the matrices are small, and two that wait for each other on a busy box take
    # several times as long.
    torch.set_num_threads(1)
    run = _Run(plain, items, pairs, config, np.random.default_rng(seed))
    best = Tuned(plain, 0, ())
    scores = [validate(plain)] if validate else []
    for epoch in range(1, (config.epochs if epochs is None else epochs) + 1):
        loss = run.epoch()
        adapter = run.adapter()
        if validate is None:
            best = Tuned(adapter, epoch, ())
            continue
        scores.append(validate(adapter))
        progress.say(f"adapter, epoch {epoch}: loss {loss:.3f}, held-out NDCG@10 {scores[-1]:.4f}")
        if scores[-1] > max(scores[:-1]):
            best = Tuned(adapter, epoch, ())
        if (epoch - best.epochs) * run.steps >= config.patience and epoch > best.epochs:
            break
    return replace(best, scores=tuple(scores))


class _Run:
    """The torch side of one tuning."""

    def __init__(
        self,
        plain: Adapter,
        items: ItemTexts,
        pairs: Pairs,
        config: AdapterConfig,
        rng: np.random.Generator,
    ) -> None:
        import torch

        self.plain, self.items, self.pairs, self.config, self.rng = plain, items, pairs, config, rng
        self.embedded = torch.from_numpy(items.embedded)
        self.start_turn = torch.from_numpy(plain.turn)
        self.start_table = torch.from_numpy(plain.table)
        self.turn = torch.zeros_like(self.start_turn, requires_grad=True)
        self.table = torch.zeros_like(self.start_table, requires_grad=True)
        share = math.log(plain.share / (1 - plain.share))
        self.share = torch.tensor(share, requires_grad=True)
        self.log_sharpness = torch.tensor(math.log(plain.sharpness), requires_grad=True)
        self.log_scale = torch.tensor(0.0, requires_grad=True)
        counts = np.bincount(pairs.target, minlength=len(items.embedded)) if len(pairs) else None
        frequency = np.zeros(1) if counts is None else (counts + 0.1) / len(pairs)
        self.log_frequency = torch.from_numpy(np.log(np.maximum(frequency, 1e-12))).float()
        used = min(len(pairs), config.max_pairs)
        self.batch_size = min(config.batch_size, max(config.smallest_batch, used // 20))
        self.steps = max(1, math.ceil(used / self.batch_size))
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [self.turn, self.table],
                    "lr": config.learning_rate,
                    "weight_decay": config.weight_decay,
                },
                {
                    "params": [self.share, self.log_sharpness, self.log_scale],
                    "lr": config.scale_learning_rate,
                    "weight_decay": 0.0,
                },
            ]
        )

    def epoch(self) -> float:
        """One pass over the pairs; the mean loss in nats."""
        import torch

        order = self.rng.permutation(len(self.pairs))[: self.config.max_pairs]
        losses = []
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            if len(batch) < 2:
                continue
            loss = self._loss(batch)
            if not torch.isfinite(loss):
                raise ModelError(
                    "the adapter's loss is no number any more",
                    mend="Look for broken numbers in the items, or report this.",
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses)) if losses else 0.0

    def adapter(self) -> Adapter:
        """What has been learnt so far, for numpy."""
        import torch

        with torch.no_grad():
            return Adapter(
                (self.start_turn + self.turn).numpy().copy(),
                (self.start_table + self.table).numpy().copy(),
                float(torch.sigmoid(self.share)),
                float(self.log_sharpness.exp()),
            )

    def _loss(self, batch: IntArray) -> torch.Tensor:
        import torch

        interesting, weights = self.pairs.dense(batch)
        targets = self.pairs.target[batch]
        needed, place = np.unique(np.concatenate([interesting, targets]), return_inverse=True)
        vectors = self._vectors(needed)
        interests = vectors[torch.from_numpy(place[: len(interesting)])]
        taken = vectors[torch.from_numpy(place[len(interesting) :])]
        closeness = torch.exp(self.log_sharpness.exp() * (interests @ taken.T - 1))
        match = torch.log(torch.from_numpy(weights) @ closeness + 1e-9)
        logits = match * self.log_scale.exp() - self.log_frequency[targets][None, :]
        same = torch.from_numpy(targets[:, None] == targets[None, :])
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -1e9)
        loss = torch.nn.functional.cross_entropy(logits, torch.arange(len(batch)))
        if self.pairs.refused is None:
            return loss
        own = [self.pairs.refused[number] for number in batch]
        return loss + self._loss_of_refused(own, interests, torch.from_numpy(weights), match.diag())

    def _loss_of_refused(
        self,
        refused: list[IntArray],
        interests: torch.Tensor,
        weights: torch.Tensor,
        of_target: torch.Tensor,
    ) -> torch.Tensor:
        """Of each pair's target against what its user passed by; a pair without such counts 0."""
        import torch

        items = np.unique(np.concatenate(refused))
        if len(items) == 0:
            return torch.zeros(())
        passed = np.zeros((len(refused), len(items)), dtype=np.bool_)
        for row, own in enumerate(refused):
            passed[row, np.searchsorted(items, own)] = True
        closeness = torch.exp(self.log_sharpness.exp() * (interests @ self._vectors(items).T - 1))
        match = torch.log(weights @ closeness + 1e-9)
        match = match.masked_fill(torch.from_numpy(~passed), -1e9)
        logits = torch.cat([of_target[:, None], match], dim=1) * self.log_scale.exp()
        first = torch.zeros(len(refused), dtype=torch.long)
        return torch.nn.functional.cross_entropy(logits, first)

    def _vectors(self, rows: IntArray) -> torch.Tensor:
        """(rows, p + q), as `Adapter.combine`."""
        import torch

        dense = self.embedded[torch.from_numpy(rows)]
        dense = dense @ (self.start_turn + self.turn)
        buckets, values, offsets = self._words(rows)
        words = torch.nn.functional.embedding_bag(
            buckets,
            self.start_table + self.table,
            offsets,
            mode="sum",
            per_sample_weights=values,
        )
        share = torch.sigmoid(self.share)
        joint = torch.cat([dense * (1 - share).sqrt(), words * share.sqrt()], dim=1)
        return torch.nn.functional.normalize(joint, dim=1, eps=1e-6)

    def _words(self, rows: IntArray) -> tuple[Any, Any, Any]:
        import torch

        bag = self.items.bag
        lengths = bag.starts[rows + 1] - bag.starts[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        # Places of the chosen rows' words in the bag: each row's start, counted on.
        places = np.arange(lengths.sum()) + np.repeat(bag.starts[rows] - offsets, lengths)
        return (
            torch.from_numpy(bag.buckets[places]),
            torch.from_numpy(bag.values[places]),
            torch.from_numpy(offsets),
        )
