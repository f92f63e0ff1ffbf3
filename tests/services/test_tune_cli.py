"""Do the `tune` commands go from a file to a model, and say in one line what is wrong?"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.data.tagged import read_tagged

Run = Callable[..., SimpleNamespace]
COMMANDS = ("tokens", "pairs", "rerank", "predict")


@pytest.fixture
def spans(tmp_path: Path) -> Path:
    path = tmp_path / "spans.md"
    lines = [
        f"- {opening} [{thing}](thing) now"
        for opening in ("where is my", "i want a", "return an", "for this")
        for thing in ("phone", "jacket", "item", "order")
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    things = ("order", "money", "phone", "jacket")
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["query", "text", "relevance"])
        for way in ("where is my", "i want the", "return an"):
            for thing in things:
                rows.writerow([f"{way} {thing}", f"{thing} now", 1])
                rows.writerow([f"{way} {thing}", f"{thing} broken", 0])
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(trefoil: Run, command: str) -> None:
    shown = trefoil("tune", command, "--help")
    assert shown.status == 0
    assert f"Example: trefoil tune {command}" in " ".join(shown.out.split())


def test_tokens_are_trained_and_predicted_in_the_form_they_are_read(
    trefoil: Run, tiny_base_model: Path, spans: Path, tmp_path: Path
) -> None:
    model, journal = tmp_path / "model", tmp_path / "journal.jsonl"
    done = trefoil(
        *("tune", "tokens", "--data", spans, "--output", model, "--base-model", tiny_base_model),
        *("--epochs", 12, "--threads", 1, "--journal", journal, "--seed", 1),
        *("--set", "head_learning_rate=0.05", "--set", "batch_size=4", "--set", "dropout=0"),
    )
    assert (done.status, "held-out f1" in done.out) == (0, True), done.err
    assert journal.read_text(encoding="utf-8").startswith("{")
    config = json.loads((model / "manifest.json").read_text())["settings"]["tuning"]["config"]
    assert (config["epochs"], config["batch_size"], config["dropout"]) == (12, 4, 0)

    texts, output = tmp_path / "texts.csv", tmp_path / "out.jsonl"
    texts.write_text("text\ni want a jacket now\nnow\n" + "phone " * 80 + "\n", encoding="utf-8")
    done = trefoil("tune", "predict", "--model", model, "--input", texts, "--output", output)
    assert (done.status, done.out) == (0, f"3 texts → {output}\n")
    first, _, last = read_tagged(output)
    assert [first.text[s.start : s.end] for s in first.spans] == ["jacket"]
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert 0 < lines[0]["entities"][0]["confidence"] <= 1
    assert "note" not in lines[0]
    assert "characters were read" in lines[2]["note"]
    assert last.spans


@pytest.mark.parametrize("command", ["pairs", "rerank"])
def test_pairs_are_trained_and_compared_with_what_was_before(
    trefoil: Run, tiny_base_model: Path, pairs: Path, tmp_path: Path, command: str
) -> None:
    done = trefoil(
        *("tune", command, "--data", pairs, "--output", tmp_path / "model", "--epochs", 1),
        *("--base-model", tiny_base_model, "--threads", 1),
    )
    assert done.status == 0, done.err
    before = {"pairs": "frozen", "rerank": "search"}[command]
    assert f"; {before} " in done.out
    assert "held-out mrr@10" in done.out


def test_checkpoints_can_be_gone_on_from(
    trefoil: Run, tiny_base_model: Path, pairs: Path, tmp_path: Path
) -> None:
    words = (
        *("tune", "pairs", "--data", pairs, "--output", tmp_path / "model", "--epochs", 2),
        *("--objective", "listwise", "--base-model", tiny_base_model, "--threads", 1),
        *("--checkpoints", tmp_path / "checkpoints"),
    )
    assert trefoil(*words, "--set", "max_minutes=0").status == 0
    resumed = trefoil(*words, "--resume")
    assert resumed.status == 0, resumed.err
    assert "going on from" in resumed.err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--set", "epochs"), 2, "NAME=VALUE, was: epochs"),
        (("--resume",), 2, "--resume needs --checkpoints"),
        (("--set", "no_such=1"), 1, "'no_such' is no setting of fine-tuning"),
        (("--set", "tune=prompt"), 1, "tune must be head, top, all, lora or ia3"),
        (("--base-model", "nowhere"), 1, "no base model at 'nowhere'"),
    ],
)
def test_wrong_usage_is_2_and_a_failure_1_with_one_line(
    trefoil: Run, spans: Path, tmp_path: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    done = trefoil("tune", "tokens", "--data", spans, "--output", tmp_path / "model", *words)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_bad_row_is_named_by_its_line(trefoil: Run, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    row = {"text": "ok", "entities": [{"start": 0, "end": 9, "label": "x"}]}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    done = trefoil("tune", "tokens", "--data", path, "--output", tmp_path / "model")
    assert done.status == 1
    assert "spans.jsonl, line 1: expected a span" in done.err


def test_predict_refuses_a_model_of_another_kind(
    trefoil: Run, tiny_base_model: Path, pairs: Path, tmp_path: Path
) -> None:
    model, texts = tmp_path / "model", tmp_path / "texts.csv"
    texts.write_text("text\nhello\n", encoding="utf-8")
    trefoil(
        *("tune", "pairs", "--data", pairs, "--output", model, "--epochs", 0),
        *("--base-model", tiny_base_model, "--threads", 1),
    )
    output = tmp_path / "out.jsonl"
    done = trefoil("tune", "predict", "--model", model, "--input", texts, "--output", output)
    assert done.status == 1
    assert "holds a bi_encoder model, expected token_classifier" in done.err
    assert not output.exists()
