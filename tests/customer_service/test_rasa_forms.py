"""A form of a Rasa project becomes one of ours; what of it cannot be taken is told, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from core.artifacts import Registry
from services.customer_service.app import create_app
from services.customer_service.forms import Form, FormField
from services.customer_service.importers.rasa.read import ReadRasa, read_rasa
from services.customer_service.importers.report import Report
from services.customer_service.importers.run import run_import
from services.customer_service.settings import Settings
from services.customer_service.understanding import KIND

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

NLU = r"""
nlu:
- {intent: book_repair, examples: "- my lamp is broken"}
- {intent: affirm, examples: "- yes\n- of course"}
- {intent: deny, examples: "- no\n- not any more"}
- {lookup: device, examples: "- Glow\n- Beam"}
- {intent: name_device, examples: "- it is a [lamp](device:Glow)"}
responses:
  utter_ask_device: [{text: "Which device?"}]
  utter_ask_repair_form_fault: [{text: "What is wrong with it?"}]
  utter_ask_warranty:
  - text: "Is it under warranty?"
    buttons: [{title: "Yes, it is", payload: /affirm}, {title: "No", payload: /deny}]
  utter_booked: [{text: "{device} ({fault}), warranty: {warranty}."}]
  utter_bye: [{text: "We write to you."}]
"""
VERSION_3 = r"""
version: "3.1"
entities: [device]
slots:
  device: {type: text, mappings: [{type: from_entity, entity: device}]}
  fault:
    type: text
    mappings:
    - {type: from_text, conditions: [{active_loop: repair_form, requested_slot: fault}]}
  warranty:
    type: bool
    mappings:
    - {type: from_intent, intent: affirm, value: true}
    - {type: from_intent, intent: deny, value: false}
forms:
  repair_form: {ignored_intents: [chitchat], required_slots: [device, fault, warranty]}
rules:
- rule: begin
  steps: [{intent: book_repair}, {action: repair_form}, {active_loop: repair_form}]
- rule: submit
  condition: [{active_loop: repair_form}]
  steps:
  - action: repair_form
  - active_loop: null
  - slot_was_set: [{requested_slot: null}]
  - action: utter_booked
  - action: utter_bye
"""
VERSION_2 = r"""
version: "2.0"
entities: [device]
slots: {device: {type: text}, fault: {type: text, auto_fill: false}, warranty: {type: bool}}
forms:
  repair_form:
    required_slots:
      device: []
      fault: [{type: from_text}]
      warranty:
      - {type: from_intent, intent: affirm, value: true}
      - {type: from_intent, intent: [deny], value: false}
stories:
- story: whole
  steps:
  - intent: book_repair
  - action: repair_form
  - active_loop: repair_form
  - slot_was_set: [{requested_slot: device}]
  - active_loop: null
  - action: utter_booked
  - action: utter_bye
"""
# Before 2.6 the slots stood in the form itself.
VERSION_2_0 = VERSION_2.replace("    required_slots:\n", "").replace("\n      ", "\n    ")
EXPECTED = Form(
    (
        FormField("device"),
        FormField("fault", {"en": "What is wrong with it?"}),
        FormField(
            "warranty",
            one_of=("Yes, it is", "No"),
            words={
                "yes": "Yes, it is",
                "of course": "Yes, it is",
                "no": "No",
                "not any more": "No",
            },
        ),
    )
)


def read(folder: Path, *texts: str) -> ReadRasa:
    for number, text in enumerate(texts):
        (folder / f"{number}.yml").write_text(text, encoding="utf-8")
    return read_rasa(folder, {})


def told(project: ReadRasa) -> list[str]:
    return [f"{place}: {reason}" for place, reason in project.left_out]


@pytest.mark.parametrize("version", [VERSION_3, VERSION_2, VERSION_2_0], ids=["3.1", "2.6", "2.0"])
def test_a_form_that_an_intent_begins_becomes_the_form_of_that_intent(
    tmp_path: Path, version: str
) -> None:
    project = read(tmp_path, NLU, version)
    intents = {intent.name: intent for intent in project.intents}
    assert intents["book_repair"].form == EXPECTED
    assert intents["book_repair"].answers == {
        "en": ("{device} ({fault}), warranty: {warranty}.\nWe write to you.",)
    }
    kinds = {slot.name: (slot.kind, slot.ask) for slot in project.slots}
    assert kinds == {
        "device": ("pattern", {"en": "Which device?"}),
        "fault": ("text", {"en": "What is wrong with it?"}),
        "warranty": ("text", {"en": "Is it under warranty?"}),
    }
    taken = "the form of book_repair, asks for device, fault, warranty"
    assert ("1.yml: form repair_form", taken) in project.otherwise
    assert "1 forms" in project.counts[0]
    assert not [line for line in told(project) if "book_repair" in line or "slot " in line]


def test_what_a_form_of_rasa_can_and_ours_cannot_is_told(tmp_path: Path) -> None:
    assert any(
        line.startswith("1.yml: form repair_form: its ignored_intents")
        for line in told(read(tmp_path, NLU, VERSION_3))
    )


def test_the_imported_form_asks_until_it_has_all_and_then_answers(
    make_settings: Callable[..., Settings], artifact: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    read(folder, NLU, VERSION_3)
    settings = make_settings()
    Registry(settings.models_dir, KIND).promote(artifact)
    first, again = (
        run_import(settings, answers=None, articles=None, rasa=folder, now=lambda: NOW).lines()
        for _ in range(2)
    )
    assert "intents: 1 new, 0 changed, 0 unchanged" in first
    assert "intents: 0 new, 0 changed, 1 unchanged" in again
    with TestClient(create_app(settings, now=lambda: NOW), base_url="http://localhost") as client:

        def say(message: str) -> dict[str, Any]:
            sent = {"message": message, "conversation_id": "c"}
            body: dict[str, Any] = client.post("/v1/chat", json=sent).json()
            return body

        assert say("/book_repair")["text"] == "Which device?"
        assert say("my beam")["text"] == "What is wrong with it?"
        asked = say("no light at all")
        assert asked["text"] == "Is it under warranty?"
        assert [button["title"] for button in asked["buttons"]] == ["Yes, it is", "No"]
        done = say("of course it is")
        assert done["action"] == "answer"
        said = "beam (no light at all), warranty: Yes, it is.\nWe write to you."
        assert done["text"] == said


def test_an_import_over_an_intent_without_a_form_gives_it_one_and_a_later_one_keeps_it(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    read(folder, NLU, VERSION_3)
    faq = tmp_path / "faq.csv"
    faq.write_text("question,answer,intent\nBroken?,We mend it.,book_repair\n", encoding="utf-8")
    settings = make_settings()

    def take(**sources: Path) -> Report:
        given: dict[str, Any] = sources
        return run_import(settings, answers=None, articles=None, **given, now=lambda: NOW)

    take(questions=faq)
    report = take(rasa=folder)
    assert report.changes["intents"] == {"book_repair": "changed"}
    take(questions=faq)
    report = take(rasa=folder)
    assert report.changes["slots"] == dict.fromkeys(("device", "fault", "warranty"), "unchanged")


def with_slot(mappings: str) -> str:
    """The project of version 3 with other mappings of `fault`."""
    start = VERSION_3.index("    mappings:\n    - {type: from_text")
    end = VERSION_3.index("  warranty:")
    return VERSION_3[:start] + f"    mappings: {mappings}\n" + VERSION_3[end:]


@pytest.mark.parametrize(
    ("mappings", "kind", "line"),
    [
        ("[{type: from_text}, {type: from_intent, intent: deny, value: none}]", "text",
         "slot fault: from_intent: from_text takes any message"),
        ("[{type: from_entity, entity: device}, {type: from_text}]", "pattern",
         "slot fault: from_text: its regex or lookup finds it"),
        ("[{type: from_intent, intent: nobody, value: true}]", None,
         "slot fault: its intents have no example"),
        ("[{type: custom}]", None, "1.yml: slot fault: filled by 'custom'"),
        ("[{type: from_trigger_intent, intent: a, value: b}]", None,
         "1.yml: slot fault: filled by 'from_trigger_intent'"),
        ("[{type: from_intent, intent: deny}]", None, "1.yml: slot fault: filled by 'from_intent'"),
    ],
)  # fmt: skip
def test_of_several_ways_to_fill_a_slot_one_is_taken_and_the_others_told(
    tmp_path: Path, mappings: str, kind: str | None, line: str
) -> None:
    project = read(tmp_path, NLU, with_slot(mappings))
    assert {slot.name: slot.kind for slot in project.slots}.get("fault") == kind
    assert any(said.startswith(line) for said in told(project)), told(project)
    taken = [intent.name for intent in project.intents]
    assert taken == ([] if kind is None else ["book_repair"])


def test_entities_beside_intents_are_choices_too(tmp_path: Path) -> None:
    mappings = (
        "[{type: from_entity, entity: place}, {type: from_intent, intent: deny, value: nowhere}]"
    )
    more = "\nnlu: [{intent: a, examples: '- on the [hall table](place:hall)'}]\n"
    project = read(tmp_path, NLU, with_slot(mappings), more)
    (repair,) = (intent for intent in project.intents if intent.name == "book_repair")
    assert repair.form is not None
    field = repair.form.of("fault")
    assert field is not None
    assert field.one_of == ("nowhere", "hall")
    said = ("not any more", "On the hall table", "somewhere")
    assert [field.chosen(text) for text in said] == ["nowhere", "hall", None]


BEGIN = "  steps: [{intent: book_repair}, {action: repair_form}, {active_loop: repair_form}]\n"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("action: utter_bye", "action: action_book", "1.yml: rule submit: the action action_book"),
        ("active_loop: null", "active_loop: repair_form", "1.yml: rule submit: the form repair_fo"),
        ("{requested_slot: null}", "{device: Glow}", "1.yml: rule submit: a step with `slot"),
        ("- rule: submit", "- rule: s\n  steps: []\n- rule: t", "1.yml: rule s: it does not begin"),
        ("[{active_loop: repair_form}]\n", "[{active_loop: other}]\n", "1.yml: rule submit: it h"),
        (BEGIN, "  steps: [{intent: affirm}, {action: utter_bye}]\n", "1.yml: form repair_form: n"),
        ("required_slots: [device, fault, warranty]", "required_slots: []",
         "1.yml: form repair_form: it names no required_slots"),
        ("fault, warranty]", "fault, warranty, colour]",
         "1.yml: rule begin: intent 'book_repair', form, number 4: 'colour' is no slot"),
        ("{intent: book_repair},", "{intent: book_repair}, {action: utter_bye},",
         "1.yml: rule begin: utter_bye: before the form repair_form nothing is said"),
        ("rules:\n", "rules:\n- rule: chat\n  condition: [{active_loop: repair_form}]\n"
         "  steps: [{intent: deny}, {action: utter_bye}, {action: repair_form}]\n",
         "1.yml: rule chat: in the middle of a form"),
        ("rules:\n", "rules:\n- rule: other\n  condition: [{active_loop: repair_form}]\n"
         "  steps: [{active_loop: null}, {action: utter_bye}]\n",
         "1.yml: rule submit: the form repair_form already ends with utter_bye"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_taken_is_told_with_the_reason(
    tmp_path: Path, old: str, new: str, line: str
) -> None:
    assert old in VERSION_3
    project = read(tmp_path, NLU, VERSION_3.replace(old, new, 1))
    assert any(said.startswith(line) for said in told(project)), told(project)


def test_a_form_whose_end_is_a_program_is_not_begun(tmp_path: Path) -> None:
    """It would say that something was done which nobody did."""
    project = read(tmp_path, NLU, VERSION_3.replace("action: utter_bye", "action: action_book"))
    assert project.intents == []
    line = "1.yml: rule begin: nothing that was taken says what comes after the form repair_form"
    assert line in told(project)


def test_an_intent_may_begin_a_form_by_its_trigger(tmp_path: Path) -> None:
    text = VERSION_3.replace("- rule: begin\n" + BEGIN, "")
    text += "intents: [{book_repair: {triggers: repair_form}}]\n"
    (intent,) = read(tmp_path, NLU, text).intents
    assert (intent.name, intent.form) == ("book_repair", EXPECTED)


def test_forms_that_are_only_named_are_told(tmp_path: Path) -> None:
    project = read(tmp_path, NLU, "forms: [old_form, {other_form: null}]")
    assert [line[:60] for line in told(project) if "form" in line[:14]] == [
        "1.yml: form old_form: it names no required_slots, so a progr",
        "1.yml: form {'other_form': None}: it names no required_slots",
    ]
