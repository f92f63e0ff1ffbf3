"""What does one hour of news say for a surge, and what against it?

Of n stories in an hour, k are negative. Three looks at the pair, each in nats:

SHARE  Normally k is beta-binomial with share p and overdispersion ρ (hours differ more than chance
       alone would have it: news come in bunches). In a surge the odds of p are `SHIFT` times as
       high. With a = p(1−ρ)/ρ, b = (1−p)(1−ρ)/ρ, and a', b' for the surge,

           log P(k | surge) / P(k | normal) = Σ_{i<k} log (a'+i)/(a+i) + Σ_{j<n−k} log (b'+j)/(b+j)

       since a + b = a' + b', so that all else cancels.
HOUR   −log P(K ≥ k) under the same beta-binomial: how surprising this hour is by itself.
COUNT  Normally k is negative binomial with mean λ and variance λ + λ²/r; in a surge its mean is
       `GROWTH` times as high: k log c + (k+r) log (r+λ)/(r+cλ). Sees what the share cannot:
       twice the news, as negative as ever.

p, λ go by the hour of the week. An hour without a story says nothing to SHARE and HOUR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.finance_sentiment.counts import HOURS_A_WEEK, IntArray

FloatArray = npt.NDArray[np.float64]

SHARE, HOUR, COUNT = 0, 1, 2
# What an alert names as its detector, in the order of the three above.
DETECTORS = ("beta_binomial_cusum", "beta_binomial_hour", "negative_binomial_cusum")
# From 20 % to 40 % negative: the surge that is looked for, as a factor on the odds.
SHIFT = 8 / 3
# The same surge as a factor on the number of negative stories.
GROWTH = 2.0
# A share closer to 0 or 1 would let one story decide everything.
MIN_SHARE, MAX_SHARE = 0.01, 0.9
MIN_OVERDISPERSION, MAX_OVERDISPERSION = 1e-4, 0.5
# Fewer expected negative stories than this would make a single one a surge of the count.
MIN_RATE = 0.02
# Shares are told apart to this, on the scale of log odds; what is lost is below 1 % of a nat.
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class EvidenceTable:
    """`negative[k]` and `other[j]`: what k negative and j other stories of an hour say together
    is negative[k] + other[j]."""

    negative: FloatArray
    other: FloatArray

    @classmethod
    def build(
        cls, share: float, overdispersion: float, largest: int, shift: float = SHIFT
    ) -> EvidenceTable:
        """For hours of up to `largest` stories; share and overdispersion are clipped to the
        bounds above."""
        p, weight = _clipped(share, overdispersion)
        odds = shift * p / (1 - p)
        surge = odds / (1 + odds)
        step = np.arange(largest, dtype=np.float64)
        negative = np.log((surge * weight + step) / (p * weight + step))
        other = np.log(((1 - surge) * weight + step) / ((1 - p) * weight + step))
        return cls(_cumulated(negative), _cumulated(other))

    def of(self, stories: int, negative: int) -> float:
        """The evidence of one hour."""
        return float(self.negative[negative] + self.other[stories - negative])


def _clipped(share: float, overdispersion: float) -> tuple[float, float]:
    """(share, a + b of its beta distribution)."""
    p = min(max(share, MIN_SHARE), MAX_SHARE)
    rho = min(max(overdispersion, MIN_OVERDISPERSION), MAX_OVERDISPERSION)
    return p, (1 - rho) / rho


def _cumulated(steps: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(steps)])


def surprise(share: float, overdispersion: float, stories: int) -> FloatArray:
    """−log P(K ≥ k) for k = 0..stories, K beta-binomial."""
    p, weight = _clipped(share, overdispersion)
    step = np.arange(stories, dtype=np.float64)
    rising = _cumulated(np.log(p * weight + step))
    falling = _cumulated(np.log((1 - p) * weight + step))
    choose = _cumulated(np.log(step[::-1] + 1) - np.log(step + 1))
    log_mass = choose + rising + falling[::-1] - np.log(weight + step).sum()
    tail = np.cumsum(np.exp(log_mass)[::-1])[::-1]
    # Below what a float holds the first term of the tail stands for all of it.
    return np.asarray(-np.where(tail > 1e-290, np.log(np.maximum(tail, 1e-300)), log_mass).clip(
        max=0.0
    ))  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What is normal for one topic: share of negative stories and number of stories for each hour
    of the week, both (168,); the overdispersion of an hour's share, and r of its count."""

    share: FloatArray
    stories: FloatArray
    overdispersion: float
    size: float

    def evidence(self, hours: IntArray, stories: IntArray, negative: IntArray) -> FloatArray:
        """(3, …): SHARE, HOUR and COUNT of each hour. `hours` since 1970, broadcast to the shape
        of the other two."""
        slot = np.broadcast_to(hours % HOURS_A_WEEK, stories.shape)
        found = np.zeros((3, *stories.shape))
        found[COUNT] = self._count(slot, negative)
        busy = np.nonzero(stories)
        if len(busy[0]) == 0:
            return found
        n, k = stories[busy], negative[busy]
        grid = np.rint(_logit(np.clip(self.share, MIN_SHARE, MAX_SHARE)) / _LEVEL)
        levels, level_of_slot = np.unique(grid, return_inverse=True)
        shares = 1 / (1 + np.exp(-levels * _LEVEL))
        level = level_of_slot[slot[busy]]
        found[SHARE][busy] = self._share(shares, level, n, k)
        found[HOUR][busy] = self._hour(shares, level, n, k)
        return found

    def _share(self, shares: FloatArray, level: IntArray, n: IntArray, k: IntArray) -> FloatArray:
        largest = int(n.max())
        tables = [EvidenceTable.build(p, self.overdispersion, largest) for p in shares.tolist()]
        negative = np.stack([table.negative for table in tables])
        other = np.stack([table.other for table in tables])
        return np.asarray(negative[level, k] + other[level, n - k])

    def _hour(self, shares: FloatArray, level: IntArray, n: IntArray, k: IntArray) -> FloatArray:
        kinds, kind = np.unique(level * (int(n.max()) + 1) + n, return_inverse=True)
        rows = [
            surprise(float(shares[code // (int(n.max()) + 1)]), self.overdispersion,
                     code % (int(n.max()) + 1))
            for code in kinds.tolist()
        ]  # fmt: skip
        start = np.cumsum([0, *(len(row) for row in rows[:-1])])
        return np.asarray(np.concatenate(rows)[start[kind] + k])

    def _count(self, slot: IntArray, negative: IntArray) -> FloatArray:
        mean = np.maximum(self.share * self.stories, MIN_RATE)
        per_hour = np.log((self.size + mean) / (self.size + GROWTH * mean))
        return np.asarray(negative * (np.log(GROWTH) + per_hour[slot]) + self.size * per_hour[slot])


def _logit(share: FloatArray) -> FloatArray:
    return np.asarray(np.log(share) - np.log1p(-share))
