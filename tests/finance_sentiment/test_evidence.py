"""Does an hour of news say what its three formulas say?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.finance_sentiment.counts import HOURS_A_WEEK
from services.finance_sentiment.evidence import (
    COUNT,
    GROWTH,
    HOUR,
    SHARE,
    EvidenceTable,
    Expected,
    surprise,
)

TABLE = EvidenceTable.build(0.2, 0.02, 100)


def flat(share: float = 0.2, stories: float = 12.0, size: float = 10.0) -> Expected:
    return Expected(np.full(HOURS_A_WEEK, share), np.full(HOURS_A_WEEK, stories), 0.02, size)


def said(expected: Expected, stories: int, negative: int, hour: int = 0) -> np.ndarray:
    one = expected.evidence(np.array([hour]), np.array([stories]), np.array([negative]))
    return np.asarray(one[:, 0])


def log_beta_binomial(k: int, n: int, p: float, rho: float) -> float:
    a, b = p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho
    return (
        math.lgamma(k + a)
        + math.lgamma(n - k + b)
        - math.lgamma(n + a + b)
        + (math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
    )


def log_negative_binomial(k: int, mean: float, r: float) -> float:
    return (
        math.lgamma(k + r)
        - math.lgamma(r)
        - math.lgamma(k + 1)
        + r * math.log(r / (r + mean))
        + k * math.log(mean / (r + mean))
    )


@pytest.mark.parametrize(("n", "k"), [(1, 0), (1, 1), (12, 3), (12, 12), (60, 20)])
def test_the_share_is_the_log_ratio_of_two_beta_binomials(n: int, k: int) -> None:
    expected = log_beta_binomial(k, n, 0.4, 0.02) - log_beta_binomial(k, n, 0.2, 0.02)
    assert TABLE.of(n, k) == pytest.approx(expected)
    assert said(flat(), n, k)[SHARE] == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(("n", "k"), [(1, 0), (1, 1), (12, 3), (12, 12), (60, 20)])
def test_the_hour_is_the_tail_of_a_beta_binomial(n: int, k: int) -> None:
    chances = [
        math.comb(n, i) * math.exp(log_beta_binomial(i, n, 0.2, 0.02)) for i in range(k, n + 1)
    ]
    assert surprise(0.2, 0.02, n)[k] == pytest.approx(-math.log(sum(chances)), abs=1e-9)


@pytest.mark.parametrize("k", [0, 2, 9])
def test_the_count_is_the_log_ratio_of_two_negative_binomials(k: int) -> None:
    expected = log_negative_binomial(k, 2.4 * GROWTH, 10.0) - log_negative_binomial(k, 2.4, 10.0)
    assert said(flat(), 30, k)[COUNT] == pytest.approx(expected)


def test_an_hour_without_stories_says_nothing_of_the_share() -> None:
    found = said(flat(), 0, 0)
    assert (found[SHARE], found[HOUR]) == (0.0, 0.0)
    assert found[COUNT] < 0


def test_more_news_as_negative_as_ever_is_seen_by_the_count_alone() -> None:
    found = said(flat(), 60, 12)
    assert found[COUNT] > 3 > 0 > found[SHARE]


def test_what_is_normal_goes_by_the_hour_of_the_week() -> None:
    expected = flat()
    expected.share[5] = 0.6
    assert said(expected, 10, 6, hour=HOURS_A_WEEK + 5)[SHARE] < 0
    assert said(expected, 10, 6, hour=HOURS_A_WEEK + 6)[SHARE] > 1


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 0.9), st.floats(1e-4, 0.5), st.integers(0, 300))
def test_surprise_starts_at_nothing_and_grows(share: float, rho: float, stories: int) -> None:
    found = surprise(share, rho, stories)
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert np.all(np.isfinite(found)) and np.all(np.diff(found) >= -1e-9)


def test_overdispersion_makes_one_bad_hour_weigh_less() -> None:
    assert EvidenceTable.build(0.2, 0.2, 20).of(12, 12) < TABLE.of(12, 12)
    assert surprise(0.2, 0.2, 12)[12] < surprise(0.2, 0.02, 12)[12]
