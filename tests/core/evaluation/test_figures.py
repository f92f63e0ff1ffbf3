"""Is every chart a picture with its numbers, for few and many classes and any label?"""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput
from core.evaluation.figures import (
    MOST_SHOWN,
    Chart,
    class_f1_chart,
    confidence_chart,
    confusion_chart,
    drawable,
    reliability_chart,
    risk_coverage_chart,
)


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def size(chart: Chart) -> tuple[int, int]:
    """Width and height of the picture in pixels; the numbers must be ready for JSON."""
    json.dumps(chart.data, allow_nan=False)
    with Image.open(io.BytesIO(chart.png)) as image:
        image.load()
        assert len(set(image.convert("L").tobytes())) > 3, "an empty picture"
        return image.size


def labelled(classes: int, rows: int = 400) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(classes)
    truth = rng.integers(classes, size=rows)
    guess = np.where(rng.random(rows) < 0.8, truth, rng.integers(classes, size=rows))
    return [f"class {i:03}" for i in truth], [f"class {i:03}" for i in guess]


@pytest.mark.parametrize("classes", [1, 2, 25, 200])
def test_class_charts_fit_few_and_many_classes(classes: int) -> None:
    truth, guess = labelled(classes)
    for draw in (confusion_chart, class_f1_chart):
        width, height = size(draw(truth, guess))
        assert 200 < width < 1200
        assert 150 < height < 1300


def test_a_big_matrix_shows_the_most_confused_classes_and_tells_all() -> None:
    truth = [f"{i:03}" for i in range(200)] * 2
    guess = list(truth)
    guess[7], guess[150] = "011", "007"
    chart = confusion_chart(truth, guess)
    assert len(chart.data["shown"]) == MOST_SHOWN
    assert {"007", "011", "150"} <= set(chart.data["shown"])
    assert chart.data["shown"] == sorted(chart.data["shown"])
    assert np.array(chart.data["counts"]).sum() == 400
    assert chart.data["counts"][7][11] == 1
    assert "25 of 200 classes; 2 rows are wrong" in chart.alt


def test_bars_stand_worst_first() -> None:
    chart = class_f1_chart(["a", "a", "b", "b", "c"], ["a", "a", "b", "a", "b"])
    assert chart.data["labels"] == ["c", "b", "a"]
    assert chart.data["f1"] == pytest.approx([0, 0.5, 0.8])
    assert chart.data["support"] == [1, 2, 2]


@pytest.mark.parametrize(
    "label",
    [
        "退款",
        "$\\frac{",
        "<script>alert(1)</script>",
        "a\nb\tc",
        "x" * 500,
        "😀 émoji",
        "_",
        "\u0000",
    ],
)
def test_any_label_is_drawn_as_plain_text_or_as_its_number(label: str) -> None:
    truth, guess = [label, label, "other"], [label, "other", "other"]
    assert size(confusion_chart(truth, guess))
    assert size(class_f1_chart(truth, guess))
    assert all(len(drawn) <= 26 for drawn in drawable([label]))


def test_a_label_without_a_glyph_gets_its_number_and_the_data_name_it() -> None:
    nowhere = "\U0010fffd"  # a private letter that no font has
    chart = confusion_chart(["plain", nowhere], ["plain", "plain"])
    assert drawable(["plain", nowhere]) == ["plain", "no. 2"]
    assert chart.data["numbered"] == {"no. 2": nowhere}


def test_the_histogram_parts_right_from_wrong() -> None:
    chart = confidence_chart([0.05, 0.95, 0.97, 1.0], [False, True, False, True], bins=10)
    assert size(chart)
    assert chart.data["wrong"] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert chart.data["right"] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 2]


def test_reliability_bins_hold_equal_numbers_of_rows_and_say_how_sure_they_are() -> None:
    rng = np.random.default_rng(0)
    sure = rng.random(300)
    chart = reliability_chart(sure, rng.random(300) < sure * 0.6)
    assert size(chart)
    assert [point["rows"] for point in chart.data["bins"]] == [20] * 15
    for point in chart.data["bins"]:
        low, high = point["accuracy_ci"]
        assert low <= point["accuracy"] <= high
    assert "surer than it should be" in chart.alt


def test_one_row_is_enough_for_every_chart() -> None:
    for draw in (confidence_chart, reliability_chart, risk_coverage_chart):
        assert size(draw([0.5], [True]))


def test_the_risk_curve_is_thinned_but_keeps_its_ends_and_area() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(5000)
    right = rng.random(5000) < scores
    chart = risk_coverage_chart(scores, right)
    assert size(chart)
    assert len(chart.data["coverage"]) == 200
    assert chart.data["coverage"][-1] == 1
    assert chart.data["risk"][-1] == pytest.approx(1 - right.mean())
    assert 0 < chart.data["area"] < chart.data["risk"][-1]


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert confusion_chart(*labelled(5)).png == confusion_chart(*labelled(5)).png


def test_drawing_touches_nothing_global(run_python) -> None:
    code = """
import sys
from core.evaluation.figures import class_f1_chart
assert "matplotlib" not in sys.modules
import matplotlib
before = matplotlib.rcParams.copy()
class_f1_chart(["a", "b"], ["a", "a"])
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams.copy() == before)
"""
    assert run_python(code) == "False True"


@pytest.mark.parametrize("sure", [[1.5], [float("nan")], [-0.1], [0.5, 0.5], []])
def test_what_is_no_confidence_is_refused(sure: list[float]) -> None:
    with pytest.raises(InvalidInput):
        confidence_chart(sure, [True])
