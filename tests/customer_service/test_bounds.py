"""The bound on wrong answers: exact for equal weights, honest for unequal ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.intervals import clopper_pearson_upper
from services.customer_service.bounds import beta_cdf, beta_quantile, wrong_share_upper


@pytest.mark.parametrize(
    ("level", "a", "b", "expected"),
    [
        (0.95, 1, 10, 0.2588655508930522),
        (0.95, 3.3, 200.2, 0.03292477740713865),
        (0.95, 14.1, 422, 0.04736100701456054),
        (0.95, 500, 9000, 0.05645251554869901),
        (0.05, 2, 2, 0.13535032550353674),
    ],
)
def test_beta_quantiles_are_those_of_the_tables(
    level: float, a: float, b: float, expected: float
) -> None:
    assert beta_quantile(level, a, b) == pytest.approx(expected, rel=1e-6)


@given(st.floats(0.001, 0.999), st.floats(0.5, 500), st.floats(0.5, 500))
def test_the_beta_distribution_is_its_own_mirror(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(1 - beta_cdf(1 - x, b, a), abs=1e-9)


@given(st.integers(0, 40), st.integers(1, 400))
def test_rows_of_one_weight_give_the_bound_of_clopper_and_pearson(wrong: int, right: int) -> None:
    exact = clopper_pearson_upper(wrong, wrong + right)
    assert wrong_share_upper(right, wrong, wrong, 1.0) == pytest.approx(exact, abs=1e-6)


@given(st.integers(0, 40), st.integers(1, 400), st.floats(0.1, 50))
def test_the_unit_of_weight_does_not_matter(wrong: int, right: int, unit: float) -> None:
    once = wrong_share_upper(right, wrong, wrong, 1.0)
    scaled = wrong_share_upper(right * unit, wrong * unit, wrong * unit**2, unit)
    assert scaled == pytest.approx(once, abs=1e-9)


def test_a_heavy_row_that_was_never_seen_wrong_still_counts() -> None:
    assert wrong_share_upper(500, 0, 0, heaviest=5) > 4 * wrong_share_upper(500, 0, 0, heaviest=1)


def test_nothing_right_promises_nothing() -> None:
    assert wrong_share_upper(0, 0, 0, 1) == 1.0
