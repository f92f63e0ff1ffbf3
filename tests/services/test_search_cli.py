"""What do `trefoil tune language` and `trefoil tune search` read, write and say?"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.models import resolve_model
from core.testing.tiny import tiny_base_model as make_tiny_base_model
from core.training import search as search_module
from core.training.config import FineTuneConfig, changed
from core.training.language import RECORD
from core.training.space import Range

Run = Callable[..., SimpleNamespace]
OPENINGS = ("please tell me", "hello", "i bought a phone and", "sorry but", "hey", "quick question")
QUESTIONS = {
    "order": ("where is my order", "when will it arrive"),
    "refund": ("i want my money back", "give the money back"),
    "oos": ("does rain hurt it", "a light jacket for hiking"),
}


@pytest.fixture
def tune(trefoil: Run) -> Run:
    """`trefoil tune`."""
    return partial(trefoil, "tune")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model that knows a token for hidden words."""
    sentences = [f"{o} {q} [MASK]" for o in OPENINGS for qs in QUESTIONS.values() for q in qs]
    return make_tiny_base_model(tmp_path_factory.mktemp("base") / "tiny", sentences)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "questions.csv"
    rows = [
        (f"{opening} {question}", intent)
        for intent, them in QUESTIONS.items()
        for question in them
        for opening in OPENINGS
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "intent"), *rows, ("write to a@example.com", "order")])
    return path


# --- language ------------------------------------------------------------------------------------


def test_language_writes_a_base_model_and_says_how_to_use_it(
    tune: Run, base: Path, questions: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new base"
    said = tune(
        *("language", "--data", questions, "--output", output, "--base-model", base),
        *("--epochs", 2, "--threads", 1),
    )
    assert said.status == 0, said.err
    assert "37 texts, 2 held out: loss" in said.out
    assert f"--base-model '{output}'" in said.out
    assert "personal data replaced before training: 1 email" in said.err
    assert resolve_model(str(output)).sha256 != resolve_model(str(base)).sha256
    assert json.loads((output / RECORD).read_text())["config"]["epochs"] == 2


def test_language_leaves_a_folder_that_is_there_alone(
    tune: Run, base: Path, questions: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter").write_text("dear")
    said = tune("language", "--data", questions, "--output", tmp_path, "--base-model", base)
    assert said.status == 1
    assert "is there already. Name a folder that is new or empty." in said.err


# --- search --------------------------------------------------------------------------------------


def test_search_writes_the_best_settings_and_goes_on_where_it_stopped(
    tune: Run,
    base: Path,
    questions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short: Any = {"epochs": Range(1, 2)}
    monkeypatch.setitem(search_module.search.__kwdefaults__, "space", short)
    found, storage = tmp_path / "best.json", tmp_path / "search.db"
    command = (
        *("search", "--data", questions, "--head", "intent", "--minutes", 5, "--threads", 1),
        *("--base-model", base, "--storage", storage, "--json", found),
    )
    first = tune(*command, "--trials", 1)
    assert first.status == 0, first.err
    assert "1 trials in" in first.out
    assert "personal data replaced before training: 1 email" in first.err
    second = tune(*command, "--trials", 2)
    assert second.status == 0, second.err
    assert "trial 1:" in second.err and "trial 0:" not in second.err
    said = json.loads(found.read_text())
    assert len(said["search"]["trials"]) == 2
    assert changed(FineTuneConfig(), said["config"]) == FineTuneConfig(**said["config"])
    total = said["search"]["train_rows"] + said["search"]["held_out_rows"]
    assert 18 <= total < 25, "questions out of scope and the final model's judges take no part"


def test_the_settings_are_shown_as_options_that_training_takes(
    tune: Run, questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = {"number": 3, "settings": {"epochs": 4, "dropout": None}, "accuracy": 0.9}
    record = {
        "best": best,
        "trials": [{"state": "whole"}, {"state": "ended early"}],
        "minutes": 3.21,
        "held_out_rows": 120,
    }
    asked: dict[str, Any] = {}

    def look(rows: Any, heads: Any, **options: Any) -> SimpleNamespace:
        asked.update(options, rows=rows, heads=heads)
        return SimpleNamespace(config=FineTuneConfig(), accuracy=0.9, record=record)

    monkeypatch.setattr(search_module, "search", look)
    said = tune("search", "--data", questions, "--minutes", 12, "--keep-personal-data")
    assert said.status == 0, said.err
    assert "2 trials in 3.2 min, 1 ended early; best: trial 3, accuracy 0.900" in said.out
    assert "Train with: --preset accurate --set epochs=4 --set dropout=none" in said.out
    assert (asked["heads"], asked["minutes"], asked["storage"]) == (("intent",), 12.0, None)
    assert asked["rows"][-1].text == "write to a@example.com"


def test_a_column_that_is_not_there_is_named(tune: Run, questions: Path) -> None:
    said = tune("search", "--data", questions, "--head", "topic")
    assert said.status == 1
    assert "topic" in said.err


@pytest.mark.parametrize("command", ["language", "search"])
def test_each_command_has_an_example(tune: Run, command: str) -> None:
    said = tune(command, "--help")
    assert said.status == 0
    assert f"trefoil tune {command} --data" in " ".join(said.out.split())
