"""Are classes numbered as they were named, and is no row ever judged by a model that saw it?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.records import LabeledText
from core.errors import DataError
from core.training.rows import (
    Fold,
    TrainingRows,
    cross_validation_folds,
    rows_to_learn,
    single_split,
    training_rows,
    words_of,
)

SENTIMENTS, TOPICS = "pos neg", "oil gold banks"
# Two heads; a row may lack either label, or both.
LABELS = st.lists(
    st.tuples(
        st.sampled_from([None, *SENTIMENTS.split()]), st.sampled_from([None, *TOPICS.split()])
    ),
    min_size=1,
    max_size=60,
)


def rows_of(pairs: list[tuple[str | None, str | None]]) -> TrainingRows:
    labelled = []
    for line, pair in enumerate(pairs):
        named = zip(("sentiment", "topic"), pair, strict=True)
        labels = {head: label for head, label in named if label is not None}
        labelled.append(LabeledText(f"text {line}", labels, line))
    heads = [
        h for h in ("sentiment", "topic") if len({r.labels.get(h) for r in labelled} - {None}) > 1
    ]
    return training_rows(labelled, heads)


def intents(*labels: str) -> TrainingRows:
    return training_rows(
        [LabeledText(f"text {i}", {"intent": of}, i) for i, of in enumerate(labels)], ["intent"]
    )


def meet(fold: Fold) -> set[int]:
    return set(fold.train.tolist()) & set(fold.held_out.tolist())


# --- classes -------------------------------------------------------------------------------------


def test_classes_are_numbered_in_the_order_of_their_names() -> None:
    rows = intents("refund", "order", "refund")
    assert rows.classes == {"intent": ("order", "refund")}
    assert rows.labels["intent"].tolist() == [1, 0, 1]


def test_a_row_without_a_label_for_a_head_is_marked_and_its_other_label_counts() -> None:
    rows = rows_of([("pos", None), ("neg", "oil"), (None, "gold")])
    assert rows.labels["sentiment"].tolist() == [1, 0, -1]
    assert rows.labels["topic"].tolist() == [-1, 1, 0]


@pytest.mark.parametrize(
    ("labels", "found"), [([], "none"), (["order"], "'order'"), (["order"] * 9, "'order'")]
)
def test_a_head_with_fewer_than_two_classes_cannot_be_learnt(labels: list[str], found: str) -> None:
    with pytest.raises(DataError, match=f"intent needs at least 2.*found .*{found}") as refused:
        intents(*labels)
    assert refused.value.mend == "Add rows of another class."


def test_the_fingerprint_changes_with_any_text_label_name_and_order() -> None:
    texts = [LabeledText("a", {"x": "1"}, 1), LabeledText("b", {"x": "2"}, 2)]
    first = training_rows(texts, ["x"]).fingerprint()
    assert training_rows(list(texts), ["x"]).fingerprint() == first
    others = [
        [LabeledText("c", {"x": "1"}, 1), texts[1]],
        [LabeledText("a", {"x": "2"}, 1), LabeledText("b", {"x": "1"}, 2)],
        [LabeledText("a", {"x": "one"}, 1), LabeledText("b", {"x": "two"}, 2)],
        texts[::-1],
        [*texts, texts[0]],
    ]
    fingerprints = {training_rows(other, ["x"]).fingerprint() for other in others}
    assert len(fingerprints | {first}) == 6


def test_any_text_has_a_fingerprint() -> None:
    rows = [LabeledText("\ud83d", {"x": "1"}, 1), LabeledText("\x00", {"x": "2"}, 2)]
    assert len(training_rows(rows, ["x"]).fingerprint()) == 64


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("card_arrival", "card arrival"),
        ("faq/return-policy", "faq return policy"),
        ("cardArrival", "card arrival"),
        ("Refund_not_showing_up", "refund not showing up"),
        ("退货_政策", "退货 政策"),
        ("faq_17", ""),
        ("3", ""),
        ("_", ""),
    ],
)
def test_a_labels_name_is_words_unless_it_is_a_code(name: str, words: str) -> None:
    assert words_of(name) == words


@given(LABELS, st.integers(0, 9))
def test_the_names_of_labels_train_and_never_judge(
    pairs: list[tuple[str | None, str | None]], seed: int
) -> None:
    rows = rows_of(pairs)
    if not rows.labels:
        return
    named = rows.with_label_names()
    assert named.extra == sum(map(len, rows.classes.values()))
    try:
        folds = cross_validation_folds(named, np.random.default_rng(seed))
        folds.append(single_split(named, np.random.default_rng(seed)))
    except DataError:
        return
    for fold in folds:
        assert not meet(fold)
        assert set(range(len(rows), len(named))) <= set(fold.train.tolist())
        assert len(named.take(fold.held_out)) == len(fold.held_out)
        assert named.take(fold.train).extra == named.extra


def test_a_name_is_a_row_of_its_own_label_and_of_no_other_head() -> None:
    named = rows_of([("pos", "oil"), ("neg", "gold")]).with_label_names()
    assert named.texts[2:] == ("neg", "pos", "gold", "oil")
    assert named.labels["sentiment"].tolist() == [1, 0, 0, 1, -1, -1]
    assert named.labels["topic"].tolist() == [1, 0, -1, -1, 0, 1]


# --- folds ---------------------------------------------------------------------------------------


@given(LABELS, st.integers(0, 9))
def test_a_held_out_row_is_never_among_its_folds_training_rows(
    pairs: list[tuple[str | None, str | None]], seed: int
) -> None:
    rows = rows_of(pairs)
    if not rows.labels:
        return
    try:
        folds = cross_validation_folds(rows, np.random.default_rng(seed))
        folds.append(single_split(rows, np.random.default_rng(seed)))
    except DataError as refused:
        assert "too few" in str(refused)
        return
    for fold in folds:
        assert not meet(fold)
        assert sorted([*fold.train, *fold.held_out]) == list(range(len(rows)))
        assert len(fold.held_out)


@given(LABELS, st.integers(0, 9))
def test_in_a_single_split_every_class_of_every_head_keeps_a_row_to_train_on(
    pairs: list[tuple[str | None, str | None]], seed: int
) -> None:
    rows = rows_of(pairs)
    if not rows.labels:
        return
    try:
        fold = single_split(rows, np.random.default_rng(seed))
    except DataError:
        return
    for head, labels in rows.labels.items():
        assert set(labels[fold.train]) - {-1} == set(range(len(rows.classes[head])))


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=60), st.integers(0, 9))
def test_in_cross_validation_no_row_is_judged_twice_and_every_fold_can_be_learnt_from(
    labels: list[str], seed: int
) -> None:
    if len(set(labels)) < 2:
        return
    rows = intents(*labels)
    try:
        folds = cross_validation_folds(rows, np.random.default_rng(seed))
    except DataError:
        assert len(labels) == 2
        return
    judged = [row for fold in folds for row in fold.held_out.tolist()]
    assert len(judged) == len(set(judged))
    for fold in folds:
        known = set(rows.labels["intent"][fold.train])
        assert len(known) >= 2
        for number in range(len(rows.classes["intent"])):
            if (rows.labels["intent"] == number).sum() > 1:
                assert number in known, "a class of two rows is never held out whole"


def test_classes_are_spread_evenly_over_the_folds() -> None:
    rows = intents(*["a"] * 50, *["b"] * 25, *["c"] * 5)
    for fold in cross_validation_folds(rows, np.random.default_rng(0)):
        assert np.bincount(rows.labels["intent"][fold.held_out]).tolist() == [10, 5, 1]


def test_about_an_eighth_is_held_out_of_a_single_split_in_each_class() -> None:
    rows = intents(*["a"] * 400, *["b"] * 80)
    fold = single_split(rows, np.random.default_rng(0))
    assert np.bincount(rows.labels["intent"][fold.held_out]).tolist() == [50, 10]


def test_of_few_rows_a_larger_share_is_held_out() -> None:
    fold = single_split(intents("a", "a", "b", "b"), np.random.default_rng(0))
    assert len(fold.held_out) == 2


@pytest.mark.parametrize("make", [cross_validation_folds, single_split])
def test_two_rows_are_too_few_and_the_error_says_how_many_would_do(make: object) -> None:
    with pytest.raises(DataError, match="2 rows are too few") as refused:
        make(intents("a", "b"), np.random.default_rng(0))  # type: ignore[operator]
    assert "at least two of one class" in str(refused.value)


def test_many_rows_are_judged_by_one_split() -> None:
    rows = intents(*["a", "b"] * 2500)
    folds = cross_validation_folds(rows, np.random.default_rng(0))
    assert len(folds) == 1
    assert len(folds[0].held_out) == 625


def test_another_seed_holds_out_other_rows_and_the_same_seed_the_same() -> None:
    rows = intents(*["a", "b"] * 50)
    held = [single_split(rows, np.random.default_rng(s)).held_out.tolist() for s in (1, 1, 2)]
    assert held[0] == held[1] != held[2]


# --- corrections ---------------------------------------------------------------------------------


def named(count: int) -> list[LabeledText]:
    return [LabeledText(f"Text, {i}", {"intent": "ab"[i % 2]}, i) for i in range(count)]


@given(
    st.integers(20, 80),
    st.sets(st.integers(0, 19), max_size=5),
    st.integers(0, 5),
    st.booleans(),
)
def test_corrections_train_and_never_judge_and_leave_the_other_judges_as_they_were(
    count: int, corrected: set[int], fresh: int, single: bool
) -> None:
    said = [LabeledText(f"text {i}", {"intent": "b"}, 0) for i in corrected]
    said += [LabeledText(f"another {i}", {"intent": "new"}, 0) for i in range(fresh)]

    def judges(corrections: list[LabeledText]) -> list[set[str]]:
        rng = np.random.default_rng(0)
        rows, folds = rows_to_learn((named(count), corrections), ["intent"], rng, single=single)
        assert len(rows) == count - len(corrected if corrections else ()) + len(corrections)
        for fold in folds:
            assert not meet(fold)
            assert len(fold.train) + len(fold.held_out) == len(rows)
            assert {row.text for row in corrections} <= {rows.texts[n] for n in fold.train}
        return [{rows.texts[n] for n in fold.held_out} for fold in folds]

    before = judges([])
    outweighed = {f"Text, {i}" for i in corrected}
    left = [texts - outweighed for texts in before if texts - outweighed]
    if left:
        assert judges(said) == left


def test_rows_that_are_all_corrected_cannot_judge() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="could judge"):
        rows_to_learn((named(4), named(4)), ["intent"], rng, single=True)
