"""What does the domain say: responses, slots, forms, entities, intents that trigger a response?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.customer_service.answers import placeholders
from services.customer_service.importers.rasa.filling import (
    Filling,
    RasaForm,
    asked_for,
    filling_of,
    read_form,
)
from services.customer_service.importers.rasa.project import Entry, Project

_RESPONSE: Final = "utter_"
_LINK = re.compile(r"https?://[^\s<>\"']{1,1900}")
_KNOWN = ("text", "channel", "condition", "id", "button_type")
_BUTTONS = ("buttons", "quick_replies")
_PLAIN_SLOT = re.compile(r"[A-Za-z]\w{0,99}")


@dataclass(frozen=True)
class Variant:
    """One text of a response. `buttons`: (title, payload); `slots`: (slot, value) of its
    conditions, all of which must hold; `channel` is "" where it is for any."""

    text: str
    buttons: tuple[tuple[str, str], ...] = ()
    channel: str = ""
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Response:
    """All variants of one name, and where it stands."""

    entry: Entry
    variants: list[Variant]


@dataclass
class Domain:
    """`slots`: our name of a slot → the entities that fill it; `spoken`: of a slot that a form asks
    for and more than entities fill → how; `names`: Rasa's name of a slot or an entity → ours;
    `triggers`: intent → the response or form it leads to."""

    responses: dict[str, Response] = field(default_factory=dict)
    slots: dict[str, list[str]] = field(default_factory=dict)
    spoken: dict[str, Filling] = field(default_factory=dict)
    forms: dict[str, RasaForm] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    entities: set[str] = field(default_factory=set)
    triggers: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    otherwise: list[tuple[str, str]] = field(default_factory=list)

    def question(self, name: str, language_of: Callable[[str], str]) -> dict[str, str]:
        """What the response of this name asks, a text a language; without those for a channel, with
        a condition or a place for a slot."""
        response = self.responses.get(name)
        asked: dict[str, str] = {}
        for variant in response.variants if response else ():
            if not (variant.channel or variant.slots or placeholders(variant.text)):
                asked.setdefault(language_of(variant.text), variant.text)
        return asked


def read_domain(project: Project) -> Domain:
    """All of it; what cannot be taken is told in the project's `left_out`."""
    domain = Domain()
    for entry in project["entities"]:
        for name in _names(entry.said):
            domain.entities.add(name)
            domain.names[name] = slot_name(name)
    for entry in project["forms"]:
        form = read_form(entry, project)
        if form is not None:
            domain.forms[entry.name] = form
    asked = asked_for(domain.forms.values())
    for entry in project["slots"]:
        _add_slot(entry, asked.get(entry.name), project, domain)
    for entry in project["intents"]:
        _add_trigger(entry, domain)
    for entry in project["responses"]:
        _add_response(entry, project, domain)
    return domain


def slot_name(name: str) -> str:
    """The name of a slot as our templates write it: letters, digits and _."""
    plain = re.sub(r"\W", "_", name)[:90]
    return plain if _PLAIN_SLOT.fullmatch(plain) else f"s_{plain}"


def _names(said: Any) -> Iterator[str]:
    """`city`, or {city: {roles: […]}}."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, Mapping):
        yield from (str(name) for name in said)


# --- slots ---------------------------------------------------------------------------------------


def _add_slot(entry: Entry, asked: Sequence[Any] | None, project: Project, domain: Domain) -> None:
    """`asked`: how the forms that ask for it fill it; None where none does."""
    place = Entry(entry.file, f"slot {entry.name}", entry.said)
    if not isinstance(entry.said, Mapping):
        project.leave_out(place, f"expected its type and mappings, found {entry.said!r:.40}")
        return
    ours = slot_name(entry.name)
    domain.names[entry.name] = ours
    mappings = entry.said.get("mappings")
    if mappings is None:
        # Version 2: a slot is filled by the entity of its name, unless it says otherwise.
        own = {"type": "from_entity", "entity": entry.name}
        fills = entry.said.get("auto_fill", True) is True and entry.name in domain.entities
        mappings = list(asked or ())
        if own not in mappings and (fills or (asked is not None and not mappings)):
            mappings.insert(0, own)
        if not mappings:
            project.leave_out(place, "no entity of this name fills it")
            return
    filling = filling_of(place, mappings, asked is not None, project)
    if filling.entities:
        domain.slots[ours] = filling.entities
    if filling.spoken:
        domain.spoken[ours] = filling


# --- intents -------------------------------------------------------------------------------------


def _add_trigger(entry: Entry, domain: Domain) -> None:
    if not isinstance(entry.said, Mapping):
        return
    for intent, settings in entry.said.items():
        action = settings.get("triggers") if isinstance(settings, Mapping) else None
        if isinstance(action, str):
            place = Entry(entry.file, f"intent {intent}", settings)
            domain.triggers.setdefault(str(intent), (action, place))


# --- responses -----------------------------------------------------------------------------------


def _add_response(entry: Entry, project: Project, domain: Domain) -> None:
    if not entry.name.startswith(_RESPONSE):
        project.leave_out(entry, f"a response's name begins with {_RESPONSE}")
    elif entry.name in domain.responses:
        first = domain.responses[entry.name].entry.file
        project.leave_out(entry, f"also in {first}; that one is kept")
    elif not isinstance(entry.said, list):
        project.leave_out(entry, "expected a list of variants")
    else:
        said = (_variant(each, entry, project, domain) for each in entry.said)
        domain.responses[entry.name] = Response(entry, [v for v in said if v is not None])


def _variant(said: Any, entry: Entry, project: Project, domain: Domain) -> Variant | None:
    if isinstance(said, str):
        said = {"text": said}
    if not isinstance(said, Mapping):
        project.leave_out(entry, f"expected a variant with text, found {said!r:.40}")
        return None
    condition = _condition(said.get("condition"), domain)
    channel = said.get("channel") or ""
    if condition is None or not isinstance(channel, str):
        project.leave_out(entry, "a variant with a condition other than the value of a slot")
        return None
    text = _text(said, entry, project, domain)
    for key in said:
        if key not in (*_KNOWN, *_BUTTONS, "image"):
            project.leave_out(entry, f"`{str(key)[:40]}` of a variant")
    if not text:
        project.leave_out(entry, "a variant without a text")
        return None
    buttons = [b for key in _BUTTONS for b in _buttons(said.get(key), entry, project)]
    return Variant(text, tuple(buttons), channel.strip(), condition)


def _text(said: Mapping[str, Any], entry: Entry, project: Project, domain: Domain) -> str:
    """The text, and below it the link of an image, which an answer has no other place for."""
    text, image = said.get("text"), said.get("image")
    text = str(text).strip() if _is_text(text) else ""
    if image is None:
        return text
    if not isinstance(image, str) or not _LINK.fullmatch(image.strip()):
        project.leave_out(entry, f"its image, which is no https link: {image!r:.60}")
        return text
    domain.otherwise.append((entry.place, "its image is given as a link in the text"))
    return f"{text}\n{image.strip()}".strip()


def _is_text(value: Any) -> bool:
    """A text, or a number that YAML made of one."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _condition(said: Any, domain: Domain) -> tuple[tuple[str, str], ...] | None:
    """(slot, value) pairs; None for a condition of another kind."""
    wanted = []
    for each in said if isinstance(said, list) else [] if said is None else [None]:
        if not isinstance(each, Mapping) or each.get("type") != "slot":
            return None
        name, value = each.get("name"), each.get("value")
        if not isinstance(name, str) or not _is_text(value) or not str(value).strip():
            return None
        wanted.append((domain.names.get(name, slot_name(name)), str(value)))
    return tuple(sorted(wanted))


def _buttons(said: Any, entry: Entry, project: Project) -> Iterator[tuple[str, str]]:
    for each in said if isinstance(said, list) else ():
        title = each.get("title") if isinstance(each, Mapping) else None
        payload = each.get("payload", title) if isinstance(each, Mapping) else None
        if not (_is_text(title) and _is_text(payload)):
            project.leave_out(entry, f"a button without title and payload: {each!r:.60}")
        elif str(title).strip() and str(payload).strip():
            yield str(title).strip(), str(payload).strip()
