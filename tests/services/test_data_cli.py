"""What does `trefoil data` tell of a file, and what does it write?"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.data.readers import read_texts
from core.data.splits import leakage

Run = Callable[..., SimpleNamespace]
COLUMNS = ("id", "text", "intent", "time")
ROWS = [
    ("1", "Where is my order?", "status", "2026-01-01"),
    ("2", "where is my order", "status", "2026-01-05"),
    ("3", "where is my order!", "refund", "2026-01-02"),
    ("4", "money back to anna@example.com, please", "refund", "2026-01-03"),
    ("5", "I never got my refund", "refund", "2026-01-04"),
    ("6", "track the parcel, call 13800138000", "status", "2026-01-06"),
    ("7", "has it shipped yet", "status", "2026-01-07"),
]


@pytest.fixture
def trefoil(trefoil: Run) -> Run:
    """`trefoil data`."""
    return partial(trefoil, "data")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return table(tmp_path / "all.csv", *ROWS)


def table(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("command", ["check", "split", "redact"])
def test_each_command_has_an_example(trefoil: Run, command: str) -> None:
    shown = trefoil(command, "--help")
    assert shown.status == 0
    assert f"Example: trefoil data {command}" in " ".join(shown.out.split())


# --- check ---------------------------------------------------------------------------------------


def test_check_names_repeats_and_conflicts_by_line_and_shows_no_personal_data(
    trefoil: Run, questions: Path
) -> None:
    shown = trefoil("check", "--data", questions)
    assert shown.status == 0, shown.err
    assert "7 rows, 2 classes" in shown.out
    assert "largest class: status, 4 rows (57.1%)" in shown.out
    assert "classes under 5 rows: refund (3), status (4)" in shown.out
    assert "lines 2, 3, 4: 'Where is my order?': refund or status" in shown.out
    assert "personal data: 1 email, 1 phone" in shown.out
    assert "example.com" not in shown.out


def test_check_against_a_test_file_says_which_lines_leak(
    trefoil: Run, questions: Path, tmp_path: Path
) -> None:
    test = table(
        tmp_path / "test.csv",
        ("1", "a new question", "status", ""),
        ("2", "HAS it shipped yet", "status", ""),
    )
    out = tmp_path / "out.json"
    shown = trefoil("check", "--data", questions, "--against", test, "--json", out)
    assert f"rows of {test} that stand in training: 1 of 2 (50.0%)" in shown.out
    assert "line 3 is like line 8 of training (1.00)" in shown.out
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["leakage"]["lines"] == [3]
    assert figures["leakage"]["exact"] == [[8, 3]]
    assert figures["counts"] == {"status": 4, "refund": 3}
    assert figures["personal_data"] == {"email": 1, "phone": 1}
    assert "example.com" not in out.read_text(encoding="utf-8")


def test_a_column_that_is_not_there_is_named(trefoil: Run, questions: Path) -> None:
    shown = trefoil("check", "--data", questions, "--label", "topic")
    assert shown.status == 1
    assert "`topic` missing" in shown.err


# --- split ---------------------------------------------------------------------------------------


def test_split_parts_every_class_but_no_repeats_and_keeps_all_columns(
    trefoil: Run, questions: Path, tmp_path: Path
) -> None:
    train, test = tmp_path / "a.csv", tmp_path / "b.csv"
    shown = trefoil("split", "--data", questions, "--train", train, "--test", test)
    assert shown.status == 0, shown.err
    assert "3 rows are like another: 1 groups, none of them parted" in shown.out
    left, right = read(train), read(test)
    assert left[0] == right[0] == list(COLUMNS)
    assert sorted([*left[1:], *right[1:]]) == sorted(map(list, ROWS))
    assert {row[2] for row in right[1:]} == {"status", "refund"}
    texts = [[row.text for row in read_texts(path)] for path in (train, test)]
    assert not leakage(*texts).leaked


def test_split_by_time_tests_on_the_latest(trefoil: Run, questions: Path, tmp_path: Path) -> None:
    train, test = tmp_path / "a.csv", tmp_path / "b.csv"
    words = ("--data", questions, "--by-time", "time", "--share", "0.4")
    shown = trefoil("split", *words, "--train", train, "--test", test)
    assert shown.status == 0, shown.err
    assert [row[0] for row in read(test)[1:]] == ["6", "7"]
    assert "1 rows after the cut repeat an earlier one" in shown.out


def test_split_by_class_and_by_time_exclude_each_other(
    trefoil: Run, questions: Path, tmp_path: Path
) -> None:
    ways = ("--label", "intent", "--by-time", "time")
    shown = trefoil(
        *("split", "--data", questions, "--train", tmp_path / "a", "--test", tmp_path / "b", *ways)
    )
    assert shown.status == 2
    assert "exclude each other" in shown.err
    same = ("--train", tmp_path / "a.csv", "--test", tmp_path / "a.csv")
    assert trefoil("split", "--data", questions, *same).status == 2


def test_a_bad_time_is_named_by_its_line_and_nothing_is_written(
    trefoil: Run, tmp_path: Path
) -> None:
    data = table(tmp_path / "t.csv", ("1", "a", "x", "2026-01-01"), ("2", "b", "x", "soon"))
    words = ("--by-time", "time", "--train", tmp_path / "a.csv", "--test", tmp_path / "b.csv")
    shown = trefoil("split", "--data", data, *words)
    assert shown.status == 1
    assert "line 3" in shown.err
    assert not (tmp_path / "a.csv").exists()


# --- redact --------------------------------------------------------------------------------------


def test_redact_replaces_and_counts_and_leaves_the_rest(
    trefoil: Run, questions: Path, tmp_path: Path
) -> None:
    output = tmp_path / "clean.csv"
    shown = trefoil("redact", "--data", questions, "--output", output)
    assert shown.status == 0, shown.err
    assert f"{output}: 7 rows, 2 of them redacted" in shown.out
    assert "replaced: 1 email, 1 phone" in shown.out
    rows = read(output)
    assert rows[0] == list(COLUMNS)
    assert rows[4] == ["4", "money back to [email], please", "refund", "2026-01-03"]
    assert rows[6][1] == "track the parcel, call [phone]"
    assert rows[1] == list(ROWS[0])


def test_redact_takes_other_columns_and_other_formats(trefoil: Run, tmp_path: Path) -> None:
    data = tmp_path / "t.jsonl"
    rows: list[dict[str, object]] = [
        {"note": "mail a@example.com", "tags": ["x", "y"], "n": 1},
        {"note": None, "tags": [], "more": "b@example.com"},
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    output = tmp_path / "o.csv"
    shown = trefoil("redact", "--data", data, "--output", output, "--column", "note")
    assert shown.status == 0, shown.err
    assert read(output) == [
        ["note", "tags", "n", "more"],
        ["mail [email]", '["x", "y"]', "1", ""],
        ["", "[]", "", "b@example.com"],
    ]
    shown = trefoil("redact", "--data", data, "--output", output, "--column", "text")
    assert shown.status == 1
    assert "`text` missing" in shown.err
