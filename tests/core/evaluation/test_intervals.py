"""Do intervals hold the truth as often as they say?"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from core.errors import InvalidInput
from core.evaluation.classification import macro_f1
from core.evaluation.intervals import (
    binomial_cdf,
    bootstrap_interval,
    bootstrap_statistic,
    clopper_pearson_upper,
    paired_bootstrap,
    wilson_interval,
)

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_an_interval_lies_around_the_mean() -> None:
    values = rng().normal(5, 1, size=400)
    low, high = bootstrap_interval(values, rng())
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(400), rel=0.15)


def test_95_percent_intervals_hold_the_truth_about_95_times_in_100() -> None:
    draw = rng()
    held = 0
    for _ in range(200):
        low, high = bootstrap_interval(draw.random(50), draw, resamples=300)
        held += low <= 0.5 <= high
    assert 180 <= held <= 199


def test_the_same_generator_gives_the_same_interval() -> None:
    assert bootstrap_interval([1, 2, 3, 4], rng()) == bootstrap_interval([1, 2, 3, 4], rng())


def test_undefined_rows_are_left_out() -> None:
    assert bootstrap_interval([2.0, math.nan, 2.0], rng()) == (2.0, 2.0)
    assert all(math.isnan(end) for end in bootstrap_interval([math.nan], rng()))


def test_many_rows_are_resampled_in_parts() -> None:
    low, high = bootstrap_interval(np.arange(30_000) % 2, rng(), resamples=100)
    assert 0.49 < low < 0.5 < high < 0.51


def test_any_metric_gets_an_interval() -> None:
    truth = np.array(["a", "b"] * 50)
    predicted = np.where(np.arange(100) % 10 == 0, "b", truth)
    low, high = bootstrap_statistic(
        100, lambda rows: macro_f1(truth[rows], predicted[rows]), rng(), resamples=200
    )
    assert low < macro_f1(truth, predicted) < high


def test_a_paired_difference_sees_what_two_intervals_would_hide() -> None:
    hard = rng().normal(0, 10, size=300)
    result = paired_bootstrap(hard + 0.1, hard, rng())
    assert result.difference == pytest.approx(0.1)
    assert result.is_better
    assert not result.is_worse
    assert result.share_not_better == 0


def test_no_difference_is_neither_better_nor_worse() -> None:
    noise = rng().normal(size=300)
    result = paired_bootstrap(noise, noise[::-1], rng())
    assert not result.is_better
    assert not result.is_worse


@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(count: tuple[int, int], level: float) -> None:
    expected = binomtest(*count).proportion_ci(level, method="wilson")
    assert wilson_interval(*count, level) == pytest.approx((expected.low, expected.high))


@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_clopper_pearson_agrees_with_scipy(count: tuple[int, int], level: float) -> None:
    expected = binomtest(*count, alternative="less").proportion_ci(level, method="exact").high
    assert clopper_pearson_upper(*count, level) == pytest.approx(expected, abs=1e-9)


def test_no_error_in_59_trials_promises_under_5_percent() -> None:
    assert clopper_pearson_upper(0, 58) > 0.05 > clopper_pearson_upper(0, 59)


def test_nothing_seen_promises_nothing() -> None:
    assert clopper_pearson_upper(0, 0) == 1
    assert wilson_interval(0, 0) == (0, 1)


def test_the_binomial_law_holds_for_large_samples() -> None:
    assert binomial_cdf(5_100, 100_000, 0.05) == pytest.approx(binom.cdf(5_100, 100_000, 0.05))


def test_impossible_counts_and_levels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="0 ≤ count ≤ trials, were: 3 and 2"):
        wilson_interval(3, 2)
    with pytest.raises(InvalidInput, match="level must be between"):
        clopper_pearson_upper(1, 2, 1.0)
    with pytest.raises(InvalidInput, match="pairs of rows"):
        paired_bootstrap([1], [1, 2], rng())
