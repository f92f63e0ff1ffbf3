"""Is what a company wrote a form or a call, and if not, what is wrong?

Pure. From mappings, as intents.yaml and the admin interface bring them, and back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from core.errors import InvalidInput
from services.customer_service import fields
from services.customer_service.calls import (
    DEFAULT_SECONDS,
    LONGEST_SECONDS,
    Call,
    CallCase,
    is_plain,
)
from services.customer_service.fields import by_language, entries, mapping
from services.customer_service.forms import Form, FormField

MAX_FIELDS: Final = 20
_MAX_CASES: Final = 50
_MAX_URL: Final = 2000
_CALL_NAME = re.compile(r"[A-Za-z][\w.-]{0,49}")
_KEY = re.compile(r"[A-Za-z]\w{0,99}")


def parse_form(said: Any, askable: Mapping[str, bool], where: str) -> Form | None:
    """A form from {slots: [{slot, ask, validate, invalid}], confirm}; None from None. `askable`:
    each slot that there is, and whether it says how to ask for it."""
    if said is None:
        return None
    given = mapping(said, where, ("slots", "confirm"))
    listed = entries(given.get("slots"), f"{where}, slots", MAX_FIELDS, ", each with `slot`")
    if not listed:
        raise InvalidInput(f"{where}: asks for nothing", mend="slots: [{slot: order_number}]")
    asked = tuple(_field(each, askable, f"{where}, number {n}") for n, each in enumerate(listed, 1))
    names = [each.slot for each in asked]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{where}: asks twice for {twice}")
    return Form(asked, by_language(given.get("confirm"), f"{where}, confirm"))


def _field(said: Any, askable: Mapping[str, bool], where: str) -> FormField:
    if isinstance(said, str):
        said = {"slot": said}
    given = mapping(said, where, ("slot", "ask", "validate", "invalid"))
    slot = _known(given.get("slot"), askable, where)
    ask = by_language(given.get("ask"), f"{where}, ask")
    if not ask and not askable[slot]:
        raise InvalidInput(f"{where}: nobody says how to ask for {slot}", mend="Give `ask`.")
    valid = given.get("validate")
    one_of, words = _one_of(valid, f"{where}, validate")
    pattern = "" if valid is None or one_of else fields.regex(valid, where, "validate")
    return FormField(slot, ask, pattern, one_of, by_language(given.get("invalid"), where), words)


def _one_of(said: Any, where: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """(values, other words for them) of a list or a mapping, nothing of anything else."""
    if not isinstance(said, list | Mapping):
        return (), {}
    if not said:
        raise InvalidInput(f"{where}: the list is empty, so nothing would be valid")
    return fields.values_with_words(said, where, fields.MAX_TEXTS)


def _known(name: Any, askable: Mapping[str, bool], where: str) -> str:
    if not isinstance(name, str) or name not in askable:
        raise InvalidInput(
            f"{where}: {str(name)[:60]!r} is no slot",
            mend=f"Known slots: {', '.join(sorted(askable)) or 'none'}.",
        )
    return name


def parse_call(said: Any, askable: Mapping[str, bool], where: str) -> Call | None:
    """A call from {name, url, slots, reply, timeout, cases}; None from None."""
    if said is None:
        return None
    given = mapping(said, where, _CALL)
    name, url = given.get("name"), given.get("url")
    if not isinstance(name, str) or not _CALL_NAME.fullmatch(name):
        raise InvalidInput(f"{where}: `name` is a letter, then letters, digits, _ . and -")
    if not isinstance(url, str) or len(url) > _MAX_URL or not is_plain(url):
        raise InvalidInput(
            f"{where}: `url` must be a path such as /orders/status, or an http address",
            mend="Without user names, fragments, `..` and %-escapes.",
        )
    slots = entries(given.get("slots"), f"{where}, slots", MAX_FIELDS, " slots")
    replies = entries(given.get("reply"), f"{where}, reply", MAX_FIELDS, " keys")
    keys = tuple(_key(key, f"{where}, reply") for key in replies)
    cases = entries(given.get("cases"), f"{where}, cases", _MAX_CASES, ", each with `when`")
    return Call(
        name,
        url,
        tuple(dict.fromkeys(_known(slot, askable, f"{where}, slots") for slot in slots)),
        tuple(dict.fromkeys(keys)),
        _seconds(given.get("timeout"), where),
        tuple(_case(each, f"{where}, cases, number {n}") for n, each in enumerate(cases, 1)),
    )


_CALL: Final = ("name", "url", "slots", "reply", "timeout", "cases")


def _key(said: Any, where: str) -> str:
    if not isinstance(said, str) or not _KEY.fullmatch(said):
        raise InvalidInput(f"{where}: a key is a letter, then letters, digits and _")
    return said


def _seconds(said: Any, where: str) -> float:
    if said is None:
        return DEFAULT_SECONDS
    number = isinstance(said, int | float) and not isinstance(said, bool)
    if not number or not 0 < said <= LONGEST_SECONDS:
        raise InvalidInput(
            f"{where}: `timeout` is above 0 and at most {LONGEST_SECONDS:g} seconds, "
            f"was: {said!r:.40}"
        )
    return float(said)


def _case(said: Any, where: str) -> CallCase:
    given = mapping(said, where, ("when", "answers"))
    when = given.get("when")
    if not isinstance(when, Mapping) or not 0 < len(when) <= MAX_FIELDS:
        raise InvalidInput(f"{where}: `when` names no key of the reply", mend="when: {found: no}")
    answers = fields.variants(given.get("answers"), f"{where}, answers")
    if not answers:
        raise InvalidInput(f"{where}: nothing is said", mend="Give `answers`.")
    return CallCase({_key(k, where): _fact(v, where) for k, v in when.items()}, answers)


def _fact(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return fields.slot_value(value, where)


def form_mapping(form: Form) -> dict[str, Any]:
    """The mapping that `parse_form` reads."""
    return {
        "slots": [
            {
                "slot": each.slot,
                "ask": dict(each.ask),
                "validate": _validated(each),
                "invalid": dict(each.invalid),
            }
            for each in form.fields
        ],
        "confirm": dict(form.confirm),
    }


def _validated(asked: FormField) -> Any:
    if not asked.words:
        return list(asked.one_of) or asked.pattern or None
    of_value: dict[str, list[str]] = {value: [] for value in asked.one_of}
    for word, value in asked.words.items():
        of_value[value].append(word)
    return of_value


def call_mapping(call: Call) -> dict[str, Any]:
    """The mapping that `parse_call` reads."""
    return {
        "name": call.name,
        "url": call.url,
        "slots": list(call.slots),
        "reply": list(call.replies),
        "timeout": call.timeout,
        "cases": [
            {
                "when": dict(case.when),
                "answers": {language: list(texts) for language, texts in case.answers.items()},
            }
            for case in call.cases
        ],
    }


def read_form(stored: Mapping[str, Any]) -> Form:
    """What `form_mapping` made, as it was before; nothing is checked again."""
    return Form(tuple(_read_field(each) for each in stored["slots"]), stored["confirm"])


def _read_field(stored: Mapping[str, Any]) -> FormField:
    valid = stored["validate"]
    words = valid if isinstance(valid, dict) else {}
    return FormField(
        stored["slot"],
        stored["ask"],
        valid if isinstance(valid, str) else "",
        tuple(valid) if isinstance(valid, list | dict) else (),
        stored["invalid"],
        {word: value for value, others in words.items() for word in others},
    )


def read_call(stored: Mapping[str, Any]) -> Call:
    """What `call_mapping` made, as it was before; nothing is checked again."""
    return Call(
        stored["name"],
        stored["url"],
        tuple(stored["slots"]),
        tuple(stored["reply"]),
        stored["timeout"],
        tuple(
            CallCase(
                case["when"],
                {language: tuple(texts) for language, texts in case["answers"].items()},
            )
            for case in stored["cases"]
        ),
    )
