"""Do the label metrics agree with hand-counted cases and with scikit-learn?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from core.errors import InvalidInput
from core.evaluation.classification import (
    Mistake,
    accuracy,
    confusion_matrix,
    macro_f1,
    mcc,
    per_class_report,
    precision_recall_f1,
    top_confusions,
    weighted_f1,
)

labels = st.sampled_from(["a", "b", "c", "d"])
rows = st.lists(st.tuples(labels, labels), min_size=1, max_size=40)


def test_two_of_three_right_is_an_accuracy_of_two_thirds() -> None:
    assert accuracy(["a", "b", "a"], ["a", "b", "b"]) == pytest.approx(2 / 3)


def test_counts_stand_at_true_row_and_predicted_column() -> None:
    confusion = confusion_matrix(["a", "a", "b"], ["a", "c", "b"])
    assert confusion.labels == ("a", "b", "c")
    assert confusion.counts.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_a_class_never_predicted_has_precision_zero() -> None:
    scores = precision_recall_f1(["a", "b"], ["a", "a"])
    assert scores.precision.tolist() == [0.5, 0.0]
    assert scores.recall.tolist() == [1.0, 0.0]
    assert scores.support.tolist() == [1, 1]


def test_macro_f1_weighs_classes_and_weighted_f1_rows() -> None:
    truth, predicted = ["a", "a", "a", "b"], ["a", "a", "a", "a"]
    assert macro_f1(truth, predicted) == pytest.approx((6 / 7 + 0) / 2)
    assert weighted_f1(truth, predicted) == pytest.approx(6 / 7 * 3 / 4)


@pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
@settings(max_examples=40)
@given(rows)
def test_every_figure_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    names = sorted({*truth, *predicted})
    options = {"labels": names, "zero_division": 0}
    scores = precision_recall_f1(truth, predicted)
    expected = sk.precision_recall_fscore_support(truth, predicted, **options)
    assert scores.labels == tuple(names)
    figures = (scores.precision, scores.recall, scores.f1, scores.support)
    for ours, theirs in zip(figures, expected, strict=True):
        assert ours == pytest.approx(theirs)
    assert accuracy(truth, predicted) == pytest.approx(sk.accuracy_score(truth, predicted))
    assert macro_f1(truth, predicted) == pytest.approx(
        sk.f1_score(truth, predicted, average="macro", **options)
    )
    assert weighted_f1(truth, predicted) == pytest.approx(
        sk.f1_score(truth, predicted, average="weighted", **options)
    )
    assert mcc(truth, predicted) == pytest.approx(sk.matthews_corrcoef(truth, predicted))
    matrix = sk.confusion_matrix(truth, predicted, labels=names)
    assert np.array_equal(confusion_matrix(truth, predicted).counts, matrix)


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(pairs: list[tuple[str, str]], random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    one, other = zip(*pairs, strict=True), zip(*shuffled, strict=True)
    assert mcc(*one) == pytest.approx(mcc(*other))


def test_mcc_of_a_single_class_is_zero_and_of_the_truth_is_one() -> None:
    assert mcc(["a", "b"], ["a", "a"]) == 0
    assert mcc(["a", "b", "c"], ["a", "b", "c"]) == pytest.approx(1)


def test_integer_labels_serve_as_well() -> None:
    assert confusion_matrix([3, 1], np.array([3, 3])).labels == (1, 3)


def test_a_report_is_plain_enough_for_json() -> None:
    assert per_class_report(["a", "b"], ["a", "a"])["a"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
    }


def test_the_most_frequent_mistake_comes_first() -> None:
    truth = ["a", "a", "a", "b", "b"]
    predicted = ["b", "b", "c", "a", "b"]
    assert top_confusions(truth, predicted, 2) == [Mistake("a", "b", 2), Mistake("a", "c", 1)]
    assert top_confusions(["a"], ["a"]) == []


@pytest.mark.parametrize(
    ("truth", "predicted", "said"),
    [
        ([], [], "at least 1 row"),
        (["a"], ["a", "b"], "one prediction a row"),
        (["a"], [1], "strings and integers"),
    ],
)
def test_what_cannot_be_measured_is_refused(truth, predicted, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        accuracy(truth, predicted)
