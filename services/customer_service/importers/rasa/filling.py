"""Which slots does a form of Rasa ask for, and how is a slot filled?

Version 3 says at the slot how it is filled, version 2 at the form; where neither does, the entity
of the slot's name fills it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.customer_service.importers.rasa.project import Entry, Project

_ENTITY, _TEXT, _INTENT = "from_entity", "from_text", "from_intent"
_IGNORED = "ignored_intents"


@dataclass(frozen=True)
class RasaForm:
    """`slots`: what it asks for, in order, by Rasa's names; `mappings`: how each is filled, where
    the form says so."""

    entry: Entry
    slots: tuple[str, ...]
    mappings: Mapping[str, Any]


@dataclass
class Filling:
    """`entities` that fill a slot; `text`: the whole message after its question does; `intents`:
    (intent, the value that it stands for; a boolean for yes and no)."""

    entities: list[str] = field(default_factory=list)
    text: bool = False
    intents: list[tuple[str, str | bool]] = field(default_factory=list)

    @property
    def spoken(self) -> bool:
        """Whether more than entities fill it."""
        return self.text or bool(self.intents)


def read_form(entry: Entry, project: Project) -> RasaForm | None:
    """A form; None for one whose slots a program chooses, which is told."""
    place = Entry(entry.file, f"form {(entry.name or str(entry.said))[:80]}", entry.said)
    said = entry.said if entry.name and isinstance(entry.said, Mapping) else {}
    # Before 2.6 the slots stood in the form itself.
    own = {key: value for key, value in said.items() if key not in (_IGNORED, "required_slots")}
    wanted = said.get("required_slots", own)
    names = wanted if isinstance(wanted, list | Mapping) else []
    slots = tuple(dict.fromkeys(str(name) for name in names))
    if not slots:
        project.leave_out(place, "it names no required_slots, so a program chooses them")
        return None
    if said.get(_IGNORED):
        project.leave_out(place, f"its {_IGNORED}: text that is asked for is taken as it comes")
    return RasaForm(place, slots, wanted if isinstance(wanted, Mapping) else {})


def asked_for(forms: Iterable[RasaForm]) -> dict[str, list[Any]]:
    """Each slot that a form asks for → how the forms say that it is filled, if they do."""
    found: dict[str, list[Any]] = {}
    for form in forms:
        for name in form.slots:
            mappings = form.mappings.get(name) or []
            own = mappings if isinstance(mappings, list) else [mappings]
            known = found.setdefault(name, [])
            known += [mapping for mapping in own if mapping not in known]
    return found


def filling_of(place: Entry, mappings: Any, asked: bool, project: Project) -> Filling:
    """How the mappings fill a slot. `asked`: a form asks for it. What no slot of ours can do is
    told."""
    filling = Filling()
    for said in mappings if isinstance(mappings, list) else [mappings]:
        mapping = said if isinstance(said, Mapping) else {}
        kind = mapping.get("type")
        if kind == _ENTITY and isinstance(mapping.get("entity"), str):
            if mapping.get("role") or mapping.get("group"):
                project.leave_out(place, "filled by a role or group, which no pattern tells apart")
            else:
                filling.entities.append(mapping["entity"])
        elif kind in (_TEXT, _INTENT) and not asked:
            project.leave_out(place, f"filled by {kind!r}, and no form asks for it")
        elif kind == _TEXT:
            filling.text = True
        elif kind == _INTENT and (stood_for := _stands_for(mapping)):
            filling.intents += stood_for
        else:
            known = f"known are {_ENTITY}, and in a form {_TEXT} and {_INTENT}"
            project.leave_out(place, f"filled by {kind or said!r:.40}; {known}")
    return filling


def _stands_for(mapping: Mapping[str, Any]) -> list[tuple[str, str | bool]]:
    intents, value = mapping.get("intent"), mapping.get("value")
    names = intents if isinstance(intents, list) else [intents]
    if not isinstance(value, str | int | float) or not str(value).strip():
        return []
    said = value if isinstance(value, bool) else str(value).strip()
    return [(name, said) for name in names if isinstance(name, str)]
