"""How do responses, and the form that asks before them, become an intent?

A variant for a channel or with a condition becomes a case; the order is Rasa's: both, the channel
alone, the condition alone, neither. Of several responses in a row the variants are put together,
those for any channel alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from core.errors import InvalidInput
from services.customer_service.answers import Intent, Slot
from services.customer_service.answers_reading import parse_intent
from services.customer_service.importers.rasa.domain import Domain, Response, Variant, slot_name
from services.customer_service.importers.rasa.forms import describe
from services.customer_service.importers.rasa.nlu import Nlu
from services.customer_service.importers.rasa.project import Project
from services.customer_service.importers.rasa.rules import Answered

# As Rasa finds the places for slots in a text.
_PLACE = re.compile(r"\{([^\n{}]+)\}")
_INTENT_PAYLOAD = re.compile(r"/([^\s{]+)\s*(\{.*\})?", re.DOTALL)
_MAX_TITLE: Final = 60
When = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Material:
    """What an answer is made of and checked against; `forms`: mappings by Rasa's name."""

    project: Project
    domain: Domain
    slots: Mapping[str, Slot]
    answered: Mapping[str, Answered]
    forms: Mapping[str, Mapping[str, Any]]
    language_of: Callable[[str], str]


def make_intents(material: Material, nlu: Nlu) -> list[Intent]:
    """Intents with their answers; what cannot be said is told in the project's `left_out`."""
    project, domain = material.project, material.domain
    titles = _titles(nlu, material)
    spoken = {
        name: [v for v in (_checked(v, response, material) for v in response.variants) if v]
        for name, response in domain.responses.items()
    }
    intents = []
    for name, found in material.answered.items():
        variants = _together(found, spoken, material)
        if not variants:
            project.leave_out(found.entry, f"no text of it can be said for {name[:80]}")
            continue
        try:
            said = {"description": titles.get(name), **_mapping(variants, material)}
            if found.form:
                said["form"] = material.forms[found.form]
            intents.append(parse_intent(name, said, material.slots))
        except InvalidInput as error:
            project.leave_out(found.entry, str(error))
        else:
            if found.form:
                form = domain.forms[found.form]
                domain.otherwise.append((form.entry.place, describe(form, name)))
    _tell_unreached(material)
    return intents


def _titles(nlu: Nlu, material: Material) -> dict[str, dict[str, str]]:
    """Intent → what its button says: the first short example without an entity, since a customer's
    own words say more than faq/ask_hours."""
    titles: dict[str, dict[str, str]] = {}
    for intent, example in nlu.examples:
        if len(example.text) <= _MAX_TITLE and not example.entities:
            titles.setdefault(intent, {material.language_of(example.text): example.text})
    return titles


def _checked(variant: Variant, response: Response, material: Material) -> Variant | None:
    """The variant with our names of slots; None where one is not known."""
    known = material.slots

    def renamed(place: re.Match[str]) -> str:
        name = place[1].strip()
        return f"{{{material.domain.names.get(name, slot_name(name))}}}"

    text = _PLACE.sub(renamed, variant.text)
    missing = [name for name in _PLACE.findall(text) if name not in known]
    missing += [name for name, _ in variant.slots if name not in known]
    if missing:
        reason = f"a variant needs {{{missing[0][:60]}}}, which is no slot: {variant.text[:60]!r}"
        material.project.leave_out(response.entry, reason)
        return None
    buttons = [_button(title, payload, response, material) for title, payload in variant.buttons]
    return replace(variant, text=text, buttons=tuple(b for b in buttons if b))


def _button(
    title: str, payload: str, response: Response, material: Material
) -> tuple[str, str] | None:
    """With the payload that leads somewhere here: /intent of an answered one, else its title."""
    entry = response.entry
    if _PLACE.search(title):
        material.project.leave_out(entry, f"a button with a slot in its title: {title[:60]!r}")
        return None
    intent = _INTENT_PAYLOAD.fullmatch(payload)
    if intent is None:
        return title, payload
    if intent[1] in material.answered:
        if intent[2]:
            told = f"the button {title[:60]!r} leads to {intent[1]} without {intent[2][:60]}"
            material.domain.otherwise.append((entry.place, told))
        return title, f"/{intent[1]}"
    value = _only_value(intent[2])
    told = f"the button {title[:60]!r} sends {value or title!r:.60}: {intent[1]} has no answer"
    material.domain.otherwise.append((entry.place, told))
    return title, value or title


def _only_value(written: str | None) -> str:
    """ "small" of {"size": "small"}: what a customer would have said."""
    try:
        said = json.loads(written or "null")
    except ValueError:
        return ""
    values = list(said.values()) if isinstance(said, dict) else []
    return values[0].strip() if len(values) == 1 and isinstance(values[0], str) else ""


def _together(
    found: Answered, spoken: Mapping[str, list[Variant]], material: Material
) -> list[Variant]:
    """The variants of the one response; of several, one text after the other."""
    each = [spoken.get(name, []) for name in found.responses]
    if len(each) == 1:
        return each[0]
    plain = [[v for v in variants if not (v.channel or v.slots)] for variants in each]
    if any(len(p) < len(v) for p, v in zip(plain, each, strict=True)):
        reason = "variants for a channel or a condition, since several responses follow each other"
        material.project.leave_out(found.entry, reason)
    if not all(plain):
        return []
    joined = []
    for number in range(max(map(len, plain))):
        parts = [variants[number % len(variants)] for variants in plain]
        buttons = [button for part in parts for button in part.buttons]
        joined.append(Variant("\n".join(part.text for part in parts), tuple(buttons)))
    return joined


def _mapping(variants: Iterable[Variant], material: Material) -> dict[str, Any]:
    """The variants as an entry of intents.yaml."""
    groups: dict[When, list[Variant]] = {}
    for variant in variants:
        groups.setdefault((variant.channel, variant.slots), []).append(variant)
    said = _said(groups.pop(("", ()), []), material)
    # Python's sort is stable: of two with as many conditions, the first in the file.
    ordered = sorted(groups.items(), key=lambda item: (not item[0][0], not item[0][1]))
    said["cases"] = [
        {"when": {"channel": channel, "slots": dict(slots)}, **_said(group, material)}
        for (channel, slots), group in ordered
    ]
    return said


def _said(variants: Iterable[Variant], material: Material) -> dict[str, Any]:
    answers: dict[str, dict[str, None]] = {}
    replies: dict[str, dict[tuple[str, str], None]] = {}
    for variant in variants:
        language = material.language_of(variant.text)
        answers.setdefault(language, {})[variant.text] = None
        replies.setdefault(language, {}).update(dict.fromkeys(variant.buttons))
    return {
        "answers": {language: list(texts) for language, texts in answers.items()},
        "quick_replies": {
            language: [{"title": title, "payload": payload} for title, payload in buttons]
            for language, buttons in replies.items()
        },
    }


def _tell_unreached(material: Material) -> None:
    """Responses that no intent leads to."""
    reached = {name for found in material.answered.values() for name in found.responses}
    names = material.domain.names
    asking = tuple(f"_{name}" for name in names)
    for name, response in material.domain.responses.items():
        is_question = name.startswith("utter_ask_") and name.endswith(asking)
        if name not in reached and not is_question:
            reason = "no rule, trigger or story of one turn that was taken leads to it"
            material.project.leave_out(response.entry, reason)
