"""Do the calibration figures agree with hand-made cases, and does a temperature mend them?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from core.errors import InvalidInput
from core.evaluation.calibration import (
    binary_ece,
    brier,
    ece,
    fit_temperature,
    negative_log_likelihood,
    softmax,
)

logits_of = arrays(np.float64, (12, 3), elements=st.floats(-20, 20))


@given(logits_of, st.floats(0.05, 20))
def test_softmax_rows_sum_to_one_and_keep_their_order(logits, temperature: float) -> None:
    p = softmax(logits, temperature)
    assert p.sum(axis=1) == pytest.approx(np.ones(12))
    assert (p.argmax(axis=1) == logits.argmax(axis=1)).all() or (p.max(axis=1) > 1 / 3 - 1e-9).all()
    assert softmax(logits + 7, temperature) == pytest.approx(p)


def test_huge_logits_do_not_overflow() -> None:
    assert softmax([[1e5, 0.0]]).tolist() == [[1.0, 0.0]]


def drawn(temperature: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels whose true probabilities are softmax(logits / temperature)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, 5)) * 4
    chances = softmax(logits, temperature).cumsum(axis=1)
    labels = (rng.random((rows, 1)) > chances).sum(axis=1)
    return logits, np.minimum(labels, 4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.08)


def test_no_other_temperature_fits_better() -> None:
    logits, labels = drawn(2.0)
    best = fit_temperature(logits, labels)
    at_best = negative_log_likelihood(logits, labels, best)
    for other in (best * 0.95, best * 1.05, 1.0):
        assert at_best <= negative_log_likelihood(logits, labels, other)


def test_a_fitted_temperature_mends_overconfidence() -> None:
    logits, labels = drawn(3.0)
    after = ece(softmax(logits, fit_temperature(logits, labels)), labels)
    assert after < 0.03 < 0.1 < ece(softmax(logits), labels)


def test_all_right_sharpens_and_all_wrong_ends_at_the_hottest() -> None:
    assert 0.01 <= fit_temperature([[9.0, 0.0]] * 3, [0, 0, 0]) < 1
    assert fit_temperature([[9.0, 0.0]] * 3, [1, 1, 1]) == pytest.approx(100)


def test_always_sure_and_right_half_the_time_is_an_error_of_one_half() -> None:
    assert ece([[1.0, 0.0]] * 4, [0, 1, 0, 1]) == pytest.approx(0.5)


def test_right_as_often_as_sure_is_no_error() -> None:
    assert ece([[0.75, 0.25]] * 4, [0, 0, 0, 1]) == pytest.approx(0)


def test_bins_hold_equal_numbers_of_rows() -> None:
    # two bins: confidences .6 and .7 (both wrong), .8 and .9 (both right)
    assert binary_ece([0.6, 0.7, 0.8, 0.9], [0, 0, 1, 1], bins=2) == pytest.approx((1.3 + 0.3) / 4)


@given(
    st.lists(st.tuples(st.sampled_from([0.3, 0.5, 0.9, 1.0]), st.booleans()), min_size=1),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_the_error_is_in_range_and_does_not_depend_on_the_order(rows, bins: int, random) -> None:
    sure, right = zip(*rows, strict=True)
    error = binary_ece(sure, right, bins)
    assert abs(np.mean(right) - np.mean(sure)) - 1e-12 <= error <= 1
    random.shuffle(rows)
    assert binary_ece(*zip(*rows, strict=True), bins) == pytest.approx(error)


mild_logits = arrays(np.float64, (12, 3), elements=st.floats(-8, 8))


@settings(max_examples=25)
@given(mild_logits, arrays(np.int64, 12, elements=st.integers(0, 2)))
def test_brier_and_likelihood_agree_with_scikit_learn(logits, labels) -> None:
    p = softmax(logits)
    one_hot = np.eye(3)[labels]
    assert brier(p, labels) == pytest.approx(((p - one_hot) ** 2).sum(axis=1).mean())
    assert brier(p, labels) == pytest.approx(
        sk.brier_score_loss(labels, p, labels=[0, 1, 2], scale_by_half=False)
    )
    assert negative_log_likelihood(logits, labels) == pytest.approx(
        sk.log_loss(labels, p, labels=[0, 1, 2])
    )


@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([[0.5, 0.5]], [2], "class positions from 0 to 1"),
        ([[0.5, 0.5]], [0, 1], "expected scores"),
        ([[np.nan, 0.5]], [0], "finite"),
        (np.empty((0, 2)), [], "expected scores"),
    ],
)
def test_what_does_not_fit_together_is_refused(scores, labels, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        ece(scores, labels)


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(InvalidInput, match="above 0, was: 0"):
        softmax([[1.0, 2.0]], 0)
