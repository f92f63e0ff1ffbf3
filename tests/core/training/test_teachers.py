"""Does a student hear its teachers, and only about what they know?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.artifacts import read_manifest
from core.data.records import LabeledText
from core.errors import DataError, InvalidInput
from core.training.classifier import Extra, train_classifier
from core.training.teachers import ask_teachers

Train = Callable[..., SimpleNamespace]
CLASSES = ("order", "refund", "weather")
TEXTS = ("where is my order", "i want my money back", "a jacket for the rain")


def test_one_teacher_says_what_its_artefact_says(trained_fast: SimpleNamespace) -> None:
    (said,) = ask_teachers([trained_fast.folder], TEXTS, {"intent": CLASSES}).values()
    assert said.shape == (3, 3)
    assert [CLASSES[i] for i in said.argmax(axis=1)] == ["order", "refund", "weather"]
    np.testing.assert_allclose(np.exp(said).sum(axis=1), 1, atol=1e-3)


def test_several_teachers_are_averaged(
    trained_fast: SimpleNamespace, trained_accurate: SimpleNamespace
) -> None:
    folders = [trained_fast.folder, trained_accurate.folder]
    one, other = (np.exp(ask_teachers([f], TEXTS, {"intent": CLASSES})["intent"]) for f in folders)
    both = np.exp(ask_teachers(folders, TEXTS, {"intent": CLASSES})["intent"])
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-5)


def test_classes_are_matched_by_name_not_by_place(trained_fast: SimpleNamespace) -> None:
    classes = {"intent": ("weather", "complaint", "order", "refund")}
    said = ask_teachers([trained_fast.folder], TEXTS, classes)["intent"]
    assert said.argmax(axis=1).tolist() == [2, 3, 0]
    assert np.exp(said[:, 1]).max() < 1e-5, "the teacher has never heard of it"


def test_with_known_labels_the_word_is_spread_from_them(trained_fast: SimpleNamespace) -> None:
    texts = [row.text for row in trained_fast.rows[:54]]
    names = [row.labels["intent"] for row in trained_fast.rows[:54]]
    swapped = np.array([(CLASSES.index(name) + 1) % 3 for name in names])
    said = ask_teachers(
        [trained_fast.folder], texts, {"intent": CLASSES}, labels={"intent": swapped}
    )
    assert (said["intent"].argmax(axis=1) == swapped).mean() > 0.9


@pytest.mark.parametrize(
    ("classes", "words"),
    [({"topic": CLASSES}, "has no head 'topic'"), ({"intent": ("a", "b")}, "knows none of the 2")],
)
def test_a_teacher_of_something_else_is_refused(
    trained_fast: SimpleNamespace, classes: dict[str, tuple[str, ...]], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        ask_teachers([trained_fast.folder], TEXTS, classes)


def test_a_student_learns_what_its_teacher_says_rather_than_the_labels(
    train: Train, trained_fast: SimpleNamespace, shop_rows: list[LabeledText]
) -> None:
    """The labels given to the student are wrong; it hears the teacher alone."""
    swap = {"order": "refund", "refund": "order", "weather": "weather"}
    wrong = [replace(row, labels={"intent": swap[row.labels["intent"]]}) for row in shop_rows[:54]]
    student = train(
        wrong,
        "accurate",
        epochs=12,
        learning_rate=3e-3,
        settings={"teacher_weight": 1.0, "keep": "last", "head_learning_rate": 0.03},
        extra=Extra(teachers=(trained_fast.folder,)),
    )
    tuned = student.result.settings["tuning"]
    assert tuned["teachers"] == 1
    start, end = tuned["history"][0]["accuracy"], tuned["history"][-1]["accuracy"]
    assert end < start, "it agrees less and less with the wrong labels of the held-out rows"


def test_unlabelled_texts_find_two_teachers_by_themselves(
    train: Train, shop_rows: list[LabeledText]
) -> None:
    texts = tuple(f"well {row.text}" for row in shop_rows[:54])
    student = train(shop_rows[:54], "accurate", extra=Extra(unlabelled=texts))
    tuned = student.result.settings["tuning"]
    assert (tuned["teachers"], tuned["unlabelled"]) == (2, 54)


def test_what_judges_the_student_does_not_speak_through_its_neighbours(
    train: Train, shop_rows: list[LabeledText], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.training import classifier

    heard: dict[str, Any] = {}

    def listen(folders: Any, texts: Any, classes: Any, **options: Any) -> dict[str, np.ndarray]:
        rows = [read_manifest(folder).metrics["intent"]["rows"] for folder in folders]
        heard.update(options, texts=texts, judged=rows)
        return ask_teachers(folders, texts, classes, **options)

    monkeypatch.setattr(classifier, "ask_teachers", listen)
    student = train(shop_rows[:54], "accurate", extra=Extra(unlabelled=("hello",) * 3))
    labels = heard["labels"]["intent"]
    held_out = student.result.held_out["intent"].rows
    assert len(labels) == len(heard["texts"]) == 57
    # The tuned teacher was judged by the same rows; the frozen one never had them at all.
    assert heard["judged"] == [len(held_out), 54 - len(held_out)]
    assert (labels[held_out] == -1).all()
    assert (np.delete(labels[:54], held_out) >= 0).all()
    assert (labels[54:] == -1).all()


def test_the_fast_preset_has_no_use_for_teachers(
    shop_rows: list[LabeledText], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="--preset accurate"):
        train_classifier(shop_rows, ["intent"], folder=tmp_path, extra=Extra(unlabelled=("hello",)))
