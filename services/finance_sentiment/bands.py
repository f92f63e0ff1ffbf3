"""Which range does a topic's share of negative stories keep within while nothing is wrong?

Pure. The hours of a bucket have n stories with an expected share each; of the negative ones among
them the variance is that of independent stories, and more by as much as two stories of one hour, of
one block of hours and of one day are alike (baseline.SPANS): news come in bunches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from services.finance_sentiment.baseline import SPANS, Normal
from services.finance_sentiment.counts import HOURS_A_WEEK, HourlyCounts, IntArray
from services.finance_sentiment.evidence import FloatArray

_TWO_SIDED = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Banded:
    """A bucket of hours. `expected` is the share that is normal for so many stories at these hours,
    `low` and `high` what 95 % of such buckets keep within; None where nothing was learned, or no
    story came."""

    stories: int
    negative: int
    expected: float | None = None
    low: float | None = None
    high: float | None = None


def banded(counts: HourlyCounts, topic: str, size: int, normal: Normal | None) -> list[Banded]:
    """The hours of a topic in buckets of `size`, the first one beginning with the first hour."""
    row = counts.topics.index(topic)
    stories, negative = counts.stories[row], counts.negative[row]
    starts = range(0, len(stories), size)
    sums = [
        (int(stories[at : at + size].sum()), int(negative[at : at + size].sum())) for at in starts
    ]
    if normal is None or not normal.knows(topic):
        return [Banded(*told) for told in sums]
    share, alike = normal.expected(topic).share, normal.kind(topic).alike
    found = []
    for at, told in zip(starts, sums, strict=True):
        hours = counts.first_hour + np.arange(at, min(at + size, len(stories)))
        range_ = _range(hours, stories[at : at + size], share, alike)
        found.append(Banded(*told, *range_))
    return found


def _range(
    hours: IntArray, stories: IntArray, share: FloatArray, alike: Sequence[float]
) -> tuple[float, float, float] | tuple[None, None, None]:
    """(expected, low, high)."""
    total = int(stories.sum())
    if not total:
        return None, None, None
    by_hour = share[hours % HOURS_A_WEEK]
    middle = float((stories * by_hour).sum()) / total
    variance = float((stories * by_hour * (1 - by_hour)).sum()) / total
    spread = _TWO_SIDED * math.sqrt(variance * (total + _alike_pairs(hours, stories, alike)))
    return middle, max(0.0, middle - spread / total), min(1.0, middle + spread / total)


def _alike_pairs(hours: IntArray, stories: IntArray, alike: Sequence[float]) -> float:
    """Pairs of stories, each weighed by how alike those are that share its narrowest span."""
    pairs = []
    for span in SPANS:
        together = np.bincount((hours - hours[0] // span * span) // span, weights=stories)
        pairs.append(float((together * (together - 1)).sum()))
    # Wide spans hold the narrower ones: each pair counts in the narrowest only.
    apart = [wide - narrow for wide, narrow in zip(pairs, [*pairs[1:], 0.0], strict=True)]
    return max(0.0, sum(weight * count for weight, count in zip(alike, apart, strict=True)))
