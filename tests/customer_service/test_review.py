"""Conversations become a list, a person decides, and what was accepted becomes a bot."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from core.data.readers import read_intents, read_table
from core.errors import DataError, InvalidInput
from core.inference.encoder import Encoded
from services.customer_service.cli import group
from services.customer_service.clusters import word_vectors
from services.customer_service.importers.answers import read_answers
from services.customer_service.review import COLUMNS, learn, review
from services.customer_service.sheets import guarded, unguarded

Row = dict[str, str]


def by_words(texts: Sequence[str]) -> Encoded:
    """An encoder that knows words alone and reads everything."""
    return Encoded(word_vectors(texts), np.zeros(len(texts), dtype=np.float32))


def conversation(number: int, question: str, answer: str, resolved: bool = True) -> list[Any]:
    about = {"conversation_id": str(number), "time": 86_400 * number, "resolved": resolved}
    return [
        {**about, "role": "customer", "text": question},
        {**about, "role": "agent", "text": answer, "time": 86_400 * number + 60},
    ]


DELIVERY = "It is under My account, a@example.com gets the number."


@pytest.fixture
def conversations(tmp_path: Path) -> Path:
    rows = [
        *conversation(1, "where is my order", "Please wait.", resolved=False),
        *conversation(2, "where is my order LY-204518", DELIVERY),
        *conversation(3, "Where is my order?", DELIVERY),
        *conversation(4, "=how do I return a lamp", "Within 30 days."),
        *conversation(5, "how do I return a lamp", "Within 30 days."),
        *conversation(6, "do you sell bicycles", "No."),
    ]
    path = tmp_path / "conversations.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def listed(conversations: Path, tmp_path: Path) -> Path:
    learn(conversations, tmp_path / "review.csv", encode=by_words)
    return tmp_path / "review.csv"


def rows_of(path: Path) -> list[Row]:
    return [{name: unguarded(value) for name, value in row.items()} for row in read_table(path, [])]


def decided(path: Path, *rows: Row) -> Path:
    """A review list with these rows; what they lack is accepted as it stands."""
    defaults = {"cluster": "1", "intent": "status", "question": "q", "answer": "It is on its way."}
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in rows:
            whole = {**defaults, "decision": "accept", **row}
            writer.writerow({name: guarded(value) for name, value in whole.items()})
    return path


# --- learn ---------------------------------------------------------------------------------------


def test_each_question_is_a_row_with_the_best_answer_of_its_group(listed: Path) -> None:
    rows = rows_of(listed)
    assert list(rows[0]) == list(COLUMNS)
    orders = [row for row in rows if row["cluster"] == "1"]
    assert [row["question"] for row in orders] == [
        "where is my order",
        "where is my order LY-204518",
    ]
    assert {row["intent"] for row in orders} == {"order"}
    assert {row["answer"] for row in orders} == {"It is under My account, [email] gets the number."}
    assert orders[0]["count"] == "3"
    assert (orders[0]["resolved_share"], orders[0]["agreement"]) == ("1.00", "0.67")
    assert orders[0]["decision"] == ""
    assert orders[0]["note"] == "holds [email]"


def test_what_is_asked_once_is_left_out_and_counted(conversations: Path, tmp_path: Path) -> None:
    lines = learn(conversations, tmp_path / "review.csv", encode=by_words)
    assert lines[0].startswith("6 conversations, 12 messages: 6 answered questions")
    assert lines[1] == "personal data replaced: 2 email"
    assert "left out: 1 questions that came less often (see --min-count)" in lines
    learn(conversations, tmp_path / "all.csv", encode=by_words, min_count=1)
    assert "do you sell bicycles" in {row["question"] for row in rows_of(tmp_path / "all.csv")}


def test_a_question_that_begins_like_a_formula_is_harmless_and_comes_back(listed: Path) -> None:
    assert "'=how do I return a lamp" in listed.read_text(encoding="utf-8")
    assert "=how do I return a lamp" in {row["question"] for row in rows_of(listed)}


def test_the_same_file_gives_the_same_list(conversations: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        learn(conversations, tmp_path / name, encode=by_words)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_an_answer_is_in_the_language_of_its_question(tmp_path: Path) -> None:
    rows = [
        *conversation(1, "refund", "Three days."),
        *conversation(2, "refund 退款", "Three days."),
        *conversation(3, "退款多久 refund", "三天。"),
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")

    def alike(texts: Sequence[str]) -> Encoded:
        return Encoded(np.ones((len(texts), 1), np.float32), np.zeros(len(texts), np.float32))

    learn(path, tmp_path / "review.csv", encode=alike)
    answers = {row["question"]: row["answer"] for row in rows_of(tmp_path / "review.csv")}
    assert answers["refund"] == "Three days."
    assert answers["退款多久 refund"] == "三天。"


def test_conversations_without_an_answer_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("conversation_id,role,text\n1,user,where is it?\n", encoding="utf-8")
    with pytest.raises(DataError, match="no question that an agent answered"):
        learn(path, tmp_path / "review.csv", encode=by_words)
    assert not (tmp_path / "review.csv").exists()


def test_a_list_has_to_be_a_csv(conversations: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\.csv"):
        learn(conversations, tmp_path / "review.xlsx", encode=by_words)


# --- review --------------------------------------------------------------------------------------


def test_accepted_rows_become_training_data_and_answers(tmp_path: Path) -> None:
    path = decided(
        tmp_path / "review.csv",
        {"question": "-where is it", "intent": "status"},
        {"question": "我的订单呢", "intent": "status", "answer": "在路上。", "cluster": "2"},
        {"question": "return it", "intent": "returns", "answer": "=30 days {order_number}."},
        {"question": "write a poem", "intent": "OOS", "answer": ""},
        {"question": "undecided", "decision": ""},
        {"question": "no", "decision": "Reject"},
    )
    lines = review(path, tmp_path / "out")
    learnt = [(row.text, row.labels["intent"]) for row in read_intents(tmp_path / "out/train.csv")]
    assert learnt == [
        ("-where is it", "status"), ("我的订单呢", "status"), ("return it", "returns"),
        ("write a poem", "oos"),
    ]  # fmt: skip
    text = (tmp_path / "out/intents.yaml").read_text(encoding="utf-8")
    (tmp_path / "with.yaml").write_text("slots: {order_number: {pattern: 'LY'}}\n" + text)
    read = read_answers(tmp_path / "with.yaml")
    assert read.left_out == []
    status, returns = read.intents
    assert status.answers == {"en": ("It is on its way.",), "zh": ("在路上。",)}
    assert status.description == {"en": "-where is it", "zh": "我的订单呢"}
    assert returns.answers == {"en": ("=30 days {order_number}.",)}
    assert lines[0].startswith("4 questions of 3 intents →")
    assert "decided: 4 accept, 0 edit, 1 reject; 1 undecided, left out" in lines
    assert "note: define the slots of the answers: order_number" in lines
    assert lines[-3].startswith("next: trefoil customer-service train --data")
    assert lines[-1].startswith("next: trefoil customer-service import --answers")


def test_an_edited_answer_takes_the_place_of_the_suggested_one(tmp_path: Path) -> None:
    path = decided(
        tmp_path / "review.csv",
        {"question": "a"},
        {"question": "b", "answer": "Look under My account.", "decision": "edit"},
        {"question": "c, in other words", "decision": "edit"},
        {"question": "d", "answer": "在路上。"},
        {"question": "e", "intent": "other", "answer": "Else.", "cluster": "2"},
    )
    review(path, tmp_path / "out")
    read = read_answers(tmp_path / "out/intents.yaml")
    assert read.intents[0].answers == {"en": ("Look under My account.",), "zh": ("在路上。",)}


def test_groups_that_are_given_one_name_do_not_say_the_same_twice(tmp_path: Path) -> None:
    path = decided(
        tmp_path / "review.csv",
        {"question": "order LY-204518?", "answer": "Every order is listed under My account."},
        {"question": "b", "answer": "Every order is listed under My account!", "cluster": "2"},
        {"question": "c", "answer": "Ask the carrier.", "cluster": "3"},
    )
    review(path, tmp_path / "out")
    (intent,) = read_answers(tmp_path / "out/intents.yaml").intents
    assert intent.answers == {"en": ("Every order is listed under My account.", "Ask the carrier.")}
    # A button is for everybody's order.
    assert intent.description == {"en": "b"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"decision": "acept"}, "line 4: decision: expected accept, edit or reject, found 'acept'"),
        ({"question": " "}, "line 4: the question is empty"),
        ({"intent": ""}, "line 4: the intent is empty"),
        ({"question": "A?", "intent": "b"}, "line 4: the question of line 2 under another intent"),
        (
            {"question": "c", "answer": "Write to [email]."},
            "line 4: its answer, which holds [email]",
        ),
        ({"question": "c", "intent": "x" * 101}, "line 4: the answers: intent"),
    ],
)
def test_what_is_left_out_is_told_with_its_line(tmp_path: Path, row: Row, reason: str) -> None:
    path = decided(
        tmp_path / "review.csv",
        {"question": "a", "intent": "a"},
        {"question": "b", "intent": "b", "cluster": "2"},
        {"cluster": "3", **row},
    )
    lines = review(path, tmp_path / "out")
    assert [line for line in lines if line.startswith(f"left out: {reason}")]


def test_personal_data_that_a_person_typed_in_is_replaced_in_questions(tmp_path: Path) -> None:
    path = decided(
        tmp_path / "review.csv",
        {"question": "I am a@example.com", "answer": "Write to shop@example.com."},
    )
    review(path, tmp_path / "out")
    assert "[email]" in (tmp_path / "out/train.csv").read_text(encoding="utf-8")
    # The company's own address was put there on purpose.
    assert "shop@example.com" in (tmp_path / "out/intents.yaml").read_text(encoding="utf-8")


def test_a_list_without_a_decision_is_an_error_that_says_what_to_write(listed: Path) -> None:
    with pytest.raises(DataError, match="no row is accepted, 4 are undecided") as caught:
        review(listed, listed.parent / "out")
    assert "accept, edit or reject" in str(caught.value)
    assert not (listed.parent / "out").exists()


# --- commands ------------------------------------------------------------------------------------


def test_the_commands_lead_from_conversations_to_a_model_that_trains(
    tmp_path: Path, conversations: Path, base_model: Path
) -> None:
    def run(*arguments: object) -> str:
        result = CliRunner().invoke(group, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result.output

    listed, out = tmp_path / "review.csv", tmp_path / "out"
    said = run(
        "learn", "--conversations", conversations, "--output", listed, "--min-count", 1,
        "--base-model", base_model,
    )  # fmt: skip
    assert "next: write accept, edit or reject into the column decision, then: trefoil" in said
    rows = rows_of(listed)
    decided(listed, *({**row, "decision": "accept", "answer": "Thank you."} for row in rows))
    assert "next: trefoil customer-service train --data" in run(
        "review", "--list", listed, "--output", out
    )
    assert len(read_intents(out / "train.csv")) == len(rows)
    assert read_answers(out / "intents.yaml").left_out == []


@pytest.mark.parametrize("command", ["learn", "review", "gaps"])
def test_each_command_shows_an_example(command: str) -> None:
    result = CliRunner().invoke(group, [command, "--help"])
    assert f"Example: trefoil customer-service {command}" in " ".join(result.output.split())
