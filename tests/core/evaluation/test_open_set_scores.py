"""Are the scores what their papers say, and is the combination the best one on validation rows?"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import InvalidInput
from core.evaluation import open_set_scores as module
from core.evaluation.open_set_scores import (
    best_shrinkage,
    choose_combination,
    choose_on_held_out_classes,
    fit_scores,
)
from core.evaluation.openset import auroc
from core.inference.open_set import Combination, OpenSetModel, energy, largest_logit

few_scores = arrays(np.float64, st.integers(6, 25), elements=st.integers(-40, 40).map(float))


def blobs(classes: int = 6, rows: int = 40, width: int = 8, seed: int = 0):
    """Embeddings around one point a class, spread unequally over the axes, and class numbers."""
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(99).normal(size=(classes, width))
    labels = np.repeat(np.arange(classes), rows)
    noise = rng.normal(size=(len(labels), width)) * np.linspace(0.1, 0.6, width)
    return middles[labels] + noise, labels


def prototypes(train: np.ndarray, labels: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Minus the squared distances to the class means, as logits."""
    means = np.stack([train[labels == c].mean(axis=0) for c in np.unique(labels)])
    return -((judged[:, None] - means) ** 2).sum(axis=2)


# --- the scores ----------------------------------------------------------------------------------


@given(arrays(np.float64, (7, 3), elements=st.floats(-30, 30)), st.floats(0.05, 5))
def test_the_energy_lies_at_or_above_the_largest_logit_and_within_t_log_n(
    logits, temperature: float
) -> None:
    above = energy(logits, temperature) - largest_logit(logits)
    assert (above >= -1e-9).all()
    assert (above <= temperature * np.log(3) + 1e-9).all()


def test_the_energy_of_equal_logits_is_known() -> None:
    assert energy([[1.0, 1.0]], 2.0) == pytest.approx([1 + 2 * np.log(2)])


def drawn(rows: int, spread: np.ndarray) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, len(spread))) * spread


def shrinkage(rows: np.ndarray) -> float:
    return best_shrinkage(rows, np.zeros(len(rows), int), rng=np.random.default_rng(0))


def test_the_more_rows_the_less_is_shrunk() -> None:
    uneven = np.linspace(0.2, 3, 30)
    few, some, many = (shrinkage(drawn(rows, uneven)) for rows in (20, 100, 3000))
    assert few > some > many


def test_what_spreads_alike_everywhere_is_shrunk_to_that() -> None:
    assert shrinkage(drawn(60, np.ones(30))) == max(module._SHRINKAGES)


def test_where_no_row_can_be_held_out_nothing_is_believed() -> None:
    assert best_shrinkage(np.eye(3), np.arange(3), rng=np.random.default_rng(0)) == 1.0


def test_the_relative_distance_agrees_with_its_definition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SHRINKAGES", (0.3,))

    def covariance(centred: np.ndarray) -> np.ndarray:
        plain = centred.T @ centred / len(centred)
        return 0.7 * plain + 0.3 * np.trace(plain) / len(plain) * np.eye(len(plain))

    embeddings, labels = blobs()
    model = fit_scores(embeddings, labels, rng=np.random.default_rng(0))
    within = covariance(embeddings - model.means[labels])
    around = covariance(embeddings - embeddings.mean(axis=0))
    row = np.random.default_rng(5).normal(size=8)

    def squared(middle, covariance) -> float:
        return float((row - middle) @ np.linalg.inv(covariance) @ (row - middle))

    nearest = min(squared(mean, within) for mean in model.means)
    expected = squared(embeddings.mean(axis=0), around) - nearest
    scores = model.scores(row[None], np.zeros((1, 6)))
    assert scores["mahalanobis"] == pytest.approx([expected])


def test_each_score_is_higher_for_known_classes_than_for_a_new_one() -> None:
    embeddings, labels = blobs(seed=1)
    judged, truth = blobs(seed=2)
    known = labels != 5
    model = fit_scores(embeddings[known], labels[known], rng=np.random.default_rng(0))
    logits = prototypes(embeddings[known], labels[known], judged)
    for name, score in model.scores(judged, logits).items():
        assert auroc(score[truth != 5], score[truth == 5]) > 0.9, name


def test_a_model_comes_back_from_its_small_arrays_and_json_nearly_the_same() -> None:
    embeddings, labels = blobs()
    model = fit_scores(embeddings, labels, rng=np.random.default_rng(0), temperature=0.5, k=3)
    again = OpenSetModel.from_parts(model.arrays(), json.loads(json.dumps(model.settings())))
    logits = prototypes(embeddings, labels, embeddings)
    for name, score in model.scores(embeddings, logits).items():
        assert again.scores(embeddings, logits)[name] == pytest.approx(score, rel=1e-2, abs=1e-2)
    assert (again.temperature, again.k) == (0.5, 3)


def test_rows_that_are_all_equal_give_finite_scores() -> None:
    model = fit_scores(np.ones((4, 3)), [0, 0, 1, 1], rng=np.random.default_rng(0))
    scores = model.scores([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]], np.zeros((2, 2)))
    assert all(np.isfinite(score).all() for score in scores.values())


@pytest.mark.parametrize(
    ("embeddings", "labels", "said"),
    [
        ([[1.0, 2.0]], [0, 1], "class number for each of 1"),
        ([[1.0, np.nan]], [0], "embeddings must be finite"),
        ([[1.0, 2.0]], [-1], "class number"),
        ([[1.0, 2.0]], ["a"], "class number"),
    ],
)
def test_training_rows_that_cannot_be_are_refused(embeddings, labels, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        fit_scores(embeddings, labels, rng=np.random.default_rng(0))


def test_embeddings_of_another_width_are_refused() -> None:
    model = fit_scores(*blobs(), rng=np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="width 8"):
        model.scores(np.ones((2, 3)), np.ones((2, 6)))


# --- the combination -----------------------------------------------------------------------------


@given(few_scores, few_scores)
def test_a_rising_transformation_of_one_score_does_not_change_its_area(inside, outside) -> None:
    plain = choose_combination({"a": inside}, {"a": outside})
    bent = choose_combination({"a": np.exp(inside / 9)}, {"a": np.exp(outside / 9)})
    assert bent.auroc == pytest.approx(plain.auroc)
    assert plain.auroc == pytest.approx(auroc(inside, outside))


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.1, 50), st.floats(-9, 9))
def test_the_unit_of_a_score_does_not_matter(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    inside, outside = noisy(rng, 20, 0.5), noisy(rng, 15, 0.0)
    plain = choose_combination(inside, outside)
    moved = choose_combination(
        inside | {"a": inside["a"] * scale + shift}, outside | {"a": outside["a"] * scale + shift}
    )
    assert moved.auroc == pytest.approx(plain.auroc)
    assert (moved.names, moved.how) == (plain.names, plain.how)
    assert moved.weights == pytest.approx(plain.weights)


@given(few_scores, few_scores)
def test_the_choice_is_never_worse_than_the_best_single_score(inside, outside) -> None:
    scores = {"a": inside, "b": -inside}, {"a": outside, "b": -outside}
    best = max(auroc(scores[0][name], scores[1][name]) for name in "ab")
    assert choose_combination(*scores).auroc >= best - 1e-12


def noisy(rng: np.random.Generator, rows: int, middle: float) -> dict[str, np.ndarray]:
    return {name: rng.normal(middle, 1, rows) for name in "ab"}


def test_two_scores_that_fail_differently_are_better_together() -> None:
    rng = np.random.default_rng(0)
    inside, outside = noisy(rng, 400, 1.0), noisy(rng, 400, 0.0)
    noise = {"c": rng.normal(size=400)}, {"c": rng.normal(size=400)}
    chosen = choose_combination(inside | noise[0], outside | noise[1])
    assert set(chosen.names) >= {"a", "b"}
    test = noisy(rng, 4000, 1.0), noisy(rng, 4000, 0.0)
    extra = {"c": rng.normal(size=4000)}
    together = auroc(chosen.score(test[0] | extra), chosen.score(test[1] | extra))
    assert together > auroc(test[0]["a"], test[1]["a"]) + 0.03


def test_weights_are_learnt_where_equal_ones_do_not_do() -> None:
    rng = np.random.default_rng(1)
    # b tells nothing by itself, but how much of a is noise
    noise = rng.normal(size=600) * 3, rng.normal(size=600) * 3
    chosen = choose_combination(
        {"a": 1 + noise[0], "b": noise[0] + rng.normal(size=600) / 10},
        {"a": noise[1], "b": noise[1] + rng.normal(size=600) / 10},
    )
    assert chosen.how == "logistic"
    weight = dict(zip(chosen.names, chosen.weights, strict=True))
    assert weight["a"] > 0 > weight["b"]
    assert chosen.auroc > 0.9


def test_of_equally_good_choices_the_one_with_fewer_scores_is_taken() -> None:
    inside, outside = np.arange(20.0) + 30, np.arange(20.0)
    scores = {"a": inside, "b": inside}, {"a": outside, "b": outside}
    assert choose_combination(*scores).names == ("a",)


def test_a_combination_comes_back_from_json_and_ignores_other_scores() -> None:
    rng = np.random.default_rng(0)
    inside, outside = noisy(rng, 50, 1.0), noisy(rng, 50, 0.0)
    chosen = choose_combination(inside, outside)
    again = Combination.from_settings(json.loads(json.dumps(chosen.settings())))
    assert again == chosen
    more = inside | {"z": np.zeros(50)}
    assert (again.score(more) == chosen.score(inside)).all()


def test_a_missing_score_is_named() -> None:
    chosen = choose_combination({"a": [3.0, 4.0]}, {"a": [1.0, 2.0]})
    with pytest.raises(InvalidInput, match=r"missing: \['a'\]"):
        chosen.score({"b": [1.0]})


def test_scores_of_one_kind_of_row_only_are_refused() -> None:
    with pytest.raises(InvalidInput, match="the same 1 to 8 scores"):
        choose_combination({"a": [1.0]}, {"b": [1.0]})


# --- held-out classes ----------------------------------------------------------------------------


def test_without_out_of_scope_rows_classes_are_held_out_and_the_choice_serves_new_ones() -> None:
    train, validation = blobs(8, seed=1), blobs(8, 15, seed=2)
    known = train[1] < 6
    seen = validation[1] < 6
    chosen = choose_on_held_out_classes(
        (train[0][known], train[1][known]),
        (validation[0][seen], validation[1][seen]),
        prototypes,
        rng=np.random.default_rng(0),
    )
    model = fit_scores(train[0][known], train[1][known], rng=np.random.default_rng(0))
    scores = model.scores(
        validation[0], prototypes(train[0][known], train[1][known], validation[0])
    )
    final = chosen.rescaled({name: score[seen] for name, score in scores.items()})
    served = final.score(scores)
    assert auroc(served[seen], served[~seen]) > 0.95
    assert served[seen].mean() == pytest.approx(0, abs=1e-9)
    assert final == replace(chosen, means=final.means, deviations=final.deviations)


def test_the_head_is_fitted_without_the_rows_of_the_held_out_classes() -> None:
    train, validation = blobs(4), blobs(4, 10, seed=3)
    asked: list[int] = []

    def spy(rows: np.ndarray, labels: np.ndarray, judged: np.ndarray) -> np.ndarray:
        asked.append(len(np.unique(labels)))
        return prototypes(rows, labels, judged)

    choose_on_held_out_classes(train, validation, spy, rng=np.random.default_rng(0), folds=4)
    assert asked == [3, 3, 3, 3]


def test_too_few_classes_to_hold_any_out_are_refused_with_the_mend() -> None:
    rows = blobs(2)
    with pytest.raises(InvalidInput, match=r"at least 3 classes.*out-of-scope rows"):
        choose_on_held_out_classes(rows, rows, prototypes, rng=np.random.default_rng(0))
