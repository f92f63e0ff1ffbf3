"""How large could the true share of wrong answers be, given the rows that were seen?

Rows stand for traffic with different weights: an out-of-scope row stands for more (or less) of it
than an in-scope row. For equal weights the bound below is that of Clopper and Pearson (1934). For
unequal ones the wrong rows are replaced by that number of rows of one weight which has the same sum
and the same variance, after one more wrong row of the largest weight was added: the conservative
step of Fay and Feuer (1997), "Confidence intervals for directly standardized rates", which keeps
the bound honest where no heavy row was seen wrong yet. Plain effective counts, (Σw)²/Σw² over all
answers, would not: a few heavy rows hardly move them.
"""

from __future__ import annotations

import math
from typing import Final

_PRECISION: Final = 1e-10


def wrong_share_upper(
    right: float,
    wrong: float,
    wrong_squares: float,
    heaviest: float,
    level: float = 0.95,
) -> float:
    """Upper bound, at one-sided `level`, on wrong / (wrong + right) in the weighted traffic.

    `right`: weight of the right answers; `wrong`: weight of the wrong ones; `wrong_squares`: sum
    of the squares of their weights; `heaviest`: the largest weight that a wrong answer may have
    (> 0). 1 where there is no right answer.
    """
    if right <= 0:
        return 1.0
    total = wrong + heaviest
    squares = wrong_squares + heaviest**2
    unit = squares / total  # the one weight that stands for all wrong rows
    return beta_quantile(level, total / unit, right / unit)


def beta_quantile(level: float, a: float, b: float) -> float:
    """x with P(X ≤ x) = level for X ~ Beta(a, b); a, b > 0. Newton's steps inside a bracket."""
    low, high = 0.0, 1.0
    x = a / (a + b)
    for _ in range(100):
        excess = beta_cdf(x, a, b) - level
        low, high = (low, x) if excess > 0 else (x, high)
        slope = _beta_density(x, a, b)
        following = x - excess / slope if slope > 0 else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) < _PRECISION:
            break
        x = following
    return x


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X ≤ x) for X ~ Beta(a, b): the regularised incomplete beta function."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # The continued fraction converges fast below the mean; above it, mirror.
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(1 - x, b, a)
    return _beta_density(x, a, b) * x * (1 - x) * _continued_fraction(x, a, b) / a


def _beta_density(x: float, a: float, b: float) -> float:
    """For x in (0, 1)."""
    log_constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_constant + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Lentz's method for the fraction of DLMF 8.17.22."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / _away_from_zero(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for numerator in (even, odd):
            d = 1.0 / _away_from_zero(1 + numerator * d, tiny)
            c = _away_from_zero(1 + numerator / c, tiny)
            step = c * d
            value *= step
        if abs(step - 1) < 1e-14:
            break
    return value


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
