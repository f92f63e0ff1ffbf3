"""What does a form ask next, and when does it end?

Pure. An intent's form is a list of slots that must be known before the intent is done. While one
is open the turn before says so (`OpenForm`, stored with the turn). What a message does, the first
that applies:

    leave       "cancel", "never mind", 算了
    ask         values came, or what came was none: the first slot that is missing, one at a time
    confirm     nothing is missing, and the form wants a yes
    finish      nothing is missing: the intent's own answer
    give_up     asked again twice and still no value that counts: a person takes over
    interrupt   another intent is sure, or a question that holds no value is answered by articles
                (`set_aside`): the form's question comes once more; where that happens again, or a
                person or another form is asked for, it is dropped
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from core.text import comparison_key
from services.customer_service.corrections import agrees, denies
from services.customer_service.domain import Decision
from services.customer_service.slots import Lookup, meant, synonym_key

# Repeats of one question before a person takes over.
MAX_REPEATS: Final = 2
MAX_FREE_TEXT: Final = 1000

_LEAVING_WORDS: Final = (
    "cancel|cancel it|cancel this|cancel that|please cancel|cancel please|never mind|nevermind"
    "|forget it|forget about it|stop|stop it|stop this|please stop|quit|exit|leave it|drop it"
    "|no forget it|ok forget it|i changed my mind|ive changed my mind|skip it|abort"
    "|算了|算了吧|取消|取消吧|不用了|不要了|不弄了|不办了|退出|停|停止|先不用了|还是算了|还是算了吧|算啦"
)
_LEAVING: Final = frozenset(_LEAVING_WORDS.split("|"))
_CONFIRMING_WORDS: Final = (
    "ok|okay|confirm|confirmed|i confirm|go ahead|please do|do it|yes thanks|yes thank you"
    "|yes go ahead|确认|确定|同意|好的谢谢|是的谢谢"
)
_CONFIRMING: Final = frozenset(_CONFIRMING_WORDS.split("|"))


@dataclass(frozen=True, slots=True)
class FormField:
    """One slot that a form needs. `ask`: the question, a language; empty: the slot's own. Its value
    must match `pattern` as a whole, or be one of `one_of`; `invalid` says so where it is not.
    `words`: other words, as a slot keeps its synonyms → the one of `one_of` that they stand for.
    """

    slot: str
    ask: Mapping[str, str] = field(default_factory=dict)
    pattern: str = ""
    one_of: tuple[str, ...] = ()
    invalid: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def settle(self, value: str) -> str | None:
        """The value in its one form; None where it is not allowed."""
        if self.pattern:
            return value if re.fullmatch(self.pattern, value) else None
        if self.one_of:
            key = synonym_key(value)
            same = (one for one in self.one_of if synonym_key(one) == key)
            return next(same, self.words.get(key))
        return value

    def chosen(self, text: str) -> str | None:
        """Which of `one_of` a whole message means; None where it names none."""
        lookup = Lookup({**self.words, **{value: value for value in self.one_of}})
        return meant(text, lookup.spans(text))


@dataclass(frozen=True, slots=True)
class Form:
    """`confirm`: asked before the end, a language; empty: no confirmation is wanted."""

    fields: tuple[FormField, ...]
    confirm: Mapping[str, str] = field(default_factory=dict)

    def of(self, slot: str) -> FormField | None:
        """The field of this slot."""
        return next((each for each in self.fields if each.slot == slot), None)


@dataclass(frozen=True, slots=True)
class OpenForm:
    """What a turn left open. `asked`: the slot asked for, "" for the confirmation; `repeats`: how
    often the same question came again; `back`: it was interrupted since the last value."""

    intent: str
    asked: str
    repeats: int = 0
    back: bool = False

    def as_mapping(self) -> dict[str, Any]:
        """As it is stored with a turn."""
        return asdict(self)


@dataclass(frozen=True)
class Heard:
    """One message. `decision`: what a pressed button or a sure intent would do; `new`: the values
    in it, `known`: all values by now; `bare`: it is a value and nothing else; `free`: the slots
    whose value is a whole message."""

    text: str
    decision: Decision | None = None
    pressed: bool = False
    new: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False
    free: Set[str] = frozenset()


Does = Literal["ask", "confirm", "finish", "leave", "give_up", "interrupt"]
Problem = Literal["", "invalid", "nothing", "no"]


@dataclass(frozen=True, slots=True)
class Step:
    """`values`: the slots as they are known now; `opened`: what stays open; `problem`: what was
    wrong with the message."""

    does: Does
    intent: str
    values: Mapping[str, str]
    opened: OpenForm | None = None
    problem: Problem = ""


def next_step(heard: Heard, opened: OpenForm | None, forms: Mapping[str, Form]) -> Step | None:
    """What a form does with the message; None: it is answered as if there were no form."""
    sure = None if heard.decision is None else heard.decision.intents[0]
    if opened is not None and _still_asks(opened, forms):
        form = forms[opened.intent]
        if not heard.pressed:
            if comparison_key(heard.text) in _LEAVING:
                return Step("leave", opened.intent, heard.known)
            given = _given(heard, opened, form)
            if sure in (None, opened.intent) or _is_answer(heard, opened, given):
                return _go_on(heard, opened, form, given)
        if sure not in forms and not opened.back and not _hands_over(heard):
            return Step("interrupt", opened.intent, heard.known, replace(opened, back=True))
    if sure is not None and sure in forms:
        return _begin(heard, sure, forms[sure])
    return None


def set_aside(step: Step, opened: OpenForm) -> Step | None:
    """What the form does instead where a message that it found nothing in is answered by something
    else: as with another intent, its question comes once more, and the second time it is dropped
    (None)."""
    if opened.back:
        return None
    return Step("interrupt", opened.intent, step.values, replace(opened, back=True))


def _still_asks(opened: OpenForm, forms: Mapping[str, Form]) -> bool:
    """Whoever edits a form while it is open ends it."""
    form = forms.get(opened.intent)
    if form is None:
        return False
    return bool(form.confirm) if not opened.asked else form.of(opened.asked) is not None


def _hands_over(heard: Heard) -> bool:
    return heard.decision is not None and heard.decision.action == "handoff"


def _confirms(text: str) -> bool:
    return agrees(text) or comparison_key(text) in _CONFIRMING


def _is_answer(heard: Heard, opened: OpenForm, given: Mapping[str, str]) -> bool:
    """Whether a message answers the form's question, though another intent is sure of it too."""
    if not opened.asked:
        return _confirms(heard.text) or denies(heard.text) or (heard.bare and bool(given))
    if opened.asked in heard.free or heard.bare:
        return opened.asked in given
    return opened.asked in given and not _hands_over(heard)


def _given(heard: Heard, opened: OpenForm, form: Form) -> dict[str, str]:
    """The values for this form that the message holds."""
    needed = {each.slot for each in form.fields}
    given = {name: value for name, value in heard.new.items() if name in needed}
    asked = form.of(opened.asked)
    # A number alone is what it is, and not the description that was asked for.
    if asked is not None and asked.slot in heard.free and not (heard.bare and given):
        value: str | None = heard.text[:MAX_FREE_TEXT]
        if asked.one_of:
            value = asked.chosen(heard.text)
        if value is not None:
            given[asked.slot] = value
    return given


def _begin(heard: Heard, intent: str, form: Form) -> Step:
    """What was said before counts, but for free text: that belonged to its own question."""
    own_text = {each.slot for each in form.fields} & heard.free
    known = {name: value for name, value in heard.known.items() if name not in own_text}
    values, wrong = _settled(form, known)
    step = _onward(intent, form, values)
    asked = "" if step.opened is None else step.opened.asked
    return replace(step, problem="invalid") if asked in wrong & set(heard.new) else step


def _go_on(heard: Heard, opened: OpenForm, form: Form, given: Mapping[str, str]) -> Step:
    values, wrong = _settled(form, {**heard.known, **given})
    accepted = {name for name in given if name not in wrong}
    if opened.asked in accepted or (not opened.asked and accepted and not wrong & set(given)):
        return _onward(opened.intent, form, values)
    if not opened.asked:
        if _confirms(heard.text):
            return Step("finish", opened.intent, values)
        if wrong & set(given):
            return replace(_onward(opened.intent, form, values), problem="invalid")
    problem: Problem = "nothing"
    if opened.asked in given:
        problem = "invalid"
    elif not opened.asked and denies(heard.text):
        problem = "no"
    if opened.repeats >= MAX_REPEATS:
        return Step("give_up", opened.intent, values, problem=problem)
    again = replace(opened, repeats=opened.repeats + 1)
    return Step("ask" if opened.asked else "confirm", opened.intent, values, again, problem)


def _settled(form: Form, known: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """(values in their one form, slots of the form whose value is not allowed)."""
    values, wrong = dict(known), set()
    for each in form.fields:
        if each.slot in known:
            settled = each.settle(known[each.slot])
            if settled is None:
                wrong.add(each.slot)
                del values[each.slot]
            else:
                values[each.slot] = settled
    return values, wrong


def _onward(intent: str, form: Form, values: Mapping[str, str]) -> Step:
    for each in form.fields:
        if each.slot not in values:
            return Step("ask", intent, values, OpenForm(intent, each.slot))
    if form.confirm:
        return Step("confirm", intent, values, OpenForm(intent, ""))
    return Step("finish", intent, values)
