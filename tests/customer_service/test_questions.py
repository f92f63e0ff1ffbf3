"""A table of questions with their answers becomes intents, whose names stay the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from services.customer_service.answers_reading import parse_intent, parse_slot
from services.customer_service.importers.questions import ReadQuestions, read_questions, slug_of

SLOTS = {"number": parse_slot("number", {"pattern": r"\d+"})}


def read(folder: Path, content: str, name: str = "faq.csv") -> ReadQuestions:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return read_questions(path, SLOTS)


def test_rows_with_the_same_answer_are_one_intent_named_after_the_first_question(
    tmp_path: Path,
) -> None:
    found = read(
        tmp_path,
        "question,answer\n"
        "How much is shipping?,It is free.\n"
        "Where are you?,In Delft.\n"
        "what does delivery cost,it is FREE\n",
    )
    assert {intent.name: intent.answers for intent in found.intents} == {
        "how_much_is_shipping": {"en": ("It is free.",)},
        "where_are_you": {"en": ("In Delft.",)},
    }
    assert found.intents[0].description == {"en": "How much is shipping?"}
    assert found.training.questions == [
        ("How much is shipping?", "how_much_is_shipping"),
        ("what does delivery cost", "how_much_is_shipping"),
        ("Where are you?", "where_are_you"),
    ]


def test_the_intent_column_names_and_gathers_languages_and_variants(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "question,answer,intent,lang\n"
        "Shipping?,Free.,shipping,\n"
        "Delivery cost?,Nothing at all.,shipping,en-GB\n"
        "运费多少？,免运费。,shipping,\n"
        "Versand?,Kostenlos.,shipping,de\n"
        "What does it cost?,free,,\n",
    )
    assert [intent.name for intent in found.intents] == ["shipping"]
    assert found.intents[0].answers == {
        "en": ("Free.", "Nothing at all."),
        "zh": ("免运费。",),
        "de": ("Kostenlos.",),
    }
    assert len(found.training.questions) == 5


def test_json_lines_do_as_well_and_a_known_slot_may_stand_in_an_answer(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '{"question": "Where is it?", "answer": "{number} left."}\n'
        '{"question": "Who?", "answer": "{name} did."}\n'
        '{"question": "Why?", "answer": 5}\n',
        "faq.jsonl",
    )
    assert [intent.answers for intent in found.intents] == [{"en": ("{number} left.",)}]
    assert [place for place, _ in found.left_out] == ["faq.jsonl, line 3", "faq.jsonl, line 2"]


def test_what_cannot_be_taken_is_told_with_its_line(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "question,answer,intent\n"
        ",Nobody asked.,\n"
        "No answer?,,\n"
        "Open when?,At 9.,\n"
        "open when,At 10.,\n"
        f"{'x' * 2001},Long.,\n"
        "Tell me a joke,,OOS\n"
        "Weather?,Rain.,oos\n",
    )
    assert [intent.name for intent in found.intents] == ["open_when"]
    assert [place for place, _ in found.left_out] == [
        f"faq.csv, line {line}" for line in (2, 3, 5, 6, 8)
    ]
    assert "the same question as in line 4" in found.left_out[2][1]
    assert found.training.questions[:2] == [("Tell me a joke", "oos"), ("Weather?", "oos")]


def test_names_differ_though_their_questions_begin_alike(tmp_path: Path) -> None:
    long = "may I " + "really " * 20
    found = read(
        tmp_path,
        f"question,answer,intent\n{long}one,A.,\n{long}two,B.,\nOos,C.,\n???,D.,\nx,E.,oos_2\n",
    )
    names = [intent.name for intent in found.intents]
    assert len(set(names)) == len(names) == 5
    assert names[1] == f"{names[0]}_2"
    assert names[2] == "oos_3"
    assert names[3].startswith("question_")


@pytest.mark.parametrize(
    ("question", "slug"),
    [
        ("How much?", "how_much"),
        ("退货政策是什么？", "退货政策是什么"),
        ("Ｆｕｌｌ　Ｗｉｄｔｈ", "full_width"),
    ],
)
def test_a_name_is_made_of_the_questions_words_in_any_script(question: str, slug: str) -> None:
    assert slug_of(question) == slug


@given(st.text(min_size=1))
def test_any_question_gets_a_name_that_an_intent_may_have(question: str) -> None:
    name = slug_of(question)
    if name != "oos":
        assert parse_intent(name, {}, {}).name == name


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column `answer` missing"):
        read(tmp_path, "question,text\na,b\n")
