"""Does a span count only where start, end and label agree?"""

from __future__ import annotations

import numpy as np
import pytest

from core.data.tagged import Span
from core.errors import InvalidInput
from core.evaluation.spans import f1_interval, micro_scores, scores_by_label, span_counts

ROME, PARIS, DAY = Span(0, 4, "city"), Span(9, 14, "city"), Span(20, 26, "day")


def test_all_found_is_one() -> None:
    scores = micro_scores([[ROME, DAY], [PARIS]], [[DAY, ROME], [PARIS]])
    assert (scores.precision, scores.recall, scores.f1, scores.support) == (1, 1, 1, 3)


@pytest.mark.parametrize("guess", [Span(0, 3, "city"), Span(1, 4, "city"), Span(0, 4, "day")])
def test_another_end_start_or_label_finds_nothing(guess: Span) -> None:
    assert micro_scores([[ROME]], [[guess]]).f1 == 0


def test_micro_counts_spans_over_all_texts() -> None:
    scores = micro_scores([[ROME, PARIS], [DAY]], [[ROME], [ROME, PARIS]])
    assert scores.precision == pytest.approx(1 / 3)
    assert scores.recall == pytest.approx(1 / 3)
    assert scores.f1 == pytest.approx(1 / 3)


def test_nothing_true_and_nothing_found_is_zero_not_an_error() -> None:
    assert micro_scores([[]], [[]]).f1 == 0
    assert scores_by_label([[]], [[]]) == {}


def test_each_label_has_its_own_scores() -> None:
    by_label = scores_by_label([[ROME, DAY]], [[ROME]])
    assert by_label["city"].f1 == 1
    assert by_label["day"].recall == 0
    assert by_label["day"].support == 1


def test_the_interval_holds_the_figure_and_closes_on_certainty() -> None:
    truth = [[ROME]] * 30
    found = [[ROME]] * 20 + [[DAY]] * 10
    low, high = f1_interval(span_counts(truth, found), np.random.default_rng(0))
    assert low < micro_scores(truth, found).f1 < high
    assert f1_interval(span_counts(truth, truth), np.random.default_rng(0)) == (1, 1)


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="expected spans of 1 texts, found those of 2"):
        span_counts([[ROME]], [[ROME], []])
