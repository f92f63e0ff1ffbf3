"""Which rows come together in a training batch, and what does the model see of them?

Batches hold texts of like length, so that little padding is computed, or a few classes with some
examples each, as the contrastive loss wants them. Every draw depends on the seed and the epoch
alone, so that a resumed run sees the batches that an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.inference.onnx_session import pad
from core.training.rows import IntArray

if TYPE_CHECKING:
    import torch

Tokens = npt.NDArray[np.int64]
# (epoch, row): what a sampler hands to the data set.
Key = tuple[int, int]


class LengthBatches:
    """A batch sampler over `rows`; torch and accelerate call `set_epoch` before each epoch."""

    drop_last = False

    def __init__(
        self, rows: IntArray, lengths: Sequence[int], batch_size: int, *, seed: int
    ) -> None:
        self.batch_size = batch_size
        self.epoch = 0
        self._rows = rows
        self._lengths = np.asarray(lengths)[rows]
        self._seed = seed

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return (len(self._rows) + self.batch_size - 1) // self.batch_size

    def __iter__(self) -> Iterator[list[Key]]:
        rng = np.random.default_rng((self._seed, self.epoch))
        for rows in self._draw(rng):
            yield [(self.epoch, int(row)) for row in rows]

    def _draw(self, rng: np.random.Generator) -> Iterator[IntArray]:
        """Rows of like length together (noise keeps the batches different), in random order."""
        noise = rng.uniform(0, 4, len(self._rows))
        order = self._rows[np.argsort(self._lengths + noise, kind="stable")]
        starts = rng.permutation(range(0, len(order), self.batch_size))
        for start in starts:
            yield order[start : start + self.batch_size]


class ClassBatches(LengthBatches):
    """As many batches as `LengthBatches`, each of some classes with `per_class` rows of each.

    `labels` (n,) are the class numbers of all rows. Classes take turns at random, so that each is
    seen equally often; a class with fewer rows gives those it has. Rows without a class (−1) come
    in groups of as many. Of a class those rows are taken whose length is near that of a row drawn
    for the batch: little padding here too.
    """

    def __init__(
        self,
        rows: IntArray,
        lengths: Sequence[int],
        batch_size: int,
        *,
        seed: int,
        labels: IntArray,
        per_class: int,
    ) -> None:
        super().__init__(rows, lengths, batch_size, seed=seed)
        of = labels[rows]
        places = [np.flatnonzero(of == c) for c in np.unique(of) if c >= 0]
        others = np.flatnonzero(of < 0)
        places += [others[i : i + per_class] for i in range(0, len(others), per_class)]
        self._members = places
        self._per_class = per_class

    def _draw(self, rng: np.random.Generator) -> Iterator[IntArray]:
        turns: list[int] = []
        for _ in range(len(self)):
            length = rng.choice(self._lengths)
            batch: list[int] = []
            while len(batch) < self.batch_size:
                if not turns:
                    turns = rng.permutation(len(self._members)).tolist()
                members = self._members[turns.pop()]
                far = np.abs(self._lengths[members] - length) + rng.uniform(0, 4, len(members))
                batch += members[np.argsort(far)[: self._per_class]].tolist()
            yield self._rows[batch[: self.batch_size]]


class TokenRows:
    """A data set of token ids by (epoch, row); `vary(epoch, row)` may give other ids, or None."""

    def __init__(
        self,
        sequences: Sequence[Tokens],
        max_tokens: int,
        vary: Callable[[int, int], Tokens | None] | None = None,
    ) -> None:
        self.sequences = [s[:max_tokens] for s in sequences]
        self._max_tokens = max_tokens
        self._vary = vary

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, key: Key) -> tuple[int, Tokens]:
        epoch, row = key
        other = self._vary(epoch, row) if self._vary else None
        return row, self.sequences[row] if other is None else other[: self._max_tokens]


def collate(examples: Sequence[tuple[int, Tokens]]) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask` (batch_size, seq_len) and `rows` (batch_size,)."""
    import torch

    ids, mask = pad([tokens for _, tokens in examples])
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask),
        "rows": torch.tensor([row for row, _ in examples]),
    }
