"""Is a conversation held against what its file expects, and is a wrong file told by its line?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from services.customer_service import conversation_results as told
from services.customer_service.conversation_tests import (
    ConversationTest,
    Said,
    Step,
    TestResult,
    read_tests,
    run_tests,
)
from services.customer_service.importers.answers import read_answers

REPLY: Mapping[str, Any] = {
    "action": "answer",
    "text": "Order LY-100200 is under\nMy account.",
    "intent": "order_status",
    "slots": {"order_number": "LY-100200"},
    "buttons": [{"title": "Cancel it", "payload": "/cancel"}],
    "sources": [{"title": "Orders", "url": "https://shop.example/orders", "quote": "…"}],
}


def write(folder: Path, text: str, name: str = "tests.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def held(*steps: Step, reply: Any = REPLY) -> list[TestResult]:
    test = ConversationTest("one", "tests.yaml", 1, steps)
    return run_tests([test], lambda test, step: reply)


def differing(**expected: Any) -> list[str]:
    return [d.what for d in Step("hi", 2, **expected).differences(REPLY)]


def test_a_file_gives_its_tests_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
- name: an order
  locale: en
  channel: web
  steps:
    - user: where is it
      action: [answer, ask_slot]
    - user: 007
      bot: {contains: [order, account], matches: 'LY-\\d+'}
      slots: {order_number: LY-100200, express: no}
      sources: Orders
- name: 你好
  steps: [{user: 你好, bot: [您好, 你好]}]
""",
    )
    first, second = read_tests(path)
    assert (first.name, first.locale, first.channel, first.line) == ("an order", "en", "web", 2)
    assert first.steps[0].actions == ("answer", "ask_slot")
    # As they are written: neither a number nor a truth value.
    assert (first.steps[1].user, first.steps[1].slots["express"]) == ("007", "no")
    assert first.steps[1].line == 8
    assert second.steps[0].bot == Said(exact=("您好", "你好"))


def test_the_files_of_a_folder_are_read_by_name(tmp_path: Path) -> None:
    write(tmp_path, "- {name: b, steps: [{user: x}]}", "b.yml")
    write(tmp_path, "- {name: a, steps: [{user: x}]}", "a.yaml")
    write(tmp_path, "not a test", "notes.txt")
    assert [test.name for test in read_tests(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- name: a\n  steps:\n    - usr: hi", 3, "no key 'usr'"),
        ("- name: a\n  steps:\n    - action: answer", 3, "'user' is missing"),
        ("- name: a\n  steps:\n    - user: hi\n      action: anser", 4, "no action 'anser'"),
        ("- name: a\n  steps:\n    - user: hi\n      bot: {matches: '('}", 4, "regular expression"),
        ("- name: a\n  steps:\n    - user: hi\n      bot: {}", 4, "nothing is expected"),
        ("- name: a\n  steps:\n    - user: hi\n      user: ho", 4, "stands twice"),
        ("- name: a\n  steps:\n    - user: hi\n      slots: [x]", 4, "expected a mapping"),
        ("- name: a\n  steps:\n    - user: ''", 3, "expected a text"),
        ("- name: a\n  steps: []", 2, "a list of steps"),
        ("- name: a\n  steps: [{user: x}]\n- name: a\n  steps: [{user: x}]", 3, "line 1 already"),
        ("name: a", 1, "a list of tests"),
        ("- name: a\n  steps: [", 2, "not valid YAML"),
        ("- just a text", 1, "expected a mapping with name"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_tests(write(tmp_path, text))
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "tests.yaml"), line)


@pytest.mark.parametrize("text", ["", "# nothing yet"])
def test_a_file_without_a_test_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="no test in it"):
        read_tests(write(tmp_path, text))


def test_a_folder_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.yaml file"):
        read_tests(tmp_path)


def test_the_sample_tests_name_intents_and_buttons_of_the_sample_shop() -> None:
    shop = Path(__file__).parents[2] / "shared_data" / "customer_service"
    answers = read_answers(shop / "intents.yaml")
    assert not answers.left_out
    known = {intent.name for intent in answers.intents}
    tests = read_tests(shop / "tests.yaml")
    assert 8 <= len(tests) <= 12
    steps = [step for test in tests for step in test.steps]
    assert {step.intent for step in steps if step.intent} <= known
    slots = {slot.name for slot in answers.slots}
    assert {name for step in steps for name in step.slots} <= slots


def test_what_is_not_named_is_not_looked_at() -> None:
    assert differing() == []


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ({"actions": ("clarify", "answer")}, []),
        ({"actions": ("clarify",)}, ["action"]),
        ({"intent": "order_status"}, []),
        ({"intent": "refund"}, ["intent"]),
        ({"slots": {"order_number": "LY-100200"}}, []),
        ({"slots": {"email": "a@b.example"}}, ["slot email"]),
        ({"buttons": ("Cancel it",)}, []),
        ({"buttons": ("Cancel it", "Help")}, ["button"]),
        ({"sources": ("Orders",)}, []),
        ({"sources": ("https://shop.example/orders",)}, []),
        ({"sources": ("elsewhere",)}, ["source"]),
        ({"bot": Said(exact=("Order LY-100200 is under My account.",))}, []),
        ({"bot": Said(exact=("Order LY-100200",))}, ["bot"]),
        ({"bot": Said(contains=("under My", "LY-"))}, []),
        ({"bot": Said(contains=("under My", "LX-"))}, ["bot"]),
        ({"bot": Said(matches=r"LY-\d{6}")}, []),
        ({"bot": Said(matches=r"LY-\d{7}")}, ["bot"]),
    ],
)
def test_each_key_is_held_against_the_answer(expected: dict[str, Any], wrong: list[str]) -> None:
    assert differing(**expected) == wrong


@given(st.text(min_size=1).filter(str.strip))
def test_any_answer_is_its_own_expectation(text: str) -> None:
    assert Said(exact=(text,), contains=(text,)).holds(text)


def test_a_conversation_goes_on_after_a_step_that_fails() -> None:
    (result,) = held(Step("a", 2, intent="refund"), Step("b", 3, intent="order_status"))
    assert [step.passed for step in result.steps] == [False, True]
    assert not result.passed


def test_the_same_name_is_the_same_conversation_in_any_file() -> None:
    one, other = (ConversationTest("n", file, 1, ()) for file in ("a.yaml", "b.yaml"))
    assert one.conversation_id == other.conversation_id
    assert ConversationTest("m", "a.yaml", 1, ()).conversation_id != one.conversation_id


def test_a_failure_is_told_with_its_line_and_both_sides() -> None:
    results = held(Step("hi\x1b[2J", 7, intent="refund"))
    lines = [click.unstyle(line) for line in told.lines(results)]
    assert lines == [
        "FAIL one  (tests.yaml, line 1)",
        "     step 1 (line 7), user: hi�[2J",
        "       intent",
        "         expected: refund",
        "         came:     order_status",
        "       bot said: Order LY-100200 is under\n                   My account.",
        "0 of 1 conversations as expected",
    ]


def test_a_refused_message_is_a_failure_of_its_step() -> None:
    results = held(Step("hi", 2), reply="the message is empty")
    assert not results[0].passed
    assert any("refused: the message is empty" in line for line in told.lines(results))
    assert told.as_json(results, "v1")["results"][0]["steps"][0]["reply"] is None


def test_the_json_says_all() -> None:
    content = told.as_json(held(Step("hi", 2, intent="refund"), Step("ho", 3)), "v1")
    assert {
        key: content[key] for key in ("model_version", "conversations", "passed", "failed")
    } == {
        "model_version": "v1",
        "conversations": 1,
        "passed": 0,
        "failed": 1,
    }
    first, second = content["results"][0]["steps"]
    assert first["differences"] == [
        {"what": "intent", "expected": "refund", "came": "order_status"}
    ]
    assert (second["passed"], second["reply"]["text"]) == (True, REPLY["text"])


def test_build_servers_can_read_it() -> None:
    results = held(Step("a\x00\ud800b", 2, intent="refund")) + held(Step("ho", 3))
    root = ElementTree.fromstring(told.as_junit(results))
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    failures = root.findall("./testcase/failure")
    assert len(failures) == 1
    assert "expected: refund" in (failures[0].text or "")
