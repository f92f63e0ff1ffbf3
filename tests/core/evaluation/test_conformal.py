"""Do conformal sets keep their promise, and does a server make the same sets from one number?"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.evaluation.calibration import softmax
from core.evaluation.conformal import (
    conformal_sets,
    cross_conformal_sets,
    rows_needed,
    sets_at,
)

METHODS = ["lac", "aps"]


def drawn(rows: int, classes: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model that is far too sure, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * 2
    chances = softmax(logits).cumsum(axis=1)
    labels = (rng.random((rows, 1)) > chances).sum(axis=1).clip(0, classes - 1)
    return softmax(logits * 3), labels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_the_true_label_is_inside_as_often_as_promised(method: str, level: float) -> None:
    p, y = drawn(6000)
    [found] = conformal_sets(p[:3000], y[:3000], p[3000:], levels=[level], method=method)
    figures = found.figures(y[3000:])
    # aps keeps the label that passes the threshold, so it holds more than it promises.
    assert level - 0.02 < figures.coverage < level + (0.03 if method == "lac" else 0.08)
    assert figures.coverage_ci[0] < figures.coverage < figures.coverage_ci[1]


@pytest.mark.parametrize("method", METHODS)
def test_a_server_makes_the_same_sets_from_the_threshold_alone(method: str) -> None:
    p, y = drawn(900, 40)
    later = p[500:].astype(np.float32)
    for found in conformal_sets(p[:500], y[:500], later, method=method):
        assert (sets_at(later, found.threshold, method) == found.sets).all()


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(25, 60), st.integers(2, 5))
def test_sets_grow_with_the_level_and_lac_keeps_the_likeliest(
    seed: int, rows: int, classes: int
) -> None:
    p, y = drawn(rows, classes, seed)
    small, large = (s.sets for s in conformal_sets(p, y, p, levels=(0.8, 0.95)))
    assert not (small & ~large).any()
    for row, kept in zip(p, large, strict=True):
        assert kept.all() or not kept.any() or row[kept].min() >= row[~kept].max()


def test_hand_made_sets_have_the_figures_one_counts() -> None:
    p, y = drawn(100, 3)
    [found] = conformal_sets(p, y, [[0.98, 0.01, 0.01], [0.5, 0.5, 0.0]], levels=[0.9])
    one, two = found.sets
    assert one.tolist() == [True, False, False]
    assert two.tolist() == [True, True, False]
    figures = found.figures([0, 2])
    assert (figures.coverage, figures.mean_size, figures.singletons, figures.empty) == (
        *(0.5, 1.5, 0.5, 0.0),
    )


def test_each_row_is_judged_by_the_others_and_coverage_is_honest() -> None:
    p, y = drawn(1500, 10)
    for found in cross_conformal_sets(p, y, rng=np.random.default_rng(0)):
        assert abs(found.figures(y).coverage - found.level) < 0.03
        [whole] = conformal_sets(p, y, p, levels=[found.level])
        assert found.threshold == whole.threshold


def test_a_class_without_calibration_rows_is_no_fault_and_nothing_is_warned() -> None:
    p, y = drawn(200, 5)
    keep = y != 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conformal_sets(p[keep], y[keep], p)


@pytest.mark.parametrize(("level", "rows"), [(0.8, 6), (0.9, 11), (0.95, 20), (0.99, 100)])
def test_just_enough_rows_do_and_one_fewer_do_not(level: float, rows: int) -> None:
    assert rows_needed(level) <= rows
    p, y = drawn(rows)
    assert conformal_sets(p, y, p, levels=[level])[0].sets.shape == p.shape
    short = rows_needed(level) - 1
    with pytest.raises(InvalidInput, match=f"{short} calibration rows are too few.*at least"):
        conformal_sets(p[:short], y[:short], p, levels=[level])


@pytest.mark.parametrize(
    ("p", "y", "options", "said"),
    [
        ([[2.0, 1.0]] * 30, [0] * 30, {}, "through softmax"),
        ([[0.5, 0.5]] * 30, [0] * 29, {}, "30 class numbers"),
        ([[0.5, 0.5]] * 30, [2] * 30, {}, "from 0 to 1"),
        ([[0.5, 0.5]] * 30, [0] * 30, {"method": "aps"}, "at least 3 classes.*Take lac"),
        ([[0.5, 0.5]] * 30, [0] * 30, {"method": "best"}, "one of lac, aps"),
        ([[0.5, 0.5]] * 30, [0] * 30, {"levels": [0.3]}, r"level must be in \[0.5, 1\)"),
        ([[1.0]] * 30, [0] * 30, {}, "at least 2 classes"),
    ],
)
def test_what_cannot_be_is_refused_with_the_mend(p, y, options, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        conformal_sets(p, y, p, **options)
