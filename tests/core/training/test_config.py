"""Is every setting of a fine-tuning checked, and can it be written as text?"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.training.config import ADAPTERS, FineTuneConfig, changed

NUMBERS = [
    field.name
    for field in dataclasses.fields(FineTuneConfig)
    if field.name not in ("tune", "adversarial", "class_weights", "keep")
]
DOCS = Path(__file__).parents[3] / "docs" / "TRAINING.md"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_range_is_refused_by_its_name(name: str) -> None:
    for value in (-1, 10**9):
        with pytest.raises(InvalidInput, match=rf"{name} must be in .*, was: {value}"):
            FineTuneConfig(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_at_all_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        FineTuneConfig(**{name: float("nan")})


@pytest.mark.parametrize("name", ["warmup", "dropout", "label_smoothing"])
def test_a_share_of_one_would_leave_nothing(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        FineTuneConfig(**{name: 1.0})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "3e-5", 3e-5),
        ("learning_rate", "none", None),
        ("learning_rate", None, None),
        ("max_minutes", "2", 2.0),
        ("dropout", "0.2", 0.2),
        ("epochs", "7", 7),
        ("epochs", 7, 7),
        ("class_weights", "true", True),
        ("class_weights", "No", False),
        ("class_weights", True, True),
        ("tune", "lora", "lora"),
        ("adversarial", "pgd", "pgd"),
        ("keep", "last", "last"),
    ],
)
def test_a_setting_may_be_text(name: str, text: Any, value: Any) -> None:
    found = getattr(changed(FineTuneConfig(), {name: text}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("tune", "half", "one of head, top, all"),
        ("tune", ["lora"], "one of head, top, all"),
        ("epochs", "many", "a whole number, was: many"),
        ("epochs", "2.5", "a whole number"),
        ("epochs", 2.5, "a whole number"),
        ("epochs", True, "a whole number"),
        ("top_layers", "none", "a whole number"),
        ("label_smoothing", "a bit", "a number, was: a bit"),
        ("class_weights", "maybe", "true or false, was: maybe"),
        ("label_smoothing", "1.5", r"label_smoothing must be in \[0, 1\]"),
    ],
)
def test_a_value_that_it_cannot_have_is_refused(name: str, text: Any, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        changed(FineTuneConfig(), {name: text})


def test_a_name_that_is_no_setting_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput, match="'learningrate' is no setting") as refused:
        changed(FineTuneConfig(), {"learningrate": 1})
    assert "learning_rate" in str(refused.value)


@given(
    st.builds(
        FineTuneConfig,
        tune=st.sampled_from(["head", "top", "all", *ADAPTERS]),
        epochs=st.integers(0, 100),
        learning_rate=st.none() | st.floats(0, 1),
        class_weights=st.booleans(),
        dropout=st.none() | st.floats(0, 0.9),
    )
)
def test_a_configuration_survives_being_written_as_text(config: FineTuneConfig) -> None:
    said = {name: str(value) for name, value in dataclasses.asdict(config).items()}
    assert changed(FineTuneConfig(), said) == config


def test_what_is_not_named_stays() -> None:
    before = FineTuneConfig(epochs=3, tune="top")
    assert changed(before, {"epochs": 4}) == FineTuneConfig(epochs=4, tune="top")
    assert before.epochs == 3


@pytest.mark.parametrize(("tune", "rate"), [("all", 1e-4), ("lora", 1e-3), ("prompt", 1e-3)])
def test_the_rate_fits_the_way_of_tuning_unless_it_is_given(tune: Any, rate: float) -> None:
    assert FineTuneConfig(tune=tune).rate == rate
    assert FineTuneConfig(tune=tune, learning_rate=0.5).rate == 0.5


def test_every_setting_is_documented_with_its_default() -> None:
    page = DOCS.read_text(encoding="utf-8")
    lines = page.split("## Settings")[1].split("\n## ")[0].splitlines()
    cells = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if line.startswith("| `")]
    said = {cell[0].strip("`"): cell[1].strip("`") for cell in cells if len(cell) == 4}
    assert said.keys() == dataclasses.asdict(FineTuneConfig()).keys()
    assert changed(FineTuneConfig(epochs=99), said) == FineTuneConfig()


def test_many_rows_get_fewer_epochs_unless_a_number_is_given() -> None:
    assert [FineTuneConfig().passes(n) for n in (0, 3_000, 5_400, 9_000, 90_000)] == [8, 8, 5, 3, 3]
    assert FineTuneConfig(epochs=7).passes(50_000) == 7
