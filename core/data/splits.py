"""How are rows divided into training and validation, and does one leak into the other?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.duplicates import NearPair, near_duplicates
from core.errors import InvalidInput
from core.text import comparison_key

Indices = NDArray[np.int64]


def stratified_split(
    labels: Sequence[str], share: float, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """(train, validation) positions, each ascending, with about `share` of every class held out.

    A class of two rows or more gives at least one row to either side; a class of one row stays in
    training. `share` lies in (0, 1).
    """
    _check_share(share)
    members: dict[str, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        members[label].append(position)
    held_out: list[int] = []
    for label in sorted(members):
        rows = members[label]
        if len(rows) > 1:
            count = min(max(1, round(share * len(rows))), len(rows) - 1)
            held_out.extend(rng.permutation(rows)[:count].tolist())
    mask = np.zeros(len(labels), dtype=bool)
    mask[held_out] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def temporal_split(timestamps: Sequence[float], share: float) -> tuple[Indices, Indices]:
    """(train, test) positions in order of time, the latest `share` of rows for testing.

    Every test row is later than every training row: rows of the very moment of the cut go to
    testing together, or to training where they would leave nothing to train on. Raises
    InvalidInput when all rows have one time.
    """
    _check_share(share)
    times = np.asarray(timestamps, dtype=np.float64)
    if not np.isfinite(times).all():
        raise InvalidInput("timestamps must be finite numbers")
    if times.size == 0 or times.min() == times.max():
        raise InvalidInput(
            "expected rows of at least 2 different times to split by time",
            mend="Add rows, or check the column `timestamp`.",
        )
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    wanted = min(max(1, round((1 - share) * times.size)), times.size - 1)
    cut = int(np.searchsorted(ordered, ordered[wanted], side="left"))
    if cut == 0:
        cut = int(np.searchsorted(ordered, ordered[0], side="right"))
    return order[:cut], order[cut:]


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise InvalidInput(f"share must be between 0 and 1 (exclusive), was: {share}")


@dataclass(frozen=True, slots=True)
class LeakageReport:
    """Test texts that training has seen. `exact`: (train, test) positions of texts equal but for
    case and punctuation; `near`: pairs that are similar but not equal."""

    test_rows: int
    exact: tuple[tuple[int, int], ...]
    near: tuple[NearPair, ...]

    @property
    def leaked(self) -> frozenset[int]:
        """Positions of the test texts with an exact or near double in training."""
        return frozenset({test for _, test in self.exact} | {pair.right for pair in self.near})

    @property
    def share(self) -> float:
        """Leaked test texts as a share of all test texts, in [0, 1]."""
        return len(self.leaked) / self.test_rows if self.test_rows else 0.0


def leakage(train: Sequence[str], test: Sequence[str], threshold: float = 0.8) -> LeakageReport:
    """Which test texts stand in training, the same or nearly so (4-gram Jaccard ≥ `threshold`)?"""
    keys: dict[str, list[int]] = defaultdict(list)
    for position, text in enumerate(test):
        keys[comparison_key(text)].append(position)
    exact = [(i, j) for i, text in enumerate(train) for j in keys.get(comparison_key(text), ())]
    seen = set(exact)
    near = [
        pair
        for pair in near_duplicates(train, test, threshold)
        if (pair.left, pair.right) not in seen
    ]
    return LeakageReport(len(test), tuple(exact), tuple(near))
