"""Does the report say what is so, leave out what it does not know, and let nothing run?"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.calibration import softmax
from core.evaluation.judged import METRICS, Coded, Judged
from core.evaluation.mistakes import Examples
from core.evaluation.report import build_report, render

MODEL = {"version": "abc123", "created_at": "2026-03-01T12:00:00+00:00", "libraries": {"n": "2"}}
CLASSES = ("order", "refund", "退款")


def judged(rows: int = 90, oos: int = 0, seed: int = 0) -> Judged:
    """A model right on most rows; out-of-scope rows score low."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(rows) % 3
    logits = rng.normal(size=(rows + oos, 3))
    logits[np.arange(rows), numbers] += 2.5
    embeddings = rng.normal(size=(rows + oos, 4)) + np.pad(
        np.eye(3)[numbers] * 4, ((0, oos), (0, 1))
    )
    return Judged(
        texts=[f"text {i}" for i in range(rows + oos)],
        truth=[*(CLASSES[i] for i in numbers), *(["oos"] * oos)],
        classes=CLASSES,
        probabilities=softmax(logits),
        in_scope=np.concatenate([rng.normal(2, 1, rows), rng.normal(0, 1, oos)]),
        embeddings=embeddings,
        logits=logits,
    )


def training(rows: int = 30) -> Examples:
    numbers = np.arange(rows) % 3
    return Examples(
        [f"known {i}" for i in range(rows)],
        [CLASSES[i] for i in numbers],
        np.pad(np.eye(3)[numbers], ((0, 0), (0, 1))).astype(np.float32)
        + np.random.default_rng(1).normal(size=(rows, 4)).astype(np.float32) / 9,
    )


def report(given: Judged, examples: Examples | None = None, **data: object):
    return build_report(
        given, model=MODEL, data={"file": "t.csv", **data}, training=examples, resamples=30
    )


class Tags(HTMLParser):
    """Names of all tags, and every attribute that could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loads: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


# --- the figures ---------------------------------------------------------------------------------


def test_every_figure_has_its_interval_and_all_is_ready_for_json() -> None:
    figures = report(judged(oos=20), training()).figures
    json.dumps(figures, allow_nan=False)
    for name in METRICS:
        low, high = figures[f"{name}_ci"]
        assert low <= high
        assert low - 0.05 <= figures[name] <= high + 0.05


def test_out_of_scope_rows_count_in_no_figure_of_the_classes() -> None:
    given = judged(oos=25)
    beside, alone = report(given).figures, report(given.take(given.inside)).figures
    for name in (*METRICS, "conformal", "classes", "confusions", "mistakes"):
        assert beside[name] == alone[name], name
    assert "oos" not in beside["data"]["class_rows"]
    assert beside["risk_coverage"]["area"] > alone["risk_coverage"]["area"]


def test_the_same_seed_gives_the_same_report() -> None:
    given = judged(30)
    one, other = report(given), report(given)
    assert one.figures == other.figures
    assert render(one, "title") == render(other, "title")


def test_sections_without_data_are_empty_and_left_out_of_the_page() -> None:
    made = report(judged(12))
    assert made.figures["out_of_scope"] is None
    assert made.figures["conformal"] == []
    page = render(made, "title")
    assert "not taught" not in page
    assert "hold the true label" not in page
    full = render(report(judged(oos=20), training()), "title")
    assert "not taught" in full
    assert "hold the true label" in full


def test_out_of_scope_scores_are_told_beside_the_served_one() -> None:
    found = report(judged(oos=40), training()).figures["out_of_scope"]
    assert set(found["scores"]) == {"served", "logit", "energy", "neighbour", "mahalanobis"}
    assert found["scores"]["served"]["auroc"] == found["auroc"]
    assert found["auroc_ci"][0] < found["auroc"] < found["auroc_ci"][1]
    assert report(judged(oos=40)).figures["out_of_scope"]["scores"] == {}


def test_scores_are_compared_on_readable_rows_alone() -> None:
    given = judged(oos=40)
    odd = given.in_scope.copy()
    odd[-20:] = 99.0  # out of scope, taken for surely in scope
    readable = np.arange(130) < 110
    found = report(replace(given, in_scope=odd, readable=readable), training()).figures
    assert found["out_of_scope"]["scores"]["served"]["auroc"] > found["out_of_scope"]["auroc"] + 0.2
    assert found["data"]["unreadable_texts"] == 20


def test_classes_stand_worst_first_with_what_they_are_taken_for() -> None:
    probabilities = np.eye(3)[[0, 0, 1, 0, 2, 2]] * 0.97 + 0.01
    given = Judged(list("abcdef"), [*["order"] * 2, *["refund"] * 2, *["退款"] * 2], CLASSES,
                   probabilities)  # fmt: skip
    made = report(given, training(6))
    assert [c["label"] for c in made.figures["classes"]] == ["refund", "order", "退款"]
    assert made.figures["classes"][0]["taken_for"] == "order"
    assert made.figures["classes"][0]["training_rows"] == 2
    assert made.figures["confusions"] == [{"truth": "refund", "predicted": "order", "count": 1}]
    assert made.figures["mistakes"][0]["text"] == "d"
    assert "weakest class is “refund”" in " ".join(made.figures["headline"])


def test_a_label_that_the_model_does_not_know_is_a_mistake_and_is_named() -> None:
    given = judged()
    given = replace(given, truth=["weather", *given.truth[1:]])
    figures = report(given).figures
    assert figures["data"]["unknown_labels"] == ["weather"]
    assert figures["classes"][0]["label"] == "weather"
    assert np.isfinite(figures["brier"])


def test_texts_that_stand_in_training_are_warned_of() -> None:
    given = judged()
    examples = training()
    leaked = replace(given, texts=["Known 3!", *given.texts[1:]])
    figures = report(leaked, examples).figures
    assert figures["data"]["texts_seen_in_training"] == 1
    assert "1 of the texts stand in training" in figures["headline"][-1]


def test_the_surest_rows_that_may_be_answered_are_counted() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    given = Judged(list("abcd"), ["x", "x", "y", "y"], ("x", "y"), probabilities)
    assert report(given).figures["risk_coverage"]["coverage_at_5pct_wrong"] == 0.5


def test_rows_that_are_all_out_of_scope_are_refused() -> None:
    given = judged(oos=3)
    with pytest.raises(InvalidInput, match="every row is out of scope"):
        report(given.take(~given.inside))


def test_probabilities_of_another_shape_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"shape \(1, 2\)"):
        Judged(["a"], ["x"], ("x", "y"), np.ones((1, 3)))


def test_metrics_of_drawn_rows_are_those_of_the_rows() -> None:
    coded = Coded(judged())
    right = coded.truth == coded.best
    rows = np.array([0, 0, 5, 7])
    assert coded.metric("accuracy", rows) == right[rows].mean()


# --- the page ------------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_outside_and_runs_nothing() -> None:
    page = render(report(judged(oos=20), training()), "a model")
    tags = Tags(page)
    assert "script" not in tags.names
    assert tags.names.count("img") == 5
    assert all(load.startswith("data:image/png;base64,") for load in tags.loads)
    assert not re.search(r"https?://|url\(|@import", page)
    assert not any(name.startswith("on") for name in tags.attributes)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert len(page.encode()) < 2_000_000


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_whatever_comes_from_outside_is_shown_as_text(hostile: str) -> None:
    given = judged(oos=10)
    classes = (hostile, *CLASSES[1:])
    truth = [hostile if label == "order" else label for label in given.truth]
    # every row wrong, so that texts, labels and neighbours are all shown
    probabilities = np.roll(given.probabilities, 1, axis=1)
    texts = [f"{hostile} {i}" for i in range(100)]
    given = replace(given, classes=classes, truth=truth, probabilities=probabilities, texts=texts)
    examples = training()
    examples = Examples([hostile] * 30, [hostile, "a", "b"] * 10, examples.embeddings)
    made = build_report(
        given,
        model=MODEL | {"folder": f"/x/{hostile}", "base_model": hostile, hostile: hostile},
        data={"file": hostile},
        training=examples,
        resamples=5,
    )
    tags = Tags(render(made, hostile))
    assert "script" not in tags.names
    assert tags.names.count("img") == 5
    assert "onerror" not in tags.attributes
    assert any(hostile in word for word in tags.words)


def test_two_hundred_classes_and_long_texts_stay_under_two_megabytes() -> None:
    rng = np.random.default_rng(0)
    classes = [f"class {i}" for i in range(200)]
    logits = rng.normal(size=(800, 200))
    given = Judged(
        ["long " * 500] * 800, [classes[i % 200] for i in range(800)], classes, softmax(logits)
    )
    page = render(build_report(given, model=MODEL, data={}, resamples=3), "big")
    assert len(page.encode()) < 2_000_000
