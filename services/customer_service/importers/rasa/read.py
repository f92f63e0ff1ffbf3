"""What does a Rasa project teach, all of it together?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.data.records import OUT_OF_SCOPE
from core.text import language_of
from services.customer_service.answers import Intent, Slot
from services.customer_service.fields import LANGUAGE
from services.customer_service.importers.rasa.answers import Material, make_intents
from services.customer_service.importers.rasa.domain import read_domain
from services.customer_service.importers.rasa.examples import Example
from services.customer_service.importers.rasa.forms import FormMaker
from services.customer_service.importers.rasa.nlu import Nlu, read_nlu
from services.customer_service.importers.rasa.project import Project, read_project
from services.customer_service.importers.rasa.rules import read_answered
from services.customer_service.importers.rasa.slots import make_slots
from services.customer_service.importers.training import Training


@dataclass
class ReadRasa:
    """`counts`: what was read, in words; `otherwise`, `left_out`: (place, what or why)."""

    slots: list[Slot] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    training: Training = field(default_factory=Training)
    counts: list[str] = field(default_factory=list)
    otherwise: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_rasa(folder: Path, known_slots: Mapping[str, Slot]) -> ReadRasa:
    """Read the project below a folder; `known_slots` are there already, and its own come first.

    DataError where the folder holds no Rasa project.
    """
    project = read_project(folder)
    language = re.split(r"[-_]", project.language)[0]

    def speaks(text: str) -> str:
        """The language of config.yml, else by the script."""
        if LANGUAGE.fullmatch(language):
            return language
        found = language_of(text)
        return "en" if found == "other" else found

    nlu, domain = read_nlu(project), read_domain(project)
    slots = make_slots(project, domain, nlu, speaks)
    answered = read_answered(project, domain)
    every_slot = {**known_slots, **slots}
    forms = FormMaker(project, domain, nlu, slots, speaks).all()
    intents = make_intents(Material(project, domain, every_slot, answered, forms, speaks), nlu)
    _tell_unanswered(project, nlu, {intent.name for intent in intents})
    return ReadRasa(
        slots=list(slots.values()),
        intents=intents,
        training=_training(nlu),
        counts=[_counted(project, nlu, len(domain.forms))],
        otherwise=[*nlu.otherwise, *domain.otherwise],
        left_out=list(dict.fromkeys(project.left_out)),
    )


def _tell_unanswered(project: Project, nlu: Nlu, answered: set[str]) -> None:
    asked = dict.fromkeys(intent for intent, _ in nlu.examples)
    for intent in asked:
        if intent not in answered and intent != OUT_OF_SCOPE:
            reason = (
                "its answer: no rule, trigger or story of one turn gives one; only its examples"
            )
            project.left_out.append((f"intent {intent[:80]}", reason))
    for intent in sorted(answered - set(asked)):
        reason = "its examples: there are none; only a button leads to its answer"
        project.left_out.append((f"intent {intent[:80]}", reason))


def _training(nlu: Nlu) -> Training:
    return Training(
        questions=[(example.text, intent) for intent, example in nlu.examples],
        spans=[_row(example) for _, example in nlu.examples],
    )


def _row(example: Example) -> dict[str, Any]:
    """A line of spans.jsonl; beside what a tagger reads, all that the annotation said."""
    rows = []
    for each in example.entities:
        row = {"start": each.start, "end": each.end, "label": each.label, "value": each.value}
        row |= {key: said for key, said in (("role", each.role), ("group", each.group)) if said}
        rows.append(row)
    return {"text": example.text, "entities": rows}


def _counted(project: Project, nlu: Nlu, forms: int) -> str:
    intents = {intent for intent, _ in nlu.examples} - {OUT_OF_SCOPE}
    spans = sum(len(example.entities) for _, example in nlu.examples)
    parts = (
        (project.files, "files of Rasa"),
        (len(intents), "intents"),
        (len(nlu.examples), "examples"),
        (spans, "entities in them"),
        (len(nlu.regexes), "regexes"),
        (len(nlu.lookups), "lookups"),
        (len(nlu.synonyms), "synonyms"),
        (len(project["responses"]), "responses"),
        (len(project["rules"]) + len(project["stories"]), "rules and stories"),
        (forms, "forms"),
    )
    return "read: " + ", ".join(f"{count} {what}" for count, what in parts)
