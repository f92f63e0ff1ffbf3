"""Is a difference called one when it is one, and chance when it is chance?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from core.errors import InvalidInput
from core.evaluation.classification import accuracy, macro_f1
from core.evaluation.comparison import compare, mcnemar, metric_difference

answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


def split(only_first: int, only_second: int, both: int = 0) -> tuple[np.ndarray, np.ndarray]:
    first = [True] * only_first + [False] * only_second + [True] * both
    second = [False] * only_first + [True] * only_second + [True] * both
    return np.array(first), np.array(second)


def test_one_row_against_nine_is_a_difference_and_three_against_seven_is_not() -> None:
    assert mcnemar(*split(1, 9)).p_value == pytest.approx(22 / 1024)
    assert mcnemar(*split(1, 9)).verdict() == "better"
    assert mcnemar(*split(9, 1)).verdict() == "worse"
    assert mcnemar(*split(3, 7)).verdict() == "no difference shown"


@given(answers)
def test_the_test_is_the_exact_binomial_one(rows) -> None:
    first, second = map(np.array, zip(*rows, strict=True))
    found = mcnemar(first, second)
    both = found.only_first + found.only_second
    expected = binomtest(found.only_first, both).pvalue if both else 1.0
    assert found.p_value == pytest.approx(expected)


@given(answers)
def test_turning_the_models_round_turns_the_verdict_round(rows) -> None:
    first, second = map(np.array, zip(*rows, strict=True))
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert one.p_value == other.p_value
    turned = {"better": "worse", "worse": "better"}
    assert other.verdict() == turned.get(one.verdict(), one.verdict())


@given(answers, st.integers(0, 50))
def test_rows_that_both_have_right_change_nothing(rows, more: int) -> None:
    first, second = map(np.array, zip(*rows, strict=True))
    extra = np.ones(more, dtype=bool)
    assert mcnemar(np.append(first, extra), np.append(second, extra)) == mcnemar(first, second)


def labelled(rows: int = 300, seed: int = 0) -> tuple[list[str], list[str], list[str]]:
    """Truth, a model right on 60 % of rows, and one right on 90 %."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(["a", "b", "c"], rows)
    noise = rng.choice(["a", "b", "c"], rows)
    weak = np.where(rng.random(rows) < 0.4, truth, noise)
    good = np.where(rng.random(rows) < 0.85, truth, noise)
    return truth.tolist(), weak.tolist(), good.tolist()


def test_the_bootstrap_draws_the_same_rows_for_both_models() -> None:
    truth, weak, _ = map(np.array, labelled())
    drawn: list[list[bytes]] = [[], []]

    def figure(model: int):
        def of(rows: np.ndarray) -> float:
            drawn[model].append(rows.tobytes())
            return accuracy(truth[rows], weak[rows])

        return of

    found = metric_difference(300, figure(0), figure(1), np.random.default_rng(0), resamples=20)
    assert sorted(drawn[0]) == sorted(drawn[1])
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert found.verdict == "no difference shown"


def test_a_better_model_is_called_better_by_every_metric() -> None:
    truth, weak, good = labelled()

    def pair(metric):
        t, w, g = np.array(truth), np.array(weak), np.array(good)
        return (lambda r: metric(t[r], w[r]), lambda r: metric(t[r], g[r]))

    metrics = {"accuracy": pair(accuracy), "macro_f1": pair(macro_f1)}
    found = compare(truth, weak, good, metrics, np.random.default_rng(0), resamples=200)
    assert found.verdict == "better"
    for difference in found.differences.values():
        assert difference.verdict == "better"
        assert difference.low < difference.difference < difference.high
    assert "the second model is better than the first model" in found.sentence()
    turned = compare(truth, good, weak, {}, np.random.default_rng(0))
    assert turned.verdict == "worse"
    assert turned.sentence("live", "new").startswith("new is worse than live: on 300 rows")


def test_rows_that_the_second_model_lost_come_first_then_those_it_won() -> None:
    found = compare(
        ["a", "a", "a", "a"],
        ["b", "a", "b", "a"],
        ["a", "a", "c", "b"],
        {},
        np.random.default_rng(0),
    )
    assert [row.row for row in found.rows] == [3, 0, 2]
    assert found.rows[0].truth == "a"
    assert (found.rows[0].first, found.rows[0].second) == ("a", "b")


def test_a_metric_that_cannot_be_computed_shows_no_difference() -> None:
    def undefined(rows: np.ndarray) -> float:
        return float("nan")

    found = metric_difference(5, undefined, undefined, np.random.default_rng(0), resamples=5)
    assert found.verdict == "no difference shown"


def test_rows_that_do_not_pair_are_refused() -> None:
    with pytest.raises(InvalidInput, match="two equal rows"):
        mcnemar([True], [True, False])
    with pytest.raises(InvalidInput, match="true or false"):
        mcnemar([1], [0])
    with pytest.raises(InvalidInput, match="3 true, 2 and 3"):
        compare(["a"] * 3, ["a"] * 2, ["a"] * 3, {}, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="at least 1 row"):
        metric_difference(0, len, len, np.random.default_rng(0))
