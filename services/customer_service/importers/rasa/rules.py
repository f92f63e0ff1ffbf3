"""Which intent is answered with which responses?

By rules and stories of one turn: one intent, or several with `or`, and then nothing but responses.
What else they can do (forms, custom actions, conditions, several turns) is told. A rule is
preferred to a story.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.customer_service.importers.rasa.domain import Domain
from services.customer_service.importers.rasa.nlu import OUT_OF_SCOPE_INTENTS
from services.customer_service.importers.rasa.project import Entry, Project

_RESPONSE: Final = "utter_"
_WAITING = "action_listen"
_IGNORED = ("metadata",)


@dataclass(frozen=True)
class Answered:
    """The responses that an intent is answered with, in order, and where that is said."""

    responses: tuple[str, ...]
    entry: Entry


class _NotTaken(Exception):
    """The reason why a rule or a story gives no answer."""


def read_answered(project: Project, domain: Domain) -> dict[str, Answered]:
    """Intent → what it is answered with; retrieval intents (faq/x → utter_faq/x) by their names."""
    answered: dict[str, Answered] = {}
    for section, kind in (("rules", "rule"), ("stories", "story")):
        for entry in project[section]:
            said = entry.said if isinstance(entry.said, Mapping) else {}
            named = Entry(entry.file, f"{kind} {str(said.get(kind, '?'))[:80]}", entry.said)
            try:
                intents, responses = _one_turn(said, domain)
            except _NotTaken as reason:
                project.leave_out(named, str(reason))
                continue
            for intent in intents:
                _add(intent, Answered(responses, named), answered, project)
    for intent, (action, entry) in domain.triggers.items():
        if action in domain.responses:
            _add(intent, Answered((action,), entry), answered, project)
        else:
            project.leave_out(entry, f"triggers {action}, which is no response")
    for name, response in domain.responses.items():
        if "/" in name:
            intent = name.removeprefix(_RESPONSE)
            answered.setdefault(intent, Answered((name,), response.entry))
    return answered


def _add(intent: str, found: Answered, answered: dict[str, Answered], project: Project) -> None:
    if intent.casefold() in OUT_OF_SCOPE_INTENTS:
        reason = "where nothing is known, the service has its own words"
        project.leave_out(found.entry, reason)
    elif not found.responses:
        return  # a retrieval action: its responses are found by name
    elif answered.setdefault(intent, found).responses != found.responses:
        first = answered[intent].entry.place
        project.leave_out(found.entry, f"{intent} is already answered by {first}")


def _one_turn(said: Mapping[str, Any], domain: Domain) -> tuple[list[str], tuple[str, ...]]:
    steps = said.get("steps")
    if not isinstance(steps, list) or not all(isinstance(s, Mapping) for s in steps):
        raise _NotTaken("expected `steps`, a list")
    if said.get("condition"):
        raise _NotTaken("it has a condition")
    asked = [n for n, step in enumerate(steps) if {"intent", "user", "or"} & set(step)]
    if len(asked) > 1:
        raise _NotTaken("several turns")
    if asked != [0]:
        raise _NotTaken("it does not begin with an intent")
    responses = []
    for step in steps[1:]:
        responses += _responses(step, domain)
    if len(steps) < 2 or all(step.get("action") == _WAITING for step in steps[1:]):
        raise _NotTaken("no response in it")
    return _intents(steps[0]), tuple(responses)


def _intents(step: Mapping[str, Any]) -> list[str]:
    options = step.get("or", [step])
    intents = []
    for option in options if isinstance(options, list) else []:
        others = [str(k) for k in option if k not in ("intent", *_IGNORED, "or")]
        if others:
            raise _NotTaken(f"its intent comes with `{others[0][:40]}`")
        if not isinstance(option.get("intent"), str):
            raise _NotTaken("its intent has no name")
        intents.append(option["intent"].strip())
    return intents


def _responses(step: Mapping[str, Any], domain: Domain) -> list[str]:
    others = [str(key) for key in step if key not in ("action", *_IGNORED)]
    if others:
        raise _NotTaken(f"a step with `{others[0][:40]}`")
    action = step.get("action")
    if action == _WAITING:
        return []
    if not isinstance(action, str) or not action.startswith(_RESPONSE):
        raise _NotTaken(f"the action {str(action)[:60]} is no response")
    if action in domain.responses:
        return [action]
    if any(name.startswith(f"{action}/") for name in domain.responses):
        return []
    raise _NotTaken(f"there is no response {action[:60]}")
