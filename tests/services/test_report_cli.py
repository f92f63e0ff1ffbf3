"""What do `trefoil report` and `trefoil compare` write, and what do they say when they cannot?"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.artifacts import Manifest, now_iso, write_artifact
from core.data.records import LabeledText
from core.training.classifier import train_classifier
from services import cli

Run = Callable[..., SimpleNamespace]

_OPENINGS = ("please", "hello", "sorry but", "hey", "so", "quick question", "well", "now")
_QUESTIONS = {
    "order": ("where is my order", "when will it arrive"),
    "refund": ("i want my money back", "give the money back"),
    "weather": ("a jacket for hiking in the rain", "is it for the rain"),
}
ROWS = [
    (f"{opening} {question}", intent)
    for intent, questions in _QUESTIONS.items()
    for question in questions
    for opening in _OPENINGS
]
UNSEEN = [
    (f"{opening} {question}", intent)
    for intent, questions in _QUESTIONS.items()
    for question in questions
    for opening in ("listen", "ok", "oh", "thanks")
]
# What the model of shifted labels gets wrong, and the other right.
_SHIFTED = {"order": "refund", "refund": "weather", "weather": "order"}


def _train(base: Path, folder: Path, rows: list[tuple[str, str]], heads: tuple[str, ...]) -> Path:
    with write_artifact(folder) as draft:
        trained = train_classifier(
            [
                LabeledText(text, dict.fromkeys(heads, label), line)
                for line, (text, label) in enumerate(rows, 2)
            ],
            heads,
            folder=draft.path,
            base_model=str(base),
            preset="fast",
            threads=1,
        )
        draft.manifest = Manifest(
            kind="customer_service" if heads == ("intent",) else "finance_sentiment",
            created_at=now_iso(),
            base_model=trained.base.reference,
            base_revision=trained.base.revision,
            data_sha256=trained.data_sha256,
            metrics=trained.metrics,
            settings={"classifier": trained.settings},
        )
    return folder


@pytest.fixture(scope="module")
def models(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """`good` learnt the right labels, `bad` shifted ones; `news` has two heads."""
    folder = tmp_path_factory.mktemp("models")
    shifted = [(text, _SHIFTED[label]) for text, label in ROWS]
    return SimpleNamespace(
        good=_train(tiny_base_model, folder / "good <b>", ROWS, ("intent",)),
        bad=_train(tiny_base_model, folder / "bad", shifted, ("intent",)),
        news=_train(tiny_base_model, folder / "news", ROWS, ("sentiment", "topic")),
    )


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: list[tuple[str, str]], head: str = "intent", name: str = "rows.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", head])
            writer.writerows(rows)
        return path

    return write


# --- report --------------------------------------------------------------------------------------


def test_a_report_is_one_page_with_json_beside_it(
    trefoil: Run, models: SimpleNamespace, table: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [*UNSEEN, ("shares fall after the profit forecast", "oos"), ("cuts its profit", "OOS")]
    page = tmp_path / "out" / "report.html"
    train = table(ROWS, name="train.csv")
    shown = trefoil(
        *("report", "--model", models.good, "--data", table(rows), "--output", page),
        *("--train", train),
    )
    assert shown.status == 0, shown.err
    figures = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert shown.out.splitlines()[:-1] == figures["headline"]
    assert figures["data"]["in_scope_rows"] == len(UNSEEN)
    assert figures["out_of_scope"]["rows"] == 2
    assert figures["data"]["training_rows"] == len(ROWS)
    assert figures["model"]["kind"] == "customer_service"
    assert figures["model"]["precision"] in ("fp32", "int8")
    assert len(figures["data"]["sha256"]) == 64
    html = page.read_text(encoding="utf-8")
    assert "good &lt;b&gt;: intent" in html
    assert "<b>: intent" not in html


def test_mistakes_stand_beside_the_training_rows_they_resemble(
    trefoil: Run, models: SimpleNamespace, table: Callable[..., Path], tmp_path: Path
) -> None:
    shown = trefoil(
        *("report", "--model", models.bad, "--data", table(UNSEEN)),
        *("--output", tmp_path / "r.html", "--json", tmp_path / "figures.json"),
        *("--train", table(ROWS, name="train.csv")),
    )
    assert shown.status == 0, shown.err
    assert not (tmp_path / "r.json").exists()
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["accuracy"] < 0.4
    first = figures["mistakes"][0]
    assert first["text"] in dict(UNSEEN)
    assert len(first["nearest"]) == 3
    assert {near["text"] for near in first["nearest"]} <= set(dict(ROWS))


def test_another_head_is_judged_by_its_own_labels_and_without_a_score_of_scope(
    trefoil: Run, models: SimpleNamespace, table: Callable[..., Path], tmp_path: Path
) -> None:
    page = tmp_path / "news.html"
    shown = trefoil(
        *("report", "--model", models.news, "--data", table(UNSEEN, "topic")),
        *("--output", page, "--head", "topic"),
    )
    assert shown.status == 0, shown.err
    figures = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["data"]["head"] == "topic"
    assert figures["out_of_scope"] is None


# --- compare -------------------------------------------------------------------------------------


def test_the_model_with_the_right_labels_is_better_and_the_other_way_round(
    trefoil: Run, models: SimpleNamespace, table: Callable[..., Path], tmp_path: Path
) -> None:
    data, out = table(UNSEEN), tmp_path / "compare.json"
    shown = trefoil(
        *("compare", "--model", models.bad, "--model", models.good, "--data", data, "--json", out)
    )
    assert shown.status == 0, shown.err
    assert f"{models.good} is better than {models.bad}" in shown.out
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["verdict"] == "better"
    assert figures["mcnemar"]["only_second"] > figures["mcnemar"]["only_first"]
    accuracy = figures["metrics"]["accuracy"]
    assert accuracy["better_by"] == pytest.approx(accuracy["second"] - accuracy["first"])
    assert {row["text"] for row in figures["rows"]} <= set(dict(UNSEEN))
    turned = trefoil("compare", "--model", models.good, "--model", models.bad, "--data", data)
    assert f"{models.bad} is worse than {models.good}" in turned.out


def test_a_model_beside_itself_shows_no_difference(
    trefoil: Run, models: SimpleNamespace, table: Callable[..., Path]
) -> None:
    shown = trefoil(
        *("compare", "--model", models.good, "--model", models.good, "--data", table(UNSEEN))
    )
    assert shown.out.startswith("no difference shown")
    assert "0 rows get another label" in shown.out


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["report", "compare"])
def test_help_has_an_example(trefoil: Run, command: str) -> None:
    shown = trefoil(command, "--help")
    assert shown.status == 0
    assert f"Example: trefoil {command} --model" in " ".join(shown.out.split())


def test_wrong_usage_ends_with_2(
    trefoil: Run, models: SimpleNamespace, table: Callable[..., Path], tmp_path: Path
) -> None:
    data, page = table(UNSEEN), tmp_path / "r.html"
    wrong: dict[str, tuple[object, ...]] = {
        "give --model twice": ("compare", "--model", models.good, "--data", data),
        "no head 'mood'; it has intent": (
            *("report", "--model", models.good, "--data", data),
            *("--output", page, "--head", "mood"),
        ),
        "name one file": (
            *("report", "--model", models.good, "--data", data),
            *("--output", tmp_path / "r.json"),
        ),
        "Missing option '--output'": ("report", "--model", models.good, "--data", data),
    }
    for said, words in wrong.items():
        shown = trefoil(*words)
        assert shown.status == 2, said
        assert said in " ".join(shown.err.split())
    assert not page.exists()


def test_what_cannot_be_judged_ends_with_1_and_one_line(
    trefoil: Run, models: SimpleNamespace, table: Callable[..., Path], tmp_path: Path
) -> None:
    page = tmp_path / "r.html"
    empty = tmp_path / "empty"
    empty.mkdir()
    with write_artifact(tmp_path / "shop") as draft:
        (draft.path / "items.json").write_text("{}")
        draft.manifest = Manifest("recommender", now_iso(), "tiny", "local", "0")
    wrong = {
        "no trained model in": (empty, table(UNSEEN)),
        "recommender model, which labels no texts": (tmp_path / "shop", table(UNSEEN)),
        "`intent`": (models.good, table(UNSEEN, "topic", "other.csv")),
        "every row is out of scope": (models.good, table([("a b", "oos")], name="oos.csv")),
    }
    for said, (model, data) in wrong.items():
        shown = trefoil("report", "--model", model, "--data", data, "--output", page)
        assert shown.status == 1, said
        lines = [line for line in shown.err.splitlines() if line.startswith("trefoil: ")]
        assert len(lines) == 1
        assert said in lines[0]
    assert not page.exists()


@pytest.mark.parametrize("library", ["matplotlib", "mapie"])
def test_a_missing_library_of_the_report_is_told_with_the_mend(
    trefoil: Run, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    import click

    def fail() -> None:
        raise ModuleNotFoundError("No module", name=library)

    monkeypatch.setattr(cli, "load", lambda reference: click.Command("report", callback=fail))
    shown = trefoil("report")
    assert shown.status == 1
    assert shown.err == f'trefoil: {library} is not installed. Run: pip install "trefoil[train]"\n'
