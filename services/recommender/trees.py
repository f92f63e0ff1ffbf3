"""What do decision trees add to an item's score, and which signal is it due to? numpy alone.

The trees (learning/trees.py) correct the weighted sum of rankers.py, for items whose sum reaches
`gate`; the others are too far down for what the trees learnt to hold. Every node has a value: a
leaf's own, above it the mean of what lies below, each item of the training counting once. On its
way down a tree an item goes from value to value, and each step is due to the signal that was asked
there (Saabas 2014, "Interpreting random forests"). All steps together are the correction, so the
contributions are exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt

FloatArray = npt.NDArray[np.float32]
WideArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Items that walk down together, so that a whole shelf needs no more memory than these.
_BLOCK = 4_096


@dataclass(frozen=True)
class Trees:
    """n nodes of all trees in one row: an item goes to `left` where its signal `feature` is at most
    `threshold`, else to `right`; both lie further on, and are the node itself for a leaf. `roots`
    (trees,) are the nodes to start from."""

    roots: IntArray
    feature: IntArray
    threshold: WideArray
    left: IntArray
    right: IntArray
    value: WideArray
    gate: float

    def added(self, signals: FloatArray, scores: FloatArray) -> FloatArray:
        """(n,) what the trees add to `scores` (n,) of items with `signals` (n, signals)."""
        result = np.zeros(len(signals), dtype=np.float32)
        passed = np.flatnonzero(scores >= self.gate)
        for start in range(0, len(passed), _BLOCK):
            asked = passed[start : start + _BLOCK]
            steps = (after for _, after in self._steps(signals[asked]))
            leaves = deque(steps, maxlen=1)
            if leaves:
                result[asked] = self.value[leaves[0]].sum(axis=1) - self.value[self.roots].sum()
        return result

    def contributions(self, signals: FloatArray, scores: FloatArray) -> FloatArray:
        """(n, signals): what each signal's steps add; a row sums to what `added` says."""
        result = np.zeros(signals.shape)
        asked = np.flatnonzero(scores >= self.gate)
        for before, after in self._steps(signals[asked]):
            steps = self.value[after] - self.value[before]
            rows = np.broadcast_to(asked[:, None], after.shape)
            np.add.at(result, (rows, np.broadcast_to(self.feature[before], after.shape)), steps)
        return result.astype(np.float32)

    def _steps(self, signals: FloatArray) -> Iterator[tuple[IntArray, IntArray]]:
        """(nodes left, nodes reached), both (n, trees), one level after the other."""
        node = np.broadcast_to(self.roots, (len(signals), len(self.roots)))
        numbers = signals.ravel()
        first = (np.arange(len(signals)) * signals.shape[1])[:, None]
        for _ in range(self._depth):
            asked = numbers.take(first + self.feature.take(node))
            goes_left = asked <= self.threshold.take(node)
            reached = np.where(goes_left, self.left.take(node), self.right.take(node))
            yield node, reached
            node = reached

    @cached_property
    def _depth(self) -> int:
        deep = np.zeros(len(self.left), dtype=np.int64)
        # Children lie further on, so every node's depth is known when it is come to.
        for number in range(len(deep)):
            for child in (self.left[number], self.right[number]):
                if child != number:
                    deep[child] = deep[number] + 1
        return int(deep.max(initial=0))

    def save(self, path: Path) -> None:
        """Write into one safetensors file."""
        from safetensors.numpy import save_file

        names = ("roots", "feature", "threshold", "left", "right", "value")
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in names}
        save_file({**arrays, "gate": np.array([self.gate])}, path)

    @classmethod
    def load(cls, path: Path, signals: int) -> Trees:
        """Read what `save` wrote, of so many signals. ModelCorrupt where it is not whole."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(path)
            gate = float(arrays.pop("gate")[0])
            trees = cls(**arrays, gate=gate)
            trees._check(signals)
        except (OSError, KeyError, TypeError, IndexError, ValueError, SafetensorError) as error:
            raise ModelCorrupt(
                f"{path} cannot be read: {error}", mend="Train again, or take another version."
            ) from error
        return trees

    def _check(self, signals: int) -> None:
        own = np.arange(len(self.value))
        lengths = {len(a) for a in (self.feature, self.threshold, self.left, self.right, own)}
        inside = all(
            bool(((a >= 0) & (a < limit)).all())
            for a, limit in (
                (self.feature, signals),
                (self.left, len(own)),
                (self.right, len(own)),
                (self.roots, len(own)),
            )
        )
        if len(lengths) != 1 or not inside or not np.isfinite(self.value).all():
            raise ValueError("nodes that are not there")
        leaf = (self.left == own) & (self.right == own)
        if not (leaf | ((self.left > own) & (self.right > own))).all():
            raise ValueError("a tree that runs in a circle")
