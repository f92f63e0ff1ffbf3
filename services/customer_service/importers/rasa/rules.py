"""Which intent is answered with which responses, and which one begins a form?

By rules and stories of one turn: one intent, or several with `or`, and then nothing but responses;
or a form, and behind it, or in a rule of its own, the responses that it ends with. What else they
can do (custom actions, conditions, several turns) is told. A rule is preferred to a story.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.customer_service.importers.rasa.domain import Domain
from services.customer_service.importers.rasa.nlu import OUT_OF_SCOPE_INTENTS
from services.customer_service.importers.rasa.project import Entry, Project

_RESPONSE: Final = "utter_"
_WAITING = "action_listen"
_IGNORED = ("metadata",)
_LOOP, _SLOT = "active_loop", "slot_was_set"
Step = Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """The responses that an intent is answered with, in order, and where that is said; `form`:
    what is asked before them, "" for nothing."""

    responses: tuple[str, ...]
    entry: Entry
    form: str = ""


@dataclass(frozen=True)
class _Course:
    """What a rule or a story does: after one of `intents` the `form` asks, if there is one, and
    then come the `responses`. Without intents it is the end of the form alone; without responses
    the form has its end elsewhere."""

    entry: Entry
    intents: tuple[str, ...]
    responses: tuple[str, ...]
    form: str = ""


class _NotTaken(Exception):
    """The reason why a rule or a story gives no answer."""


def read_answered(project: Project, domain: Domain) -> dict[str, Answered]:
    """Intent → what it is answered with; retrieval intents (faq/x → utter_faq/x) by their names."""
    answered: dict[str, Answered] = {}
    courses = [*_courses(project, domain), *_triggered(project, domain)]
    ends = _ends(courses, project)
    for course in courses:
        responses = ends.get(course.form, ()) if course.form else course.responses
        if course.intents and course.form and not responses:
            reason = f"nothing that was taken says what comes after the form {course.form[:80]}"
            project.leave_out(course.entry, reason)
            continue
        for intent in course.intents:
            _add(intent, Answered(responses, course.entry, course.form), answered, project)
    for name, response in domain.responses.items():
        if "/" in name:
            intent = name.removeprefix(_RESPONSE)
            answered.setdefault(intent, Answered((name,), response.entry))
    begun = {course.form for course in courses if course.intents}
    for name, form in domain.forms.items():
        if name not in begun:
            project.leave_out(form.entry, "no rule or story that was taken begins it")
    return answered


def _courses(project: Project, domain: Domain) -> Iterator[_Course]:
    for section, kind in (("rules", "rule"), ("stories", "story")):
        for entry in project[section]:
            said = entry.said if isinstance(entry.said, Mapping) else {}
            named = Entry(entry.file, f"{kind} {str(said.get(kind, '?'))[:80]}", entry.said)
            try:
                yield _course(named, said, project, domain)
            except _NotTaken as reason:
                project.leave_out(named, str(reason))


def _triggered(project: Project, domain: Domain) -> Iterator[_Course]:
    for intent, (action, entry) in domain.triggers.items():
        if action in domain.responses:
            yield _Course(entry, (intent,), (action,))
        elif action in domain.forms:
            yield _Course(entry, (intent,), (), action)
        else:
            project.leave_out(entry, f"triggers {action}, which is no response")


def _ends(courses: Sequence[_Course], project: Project) -> dict[str, tuple[str, ...]]:
    """Form → the responses that it ends with."""
    ends: dict[str, tuple[str, ...]] = {}
    for course in courses:
        if course.form and course.responses:
            kept = ends.setdefault(course.form, course.responses)
            if kept != course.responses:
                reason = f"the form {course.form[:80]} already ends with {', '.join(kept)[:120]}"
                project.leave_out(course.entry, reason)
    return ends


def _add(intent: str, found: Answered, answered: dict[str, Answered], project: Project) -> None:
    if intent.casefold() in OUT_OF_SCOPE_INTENTS:
        reason = "where nothing is known, the service has its own words"
        project.leave_out(found.entry, reason)
    elif not found.responses:
        return  # a retrieval action: its responses are found by name
    else:
        first = answered.setdefault(intent, found)
        if (first.responses, first.form) != (found.responses, found.form):
            reason = f"{intent} is already answered by {first.entry.place}"
            project.leave_out(found.entry, reason)


# --- the steps of one ----------------------------------------------------------------------------


def _course(entry: Entry, said: Mapping[str, Any], project: Project, domain: Domain) -> _Course:
    steps = said.get("steps")
    if not isinstance(steps, list) or not all(isinstance(s, Mapping) for s in steps):
        raise _NotTaken("expected `steps`, a list")
    inside = _inside(said.get("condition"), domain)
    asked = [n for n, step in enumerate(steps) if {"intent", "user", "or"} & set(step)]
    if inside:
        if asked:
            raise _NotTaken("in the middle of a form; what is sure is answered there by its own")
        return _Course(entry, (), _end(steps, inside, domain), inside)
    if len(asked) > 1:
        raise _NotTaken("several turns")
    if asked != [0]:
        raise _NotTaken("it does not begin with an intent")
    intents = tuple(_intents(steps[0]))
    begins = next((n for n, s in enumerate(steps) if _form_of(s) in domain.forms), None)
    if begins is not None:
        return _with_form(entry, intents, steps, begins, project, domain)
    if len(steps) < 2 or all(step.get("action") == _WAITING for step in steps[1:]):
        raise _NotTaken("no response in it")
    return _Course(entry, intents, tuple(_all_responses(steps[1:], domain)))


def _inside(condition: Any, domain: Domain) -> str:
    """The form that a rule holds in, "" for one without a condition."""
    if not condition:
        return ""
    only = condition[0] if isinstance(condition, list) and len(condition) == 1 else None
    form = only.get(_LOOP) if isinstance(only, Mapping) and set(only) == {_LOOP} else None
    if not isinstance(form, str) or form not in domain.forms:
        raise _NotTaken("it has a condition")
    return form


def _form_of(step: Step) -> str:
    """The form that a step names, "" for none."""
    name = step.get("action", step.get(_LOOP))
    return name if isinstance(name, str) else ""


def _with_form(
    entry: Entry,
    intents: tuple[str, ...],
    steps: Sequence[Step],
    begins: int,
    project: Project,
    domain: Domain,
) -> _Course:
    form = _form_of(steps[begins])
    rest = [s for s in steps[begins:] if s != {_LOOP: form}]
    open_still = all(_form_of(s) in (form, _WAITING) or _is_asking(s) for s in rest)
    responses = () if open_still else _end(rest, form, domain)
    before = _all_responses(steps[1:begins], domain)
    if before:
        reason = f"{', '.join(before)[:120]}: before the form {form[:80]} nothing is said"
        project.leave_out(entry, reason)
    return _Course(entry, intents, responses, form)


def _end(steps: Sequence[Step], form: str, domain: Domain) -> tuple[str, ...]:
    """The responses after the form has closed."""
    closed = next((n for n, s in enumerate(steps) if _LOOP in s and s[_LOOP] is None), None)
    if closed is None:
        raise _NotTaken(f"the form {form[:80]} does not end in it")
    for step in steps[:closed]:
        if _form_of(step) != form and not _is_asking(step):
            raise _NotTaken("it depends on what happens in the form")
    responses = _all_responses([s for s in steps[closed + 1 :] if not _is_asking(s)], domain)
    if not responses:
        raise _NotTaken(f"no response after the form {form[:80]}")
    return tuple(responses)


def _is_asking(step: Step) -> bool:
    """Whether a step only says which slot the form asks for at that place."""
    said = step.get(_SLOT)
    each = said if isinstance(said, list) else [said]
    return _SLOT in step and all(
        one == "requested_slot" or (isinstance(one, Mapping) and set(one) == {"requested_slot"})
        for one in each
    )


def _intents(step: Step) -> list[str]:
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


def _all_responses(steps: Sequence[Step], domain: Domain) -> list[str]:
    return [name for step in steps for name in _responses(step, domain)]


def _responses(step: Step, domain: Domain) -> list[str]:
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
