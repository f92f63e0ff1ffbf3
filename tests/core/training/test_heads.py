"""Is what could be chosen chosen on rows that the judged head never saw?

The features here are made up, so that what a good choice is, is known.
"""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.calibration import fit_temperature, negative_log_likelihood
from core.inference.heads import softmax
from core.inference.ngrams import BUCKETS, SparseRows, featurize
from core.training import heads as module
from core.training.heads import (
    DENSE_C,
    Features,
    FittedHead,
    fit_head,
    refit_head,
    starting_head,
)
from core.training.linear import Linear, take_rows
from core.training.rows import Fold

FLAT = np.ones(BUCKETS, dtype=np.float32)
NAMES = ("a", "b", "c")
N = 150
LABELS = np.arange(N) % 3


def noise(rng: np.random.Generator, width: int = 6) -> np.ndarray:
    rows = rng.normal(size=(N, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def telling_embeddings(rng: np.random.Generator, clearness: float = 2.0) -> np.ndarray:
    rows = noise(rng)
    rows[np.arange(N), LABELS] += clearness
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def telling_texts() -> list[str]:
    words = ("refund money back", "order parcel late", "jacket rain warm")
    return [f"{words[label]} {i}" for i, label in enumerate(LABELS)]


def features(
    embeddings: np.ndarray, texts: list[str], readable: np.ndarray | None = None
) -> Features:
    known = np.ones(len(texts), dtype=np.bool_) if readable is None else readable
    return Features(embeddings, featurize(texts, FLAT), known)


def five_folds() -> list[Fold]:
    part = np.arange(N) // 3 % 5
    return [Fold(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(5)]


def fit(given: Features, labels: np.ndarray = LABELS, **options: object) -> FittedHead:
    folds = options.pop("folds", five_folds())
    return fit_head("intent", NAMES, labels, given, folds, seed=0, **options)  # type: ignore[arg-type]


def held_out_accuracy(fitted: FittedHead, labels: np.ndarray = LABELS) -> float:
    rows = fitted.held_out.rows
    return float((fitted.held_out.logits.argmax(axis=1) == labels[rows]).mean())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# --- nothing leaks -------------------------------------------------------------------------------


def test_labels_drawn_at_random_are_not_predicted_better_than_by_chance(
    rng: np.random.Generator,
) -> None:
    labels = rng.integers(0, 3, N)
    fitted = fit(features(noise(rng, 40), [f"text {i} {i * 7}" for i in range(N)]), labels)
    assert held_out_accuracy(fitted, labels) < 0.5
    confident = softmax(fitted.held_out.logits / np.float32(fitted.head.temperature)).max(axis=1)
    assert confident.mean() < 0.5, "and the model knows that it does not know"


def test_a_folds_head_does_not_depend_on_the_labels_of_its_held_out_rows(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, only in (("DENSE_C", (10.0,)), ("LEXICAL_C", (10.0,)), ("LEXICAL_WEIGHTS", (0.0,))):
        monkeypatch.setattr(module, name, only)
    given, folds = features(telling_embeddings(rng), telling_texts()), five_folds()
    changed = LABELS.copy()
    changed[folds[0].held_out] = rng.permutation(changed[folds[0].held_out])
    first, second = (fit(given, labels).held_out.fold_heads for labels in (LABELS, changed))
    np.testing.assert_array_equal(first[0][1].weight, second[0][1].weight)
    np.testing.assert_array_equal(first[0][1].lexical, second[0][1].lexical)
    assert not np.array_equal(first[1][1].weight, second[1][1].weight), "the others saw them"


def test_held_out_logits_are_those_of_the_head_that_did_not_see_the_row(
    rng: np.random.Generator,
) -> None:
    given = features(telling_embeddings(rng), telling_texts())
    fitted = fit(given)
    assert sorted(fitted.held_out.rows) == list(range(N))
    logits = dict(zip(fitted.held_out.rows.tolist(), fitted.held_out.logits, strict=True))
    for fold, head in fitted.held_out.fold_heads:
        rows = fold.held_out
        said = head.logits(
            given.embeddings[rows], take_rows(given.ngrams, rows), given.readable[rows]
        )
        np.testing.assert_allclose([logits[r] for r in rows.tolist()], said, atol=1e-5)


def test_the_temperature_is_that_of_held_out_logits(rng: np.random.Generator) -> None:
    fitted = fit(features(telling_embeddings(rng, 0.5), telling_texts()))
    rows, logits = fitted.held_out.rows, fitted.held_out.logits
    assert fitted.head.temperature == pytest.approx(fit_temperature(logits, LABELS[rows]))
    better = negative_log_likelihood(logits, LABELS[rows], fitted.head.temperature)
    assert better <= negative_log_likelihood(logits, LABELS[rows])


def test_the_c_with_the_least_held_out_loss_is_chosen(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, folds = features(telling_embeddings(rng, 0.6), [""] * N), five_folds()
    losses = {}
    for c in DENSE_C:
        monkeypatch.setattr(module, "DENSE_C", (c,))
        monkeypatch.setattr(module, "LEXICAL_WEIGHTS", (0.0,))
        [(_, head)] = fit(given, folds=folds[:1]).held_out.fold_heads
        rows = folds[0].held_out
        logits = given.embeddings[rows] @ head.weight + head.bias
        temperature = fit_temperature(logits, LABELS[rows])
        losses[c] = negative_log_likelihood(logits, LABELS[rows], temperature)
    monkeypatch.setattr(module, "DENSE_C", DENSE_C)
    assert fit(given).choices["C"] == min(losses, key=losses.__getitem__)


# --- which features ------------------------------------------------------------------------------


def test_n_grams_are_left_out_where_the_embedding_says_it_all(rng: np.random.Generator) -> None:
    fitted = fit(features(telling_embeddings(rng, 5.0), [f"text {i}" for i in range(N)]))
    assert fitted.head.lexical_weight == 0
    assert fitted.choices["lexical_gain_nats"] == 0
    assert held_out_accuracy(fitted) > 0.95


def test_n_grams_are_taken_in_where_they_say_what_the_embedding_does_not(
    rng: np.random.Generator,
) -> None:
    fitted = fit(features(noise(rng), telling_texts()))
    assert fitted.head.lexical_weight > 0
    assert fitted.choices["lexical_gain_nats"] > 0.1
    assert held_out_accuracy(fitted) > 0.95


def test_the_dense_part_learns_nothing_from_rows_that_the_encoder_cannot_read(
    rng: np.random.Generator,
) -> None:
    readable = np.arange(N) % 2 == 0
    embeddings = telling_embeddings(rng)
    scrambled = embeddings.copy()
    scrambled[~readable] = rng.permutation(scrambled[~readable])
    first, second = (
        fit(features(rows, telling_texts(), readable)).head for rows in (embeddings, scrambled)
    )
    np.testing.assert_array_equal(first.weight, second.weight)
    np.testing.assert_array_equal(first.lexical, second.lexical)


def test_where_nothing_can_be_read_the_n_grams_decide(rng: np.random.Generator) -> None:
    unreadable = np.zeros(N, dtype=np.bool_)
    fitted = fit(features(noise(rng), telling_texts(), unreadable))
    assert not fitted.head.weight.any()
    assert fitted.head.lexical_weight == 1.0
    assert held_out_accuracy(fitted) > 0.95


def test_a_readable_text_is_served_by_n_grams_where_training_had_no_readable_row(
    rng: np.random.Generator,
) -> None:
    fitted = fit(features(noise(rng), telling_texts(), np.zeros(N, dtype=np.bool_)))
    said = fitted.head.predict(
        noise(rng)[:1], featurize(["refund money back"], FLAT), np.array([True])
    )
    assert said.best_labels == ["a"]


def test_each_kind_of_text_is_calibrated_on_its_own_rows(rng: np.random.Generator) -> None:
    readable = np.arange(N) % 2 == 0
    fitted = fit(features(telling_embeddings(rng, 0.5), telling_texts(), readable))
    rows, logits = fitted.held_out.rows, fitted.held_out.logits
    known = readable[rows]
    assert fitted.head.temperature == pytest.approx(
        fit_temperature(logits[known], LABELS[rows[known]])
    )
    assert fitted.head.lexical_temperature == pytest.approx(
        fit_temperature(logits[~known], LABELS[rows[~known]])
    )


# --- odd labels ----------------------------------------------------------------------------------


def test_rows_without_a_label_train_nothing_and_are_not_judged(rng: np.random.Generator) -> None:
    labels = LABELS.copy()
    labels[::4] = -1
    given = features(telling_embeddings(rng), telling_texts())
    fitted = fit(given, labels)
    assert sorted(fitted.held_out.rows) == np.flatnonzero(labels >= 0).tolist()
    moved = Features(given.embeddings.copy(), given.ngrams, given.readable)
    moved.embeddings[::4] = -moved.embeddings[::4]
    np.testing.assert_array_equal(fit(moved, labels).head.weight, fitted.head.weight)


def test_a_class_that_only_the_held_out_rows_show_is_thought_unlikely_not_impossible(
    rng: np.random.Generator,
) -> None:
    labels = np.where(LABELS == 2, 0, LABELS)
    labels[five_folds()[0].held_out[0]] = 2
    fitted = fit(features(telling_embeddings(rng), telling_texts()), labels)
    [fold, blind] = fitted.held_out.fold_heads[0]
    assert 2 not in labels[fold.train]
    assert np.isfinite(blind.bias).all()
    assert fitted.head.weight[:, 2].any(), "the final head has seen it"


def test_a_head_without_a_held_out_label_is_left_uncalibrated(rng: np.random.Generator) -> None:
    labels = np.full(N, -1)
    fold = five_folds()[0]
    labels[fold.train] = LABELS[fold.train]
    fitted = fit(features(telling_embeddings(rng), telling_texts()), labels, folds=[fold])
    assert (fitted.head.temperature, fitted.head.lexical_temperature) == (1.0, 1.0)
    assert len(fitted.held_out.rows) == 0


def test_two_classes_are_a_softmax_of_two_columns(rng: np.random.Generator) -> None:
    labels = (LABELS > 0).astype(np.intp)
    embeddings = telling_embeddings(rng)
    fitted = fit_head(
        "scope", ("in", "out"), labels, features(embeddings, telling_texts()), five_folds(), seed=0
    )
    assert fitted.head.weight.shape == (6, 2)
    np.testing.assert_allclose(fitted.head.weight[:, 0], -fitted.head.weight[:, 1])
    assert held_out_accuracy(fitted, labels) > 0.9


def test_a_dense_part_that_was_learnt_with_the_encoder_is_taken_as_it_is(
    rng: np.random.Generator,
) -> None:
    tuned = Linear(np.eye(6, 3, dtype=np.float32) * 5, np.zeros(3, dtype=np.float32))
    given = features(telling_embeddings(rng), telling_texts())
    fitted = fit(given, folds=five_folds()[:1], tuned=tuned)
    np.testing.assert_array_equal(fitted.head.weight, tuned.weight)
    assert fitted.choices["C"] is None
    np.testing.assert_array_equal(fitted.head.lexical, fitted.held_out.fold_heads[0][1].lexical)


def test_tuning_starts_from_the_rows_it_is_given_alone(rng: np.random.Generator) -> None:
    given = features(telling_embeddings(rng), telling_texts())
    rows = np.flatnonzero(LABELS != 2)
    start = starting_head(NAMES, LABELS, given, rows, seed=0)
    said = given.embeddings @ start.weight + start.bias
    assert (said[rows].argmax(axis=1) == LABELS[rows]).mean() > 0.9
    assert (said.argmax(axis=1) != 2).all(), "the class it never saw stays low"


def test_a_head_tuned_with_the_encoder_is_kept_only_where_it_judges_no_worse(
    rng: np.random.Generator,
) -> None:
    given = features(telling_embeddings(rng), telling_texts())
    fold = five_folds()[:1]
    good = starting_head(NAMES, LABELS, given, fold[0].train, seed=0)
    useless = Linear(np.zeros_like(good.weight), np.zeros_like(good.bias))
    kept = fit(given, folds=fold, tuned=useless)
    assert kept.choices["C"] is not None, "a regression anew"
    assert held_out_accuracy(kept) > 0.8
    best = fit(given, folds=fold, tuned=Linear(kept.head.weight, kept.head.bias))
    assert best.choices["C"] is None, "what is equal stays"


def test_after_tuning_on_all_rows_what_held_out_rows_chose_stays(rng: np.random.Generator) -> None:
    given = features(telling_embeddings(rng), telling_texts())
    fitted = fit(given, folds=five_folds()[:1])
    tuned = Linear(fitted.head.weight + 1, fitted.head.bias)
    again = refit_head(fitted, LABELS, given, tuned, seed=0)
    assert again.head.temperature == fitted.head.temperature
    assert again.head.lexical_weight == fitted.head.lexical_weight
    assert again.choices == fitted.choices
    np.testing.assert_array_equal(again.held_out.logits, fitted.held_out.logits)


def test_no_part_of_the_rows_is_fitted_twice_with_one_c(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[tuple[bytes, float]] = []
    multinomial = module.multinomial

    def _multinomial(x: np.ndarray, labels: np.ndarray, c: float, *more: object) -> object:
        fits.append((x.tobytes(), c))
        return multinomial(x, labels, c, *more)

    monkeypatch.setattr(module, "multinomial", _multinomial)
    fit(features(telling_embeddings(rng), telling_texts()))
    assert len(fits) == len(set(fits)) <= len(DENSE_C) + 4 + 1, "search, other folds, all rows"


def test_the_same_seed_gives_the_same_head(rng: np.random.Generator) -> None:
    given = features(telling_embeddings(rng), telling_texts())
    first, second = fit(given).head, fit(given).head
    np.testing.assert_array_equal(first.weight, second.weight)
    np.testing.assert_array_equal(first.lexical, second.lexical)
    assert first.settings() == second.settings()


# --- rows of n-grams -----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [[], [2], [2, 0], [1, 1], [0, 1, 2]])
def test_rows_of_n_grams_are_taken_in_the_order_asked_for(rows: list[int]) -> None:
    texts = ["refund", "", "where is my order"]
    taken = take_rows(featurize(texts, FLAT), np.array(rows, dtype=np.intp))
    expected: SparseRows = featurize([texts[row] for row in rows], FLAT)
    np.testing.assert_array_equal(taken.indices, expected.indices)
    np.testing.assert_array_equal(taken.values, expected.values)
    np.testing.assert_array_equal(taken.starts, expected.starts)
