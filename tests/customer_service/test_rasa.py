"""A Rasa project becomes answers, slots and training data; what does not is told, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.artifacts import Registry
from core.data.readers import read_intents
from core.data.tagged import Span, read_tagged
from core.errors import DataError
from services.customer_service.answers import Case, QuickReply
from services.customer_service.app import create_app
from services.customer_service.importers.rasa.read import ReadRasa, read_rasa
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.understanding import KIND

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

DOMAIN = r"""
version: "3.1"
intents:
- greet
- faq: {is_retrieval_intent: true}
- order_status: {use_entities: [order_number]}
- thanks: {triggers: utter_thanks}
entities:
- order_number
- size
- city: {roles: [from, to]}
slots:
  order_number: {type: text, mappings: [{type: from_entity, entity: order_number}]}
  box-size: {type: text, mappings: [{type: from_entity, entity: size}]}
  plan: {type: text, mappings: [{type: custom}]}
responses:
  utter_greet:
  - text: Hello!
    buttons:
    - {title: Yes, payload: /thanks}
    - {title: Your hours, payload: '/faq/hours{"day": "monday"}'}
    - {title: A small one, payload: '/inform{"size": "small"}'}
  - text: Hi there!
  - {text: "*Hi*", channel: slack}
  utter_order:
  - text: "Order {order_number} is packed."
  - text: "The large box {order_number} is packed."
    condition: [{type: slot, name: box-size, value: large}]
  - text: "L {order_number}"
    channel: slack
    condition: [{type: slot, name: box-size, value: large}]
  - text: "Dear {customer}"
  - text: "Never"
    condition: [{type: slot, name: box-size, value: true}]
  utter_size: [{text: "Your box is {box-size}."}]
  utter_goodbye: [{text: Bye, image: "https://shop.example/bye.png"}, {text: See you}]
  utter_more: [{text: Come again}]
  utter_thanks: [{text: "You're welcome", custom: {x: 1}}]
  utter_faq/hours: [{text: We open at 9.}]
  utter_ask_order_number: [{text: "Which order?"}]
  utter_unused: [{text: never}]
  utter_rephrase: [{text: "Pardon?"}]
actions: [action_x]
forms:
  order_form: {required_slots: [order_number]}
"""
NLU = r"""
version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello
    - hi
- intent: goodbye
  examples:
  - text: |
      bye
    metadata: {tone: calm}
  - so long
- intent: order_status
  examples: |
    - where is [LY-123456](order_number)
    - where is my [big](size:large) box
    - from [Paris]{"entity": "city", "role": "from"} to [NYC]{"entity": "city", "role": "to"}
    - broken [x](y
- intent: faq/hours
  examples: |
    - when do you open
- intent: lonely
  examples: |
    - nobody answers me
- intent: nlu_fallback
  examples: |
    - tell me a joke
- regex: order_number
  examples: |
    - LY-\d{6}
    - (a+)+
- regex: help
  examples: |
    - \bhelp\b
- lookup: size
  examples: |
    - small
    - large
- synonym: large
  examples: |
    - huge
    - extra  large
- synonym: USA
  examples: |
    - States
"""
RULES = """
version: "3.1"
rules:
- rule: bye
  steps: [{intent: goodbye}, {action: utter_goodbye}, {action: utter_more}, {action: action_listen}]
- rule: faq
  steps: [{intent: faq}, {action: utter_faq}]
- rule: fallback
  steps: [{intent: nlu_fallback}, {action: utter_rephrase}]
- rule: form
  condition: [{active_loop: order_form}]
  steps: [{action: order_form}]
- rule: size
  steps: [{intent: ask_size}, {action: utter_size}]
stories:
- story: greet
  steps: [{intent: greet}, {action: utter_greet}]
- story: order
  steps: [{or: [{intent: order_status}, {intent: parcel}]}, {action: utter_order}]
- story: long
  steps: [{intent: greet}, {action: utter_greet}, {intent: goodbye}, {action: utter_goodbye}]
- story: custom
  steps: [{intent: lonely}, {action: action_x}]
- story: with entities
  steps: [{intent: lonely, entities: [city]}, {action: utter_more}]
- story: second
  steps: [{intent: greet}, {action: utter_more}]
- story: nowhere
  steps: [{intent: lonely}, {action: utter_nothing}]
"""
CONFIG = "language: en\npipeline: []\n"
TESTS = "stories: [{story: t, steps: [{intent: greet}, {action: utter_greet}]}]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rasa")
    (folder / "data").mkdir()
    (folder / "tests").mkdir()
    for name, text in (
        ("domain.yml", DOMAIN),
        ("data/nlu.yml", NLU),
        ("data/rules.yml", RULES),
        ("config.yml", CONFIG),
        ("credentials.yml", "rest: {}"),
        ("tests/test_stories.yml", TESTS),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def project(folder: Path) -> ReadRasa:
    return read_rasa(folder, {})


def answers(project: ReadRasa) -> dict[str, Any]:
    return {intent.name: intent.answers.get("en", ()) for intent in project.intents}


def test_rules_short_stories_triggers_and_retrieval_intents_give_answers(project: ReadRasa) -> None:
    assert answers(project) == {
        "greet": ("Hello!", "Hi there!"),
        "goodbye": ("Bye\nhttps://shop.example/bye.png\nCome again", "See you\nCome again"),
        "order_status": ("Order {order_number} is packed.",),
        "parcel": ("Order {order_number} is packed.",),
        "ask_size": ("Your box is {box_size}.",),
        "thanks": ("You're welcome",),
        "faq/hours": ("We open at 9.",),
    }


def test_channels_and_conditions_become_cases_in_the_order_of_rasa(project: ReadRasa) -> None:
    intents = {intent.name: intent for intent in project.intents}
    assert intents["greet"].cases == (Case("slack", {}, {"en": ("*Hi*",)}),)
    large = {"box_size": "large"}
    assert intents["order_status"].cases == (
        Case("slack", large, {"en": ("L {order_number}",)}),
        Case("", large, {"en": ("The large box {order_number} is packed.",)}),
    )


def test_buttons_lead_to_an_answer_or_send_what_a_customer_would_say(project: ReadRasa) -> None:
    intents = {intent.name: intent for intent in project.intents}
    assert intents["greet"].quick_replies["en"] == (
        QuickReply("Yes", "/thanks"),
        QuickReply("Your hours", "/faq/hours"),
        QuickReply("A small one", "small"),
    )


def test_a_short_example_is_what_an_intents_button_says(project: ReadRasa) -> None:
    titles = {intent.name: intent.title("en") for intent in project.intents}
    assert titles["faq/hours"] == "when do you open"
    assert titles["order_status"] == "Order status"


def test_regexes_lookups_and_synonyms_become_slots(project: ReadRasa) -> None:
    slots = {slot.name: slot for slot in project.slots}
    assert set(slots) == {"order_number", "box_size"}
    assert slots["order_number"].pattern == r"LY-\d{6}"
    assert slots["order_number"].ask == {"en": "Which order?"}
    size = slots["box_size"]
    said = ("a SMALL one", "an extra large one", "huge", "a big box", "enlarge it")
    assert [size.find(text) for text in said] == ["SMALL", "large", "large", "large", None]


def test_what_was_not_taken_is_told_with_file_and_reason(project: ReadRasa) -> None:
    told = {f"{place}: {reason}" for place, reason in project.left_out}
    for part in (
        "config.yml: pipeline",
        "credentials.yml: settings of Rasa's own server",
        "tests/test_stories.yml: conversation tests",
        "domain.yml: actions: custom actions are programs",
        "domain.yml: form order_form: no rule or story that was taken begins it",
        "domain.yml: slot plan: filled by 'custom'",
        "domain.yml: utter_order: a variant needs {customer}, which is no slot",
        "domain.yml: utter_order: a variant with a condition other than the value of a slot",
        "domain.yml: utter_thanks: `custom` of a variant",
        "domain.yml: utter_unused: no rule",
        "data/nlu.yml: intent order_status: 'broken [x](y'",
        "nlu: regex order_number: slot 'order_number': `pattern` repeats a repetition",
        "nlu: help: a regex or lookup, and neither slot nor entity",
        "nlu: synonym 'States': no slot has the value 'USA'",
        "data/rules.yml: rule fallback: where nothing is known",
        "data/rules.yml: rule form: the form order_form does not end in it",
        "data/rules.yml: story long: several turns",
        "data/rules.yml: story custom: the action action_x is no response",
        "data/rules.yml: story with entities: its intent comes with `entities`",
        "data/rules.yml: story second: greet is already answered by data/rules.yml: story greet",
        "data/rules.yml: story nowhere: there is no response utter_nothing",
        "intent lonely: its answer",
        "intent parcel: its examples",
    ):
        assert any(line.startswith(part) for line in told), part
    changed = [place for place, _ in project.otherwise]
    assert "data/nlu.yml: intent nlu_fallback" in changed
    assert changed.count("domain.yml: utter_greet") == 2  # the buttons


def test_the_training_files_are_what_the_trainers_read(
    make_settings: Callable[..., Settings], folder: Path, tmp_path: Path
) -> None:
    report = run_import(
        make_settings(),
        answers=None,
        articles=None,
        rasa=folder,
        training_output=tmp_path / "out",
        now=lambda: NOW,
    )
    rows = [(row.text, row.labels["intent"]) for row in read_intents(tmp_path / "out/train.csv")]
    assert ("where is my big box", "order_status") in rows
    assert ("tell me a joke", "oos") in rows
    assert ("bye", "goodbye") in rows
    assert len(rows) == 10
    spans = {row.text: row.spans for row in read_tagged(tmp_path / "out/spans.jsonl")}
    assert spans["from Paris to NYC"] == (Span(5, 10, "city.from"), Span(14, 17, "city.to"))
    assert spans["hello"] == ()
    assert report.next_steps[0].startswith("trefoil tune tokens --data ")
    assert report.next_steps[1].endswith(" --output model --tagger tagger")


def test_a_second_import_changes_nothing(
    make_settings: Callable[..., Settings], folder: Path
) -> None:
    def lines() -> list[str]:
        report = run_import(
            make_settings(), answers=None, articles=None, rasa=folder, now=lambda: NOW
        )
        return report.lines()

    assert "intents: 7 new, 0 changed, 0 unchanged" in lines()
    again = lines()
    assert "intents: 0 new, 0 changed, 7 unchanged" in again
    assert "slots: 0 new, 0 changed, 2 unchanged" in again


def test_the_bot_says_what_the_project_says_on_this_channel_and_in_this_case(
    make_settings: Callable[..., Settings], artifact: Path, folder: Path
) -> None:
    settings = make_settings()
    Registry(settings.models_dir, KIND).promote(artifact)
    run_import(settings, answers=None, articles=None, rasa=folder, now=lambda: NOW)
    with TestClient(create_app(settings), base_url="http://localhost") as client:

        def says(message: str, conversation: str, channel: str = "web") -> dict[str, Any]:
            sent = {"message": message, "conversation_id": conversation, "channel": channel}
            body: dict[str, Any] = client.post("/v1/chat", json=sent).json()
            return body

        assert says("/greet", "a", "slack")["text"] == "*Hi*"
        greeting = says("/greet", "b")
        assert greeting["text"] in ("Hello!", "Hi there!")
        assert {"title": "Your hours", "payload": "/faq/hours"} in greeting["buttons"]
        assert says("/faq/hours", "b")["text"] == "We open at 9."
        assert says("/order_status", "c")["text"] == "Which order?"
        assert says("LY-123456", "c")["text"] == "Order LY-123456 is packed."
        assert says("a huge LY-123456", "d")["slots"] == {
            "order_number": "LY-123456",
            "box_size": "large",
        }
        assert says("/order_status", "d")["text"] == "The large box LY-123456 is packed."
        assert says("/order_status", "d", "slack")["text"] == "L LY-123456"


def written(folder: Path, text: str) -> ReadRasa:
    (folder / "all.yml").write_text(text, encoding="utf-8")
    return read_rasa(folder, {})


def test_in_version_2_a_slot_is_filled_by_the_entity_of_its_name(tmp_path: Path) -> None:
    project = written(
        tmp_path,
        """
version: "2.0"
entities: [city, food]
slots: {city: {type: text}, food: {type: text, auto_fill: false}, mood: {type: text}}
responses: {utter_city: [{text: "So to {city}!"}]}
rules: [{rule: r, steps: [{intent: go}, {action: utter_city}]}]
nlu:
- intent: go
  examples: |
    - to [Rome](city) by [7](city)
    - to [the Big Apple](city:New York)
""",
    )
    assert [slot.name for slot in project.slots] == ["city"]
    city = project.slots[0]
    assert city.find("from rome to The big apple") == "New York"
    assert city.find("at 7") is None
    assert answers(project) == {"go": ("So to {city}!",)}
    told = dict(project.otherwise)
    assert told["slot city"] == "it knows the 3 values of the examples alone"


def test_chinese_values_are_found_without_spaces_around_them(tmp_path: Path) -> None:
    project = written(
        tmp_path,
        """
entities: [size]
responses: {utter_faq/price: [{text: "十元。"}]}
nlu:
- {lookup: size, examples: "- 大杯\\n- 小杯"}
- {synonym: 大杯, examples: "- 特大"}
- {intent: faq/price, examples: "- [大杯](size)多少钱"}
""",
    )
    assert project.slots[0].find("我要特大的") == "大杯"
    assert project.intents[0].answers == {"zh": ("十元。",)}


def test_a_lookup_that_is_too_long_keeps_what_fits_and_says_so(tmp_path: Path) -> None:
    values = "\n".join(f"    - product number {n}" for n in range(1000))
    project = written(tmp_path, f"entities: [p]\nnlu:\n- lookup: p\n  examples: |\n{values}\n")
    slot = project.slots[0]
    assert slot.find("a product number 7, please") == "product number 7"
    reason = dict(project.left_out)["slot p"]
    assert "of its values; a pattern has at most 4000 characters" in reason


def test_slots_that_are_there_already_may_stand_in_its_answers(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    text = "intents: [{a: {triggers: utter_a}}]\nresponses: {utter_a: [{text: 'For {number}.'}]}\n"
    assert written(tmp_path, text).intents == []
    (tmp_path / "intents.yaml").write_text(
        "slots: {number: {pattern: '\\d+'}}\nintents: {a: {handoff: true}}", encoding="utf-8"
    )
    report = run_import(
        make_settings(),
        answers=tmp_path / "intents.yaml",
        articles=None,
        rasa=tmp_path,
        now=lambda: NOW,
    )
    assert "intents: 1 new, 0 changed, 0 unchanged" in report.lines()


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no nlu, domain, rules or stories"):
        read_rasa(tmp_path, {})
