"""Which slots do the regexes, lookups and synonyms of a project make?

A slot of the domain is found by what is known of its entities: their regexes as they are, their
lookups and synonyms as a list of words. Where neither is there, the words of the examples stand in,
or, where a form asks for it and Rasa takes more than entities, the message after the question. An
entity with a regex or lookup that fills no slot becomes a slot of its own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.errors import InvalidInput
from services.customer_service.answers import Slot
from services.customer_service.answers_reading import parse_slot
from services.customer_service.fields import MAX_PATTERN, MAX_SYNONYMS
from services.customer_service.importers.rasa.domain import Domain, slot_name
from services.customer_service.importers.rasa.filling import Filling
from services.customer_service.importers.rasa.nlu import Nlu
from services.customer_service.importers.rasa.project import Project
from services.customer_service.patterns import any_of
from services.customer_service.slots import synonym_key

_LEADING_FLAGS = re.compile(r"\(\?([aimsx]+)\)")
# What the pattern of a list has around its values.
_AROUND = 200


@dataclass
class _Known:
    """What tells the values of one slot; `synonyms`: words → value."""

    patterns: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    synonyms: dict[str, str] = field(default_factory=dict)
    from_examples: bool = False


def make_slots(
    project: Project, domain: Domain, nlu: Nlu, language_of: Callable[[str], str]
) -> dict[str, Slot]:
    """Slots by name; what cannot be one is told in the project's `left_out`."""
    asked = _questions(project, domain, language_of)
    free = _free(project, domain, nlu)
    slots = {name: parse_slot(name, {"kind": "text", "ask": asked.get(name)}) for name in free}
    for name, entities in _wanted(project, domain, nlu).items():
        if name in slots:
            continue
        place = f"slot {name}"
        known = _known(name, entities, project, nlu)
        values, dropped = _that_fit(known)
        if not (known.patterns or values):
            reason = "neither a regex nor a lookup nor an example tells its values"
            project.left_out.append((place, reason))
            continue
        if dropped:
            reason = f"{dropped} of its values; a pattern has at most {MAX_PATTERN} characters"
            project.left_out.append((place, reason))
        if known.from_examples:
            told = f"it knows the {len(values)} values of the examples alone"
            domain.otherwise.append((place, told))
        pattern = _joined([*known.patterns, *([any_of(values)] if values else [])])
        said = {"pattern": pattern, "ask": asked.get(name), "synonyms": known.synonyms}
        try:
            slots[name] = parse_slot(name, said)
        except InvalidInput as error:
            project.left_out.append((place, str(error)))
    _tell_unused(slots, project, nlu)
    return slots


def _wanted(project: Project, domain: Domain, nlu: Nlu) -> Mapping[str, list[str]]:
    """Slot → the entities that fill it."""
    wanted = dict(domain.slots)
    filling = {entity for entities in domain.slots.values() for entity in entities}
    for entity in sorted({*nlu.regexes, *nlu.lookups} - filling):
        if entity not in domain.entities and entity not in nlu.entities:
            reason = "a regex or lookup, and neither slot nor entity of this name"
            project.left_out.append((f"nlu: {entity[:80]}", reason))
            continue
        name = domain.names.setdefault(entity, slot_name(entity))
        wanted.setdefault(name, [entity])
    return wanted


def _known(name: str, entities: list[str], project: Project, nlu: Nlu) -> _Known:
    known = _Known()
    annotated = [pair for entity in entities for pair in nlu.entities.get(entity, [])]
    for entity in entities:
        known.values += nlu.lookups.get(entity, [])
        for pattern in nlu.regexes.get(entity, []):
            try:
                parse_slot(name, {"pattern": pattern})
            except InvalidInput as error:
                project.left_out.append((f"nlu: regex {entity[:80]}", str(error)))
            else:
                known.patterns.append(pattern)
    if not known.patterns and not known.values:
        known.from_examples = True
        # A bare number would be found in every message that has one.
        known.values = [text for pair in annotated for text in pair if any(map(str.isalpha, text))]
    own_words = {synonym_key(words) for words, _ in annotated}
    own_values = {synonym_key(value) for value in known.values}
    for words, value in nlu.synonyms.items():
        if synonym_key(words) in own_words or synonym_key(value) in own_values:
            known.synonyms[words] = value
    for words in list(known.synonyms)[MAX_SYNONYMS:]:
        del known.synonyms[words]
    return known


def _that_fit(known: _Known) -> tuple[list[str], int]:
    """(the words that fit into a pattern, how many do not), the first ones first."""
    words: dict[str, str] = {}
    for each in (*known.values, *known.synonyms):
        words.setdefault(synonym_key(each), " ".join(each.split()))
    room = MAX_PATTERN - _AROUND - sum(len(pattern) + len("(?:)|") for pattern in known.patterns)
    fitting: list[str] = []
    for each in words.values():
        room -= len(re.escape(each)) + len("|") + each.count(" ")
        if room < 0:
            break
        fitting.append(each)
    return fitting, len(words) - len(fitting)


def _joined(patterns: list[str]) -> str:
    return patterns[0] if len(patterns) == 1 else "|".join(_grouped(p) for p in patterns)


def _grouped(pattern: str) -> str:
    """A flag for the whole, (?i)…, may stand at the very start alone."""
    flags = _LEADING_FLAGS.match(pattern)
    return f"(?{flags[1]}:{pattern[flags.end() :]})" if flags else f"(?:{pattern})"


def _free(project: Project, domain: Domain, nlu: Nlu) -> list[str]:
    """Slots whose value is what is said to their question; what is lost by that is told."""
    free = []
    for name, filling in domain.spoken.items():
        place = f"slot {name}"
        if any(entity in nlu.regexes or entity in nlu.lookups for entity in filling.entities):
            project.left_out.append((place, f"{_others(filling)}: its regex or lookup finds it"))
            continue
        if not filling.text and not _told_by_examples(filling, nlu):
            project.left_out.append((place, "its intents have no example, so nothing means yes"))
            continue
        free.append(name)
        if filling.text and filling.intents:
            project.left_out.append((place, "from_intent: from_text takes any message"))
        if filling.entities:
            told = f"known by what is said to its question alone ({_others(filling)})"
            domain.otherwise.append((place, told))
    return free


def _told_by_examples(filling: Filling, nlu: Nlu) -> bool:
    """Whether something says what a customer says for one of the values: the value or examples."""
    with_examples = {intent for intent, _ in nlu.examples}
    return any(intent in with_examples or isinstance(v, str) for intent, v in filling.intents)


def _others(filling: Filling) -> str:
    kinds = (("from_text", filling.text), ("from_intent", filling.intents))
    return " and ".join(kind for kind, there in kinds if there)


def _questions(
    project: Project, domain: Domain, language_of: Callable[[str], str]
) -> dict[str, dict[str, str]]:
    """Slot → how to ask for it: utter_ask_<slot>, or utter_ask_<form>_<slot>."""
    forms = [""] + [f"{entry.name}_" for entry in project["forms"] if entry.name]
    asked: dict[str, dict[str, str]] = {}
    for rasa_name, name in domain.names.items():
        for form in forms:
            found = domain.question(f"utter_ask_{form}{rasa_name}", language_of)
            asked[name] = {**found, **asked.get(name, {})}
    return asked


def _tell_unused(slots: Mapping[str, Slot], project: Project, nlu: Nlu) -> None:
    used: set[str] = {words for slot in slots.values() for words in slot.synonyms}
    for words, value in nlu.synonyms.items():
        if synonym_key(words) not in used:
            reason = f"no slot has the value {value[:60]!r}"
            project.left_out.append((f"nlu: synonym {words[:60]!r}", reason))
