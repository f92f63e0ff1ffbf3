"""Do the open-set figures agree with hand-made cases and with scikit-learn?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from core.errors import InvalidInput
from core.evaluation.openset import (
    auroc,
    fpr95,
    recall_at_false_rejection,
    risk_coverage,
    threshold_at_false_rejection,
)

few = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=40)


def test_scores_that_part_the_two_give_an_area_of_one() -> None:
    assert auroc([3, 4], [1, 2]) == 1
    assert auroc([1, 2], [3, 4]) == 0


def test_equal_scores_give_an_area_of_one_half() -> None:
    assert auroc([1, 1], [1, 1, 1]) == 0.5


@given(few, few)
def test_the_area_agrees_with_scikit_learn(inside: list[float], outside: list[float]) -> None:
    truth = [1] * len(inside) + [0] * len(outside)
    assert auroc(inside, outside) == pytest.approx(roc_auc_score(truth, inside + outside))
    assert auroc(inside, outside) == pytest.approx(1 - auroc(outside, inside))


def test_a_quarter_refused_puts_the_threshold_above_the_lowest_of_four() -> None:
    assert threshold_at_false_rejection([1, 2, 3, 4], 0.25) == 2
    assert recall_at_false_rejection([1, 2, 3, 4], [0.5, 1.5, 2.5], 0.25) == pytest.approx(2 / 3)


def test_no_refusal_allowed_puts_the_threshold_at_the_lowest() -> None:
    assert threshold_at_false_rejection([2, 1, 3], 0) == 1


@given(few, few, st.floats(0, 0.99))
def test_the_promised_rate_is_never_passed(inside, outside, rate: float) -> None:
    threshold = threshold_at_false_rejection(inside, rate)
    assert np.mean(np.array(inside) < threshold) <= rate + 1e-9
    assert 0 <= recall_at_false_rejection(inside, outside, rate) <= 1


def test_false_positives_at_95_percent_count_what_is_let_in() -> None:
    inside = list(range(1, 101))
    assert fpr95(inside, [5, 6, 0, 100]) == 0.5


def test_risk_falls_when_the_unsure_are_refused() -> None:
    curve = risk_coverage([0.9, 0.8, 0.7, 0.6], [True, True, False, False])
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_equal_scores_are_one_point_of_the_curve() -> None:
    curve = risk_coverage([1.0, 1.0, 0.5], [True, False, True])
    assert curve.coverage == pytest.approx([2 / 3, 1])
    assert curve.risk == pytest.approx([1 / 2, 1 / 3])


@given(st.lists(st.tuples(st.integers(0, 5).map(float), st.booleans()), min_size=1))
def test_each_point_of_the_curve_is_what_its_threshold_gives(rows) -> None:
    scores, correct = (np.array(column) for column in zip(*rows, strict=True))
    curve = risk_coverage(scores, correct)
    for threshold, coverage, risk in zip(curve.thresholds, curve.coverage, curve.risk, strict=True):
        answered = scores >= threshold
        assert coverage == pytest.approx(answered.mean())
        assert risk == pytest.approx(1 - correct[answered].mean())
    assert curve.coverage[-1] == 1


def test_empty_and_undefined_scores_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1 score of in-scope"):
        auroc([], [1])
    with pytest.raises(InvalidInput, match="some are NaN"):
        auroc([1], [np.nan])
    with pytest.raises(InvalidInput, match=r"rate must be in \[0, 1\)"):
        threshold_at_false_rejection([1], 1)
    with pytest.raises(InvalidInput, match="expected 1 values"):
        risk_coverage([1], [True, False])
