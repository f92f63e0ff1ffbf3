"""Is what a company wrote an intent or a slot, and if not, what is wrong?

Pure. From mappings, as intents.yaml and the admin interface bring them, to intents and slots; and
back (`as_mapping`). A text that has a place for a slot nobody defined does not pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from core.data.records import OUT_OF_SCOPE
from core.errors import InvalidInput
from services.customer_service import fields
from services.customer_service.amounts import CURRENCY
from services.customer_service.answers import (
    KINDS,
    Case,
    Intent,
    Kind,
    QuickReply,
    Slot,
    Texts,
    placeholders,
)
from services.customer_service.fields import MAX_SYNONYMS, MAX_TEXTS, mapping, slot_value
from services.customer_service.forms_reading import (
    call_mapping,
    form_mapping,
    parse_call,
    parse_form,
)
from services.customer_service.slots import synonym_key

# An intent is named by the label in the training data, so nearly anything goes.
MAX_NAME: Final = 100
_SLOT_NAME = re.compile(r"[A-Za-z]\w{0,99}")
_MAX_CHANNEL = 50


def parse_slot(name: str, said: Any) -> Slot:
    """A slot from its mapping {kind, pattern, values, ask, synonyms, currency, past}, of which its
    kind says what may stand there. InvalidInput says what is wrong."""
    where = f"slot {name!r}"
    if not isinstance(name, str) or not _SLOT_NAME.fullmatch(name):
        raise InvalidInput(f"{where}: a name is a letter, then letters, digits and _")
    every = {key for keys in _KEYS_OF_KIND.values() for key in keys}
    given = mapping(said, where, ("kind", "ask", *sorted(every)))
    kind = _kind(given.get("kind"), where)
    for key in sorted(given):
        if key in every and key not in _KEYS_OF_KIND[kind] and given[key] is not None:
            raise InvalidInput(f"{where}: a slot of kind {kind} has no `{key}`")
    synonyms = _synonyms(given.get("synonyms"), f"{where}, synonyms")
    values, more = fields.values_with_words(given.get("values"), f"{where}, values")
    if kind == "lookup" and not (values or synonyms):
        raise InvalidInput(f"{where}: `values` must name at least one", mend="values: [Glow, Beam]")
    return Slot(
        name,
        fields.regex(given.get("pattern"), where, "pattern") if kind == "pattern" else "",
        fields.by_language(given.get("ask"), f"{where}, ask"),
        synonyms | more,
        kind=kind,
        values=values,
        currency=_currency(given.get("currency"), where),
        past=_flag(given, "past", where),
    )


def _kind(said: Any, where: str) -> Kind:
    for kind in KINDS:
        if said == kind:
            return kind
    if said is not None:
        raise InvalidInput(
            f"{where}: there is no kind {str(said)[:40]!r}", mend=f"Known are: {', '.join(KINDS)}."
        )
    return "pattern"


_KEYS_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "pattern": ("pattern", "synonyms"),
    "lookup": ("values", "synonyms"),
    "learned": ("synonyms",),
    "email": (),
    "date": ("past",),
    "amount": ("currency",),
    "text": (),
}


def _currency(said: Any, where: str) -> str:
    if said is None or (isinstance(said, str) and CURRENCY.fullmatch(said)):
        return said or ""
    raise InvalidInput(f"{where}: `currency` is a code such as EUR, was: {said!r:.40}")


def _flag(given: Mapping[str, Any], name: str, where: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise InvalidInput(f"{where}: `{name}` must be true or false, was: {value!r}")
    return value


def parse_intent(name: str, said: Any, slots: Mapping[str, Slot]) -> Intent:
    """An intent from its mapping. InvalidInput says what is wrong and where."""
    where = f"intent {name!r}"
    if not isinstance(name, str) or not _is_name(name):
        raise InvalidInput(f"{where}: a name has 1 to {MAX_NAME} printable characters")
    if name.casefold() == OUT_OF_SCOPE:
        raise InvalidInput(f"{where}: this name is kept for questions out of scope")
    given = mapping(said, where, [key for key in Intent.__dataclass_fields__ if key != "name"])
    askable = {slot.name: bool(slot.ask) for slot in slots.values()}
    intent = Intent(
        name=name,
        description=fields.by_language(given.get("description"), f"{where}, description"),
        **_said(given, where),
        handoff=_flag(given, "handoff", where),
        cases=_cases(given.get("cases"), slots, f"{where}, cases"),
        form=parse_form(given.get("form"), askable, f"{where}, form"),
        call=parse_call(given.get("call"), askable, f"{where}, call"),
    )
    _check_places(intent, slots, where)
    return intent


def _check_places(intent: Intent, slots: Mapping[str, Slot], where: str) -> None:
    """Whether each {name} in a text will have a value."""
    names = set(slots)
    if intent.form is not None:
        own = {each.slot for each in intent.form.fields}
        for text in intent.form.confirm.values():
            _check_text(text, own, f"{where}, form, confirm", "no slot of the form")
    if (intent.form is not None or intent.call is not None) and not intent.answers:
        raise InvalidInput(
            f"{where}: a form or call needs an answer for its end", mend="Give `answers`."
        )
    if intent.call is not None:
        names |= set(intent.call.replies)
        for case in intent.call.cases:
            for text in _all_texts(case.answers):
                _check_text(text, names, f"{where}, call, cases", "neither a slot nor in `reply`")
        if intent.form is None:
            _check_askable(intent.call.slots, slots, f"{where}, call")
    everything: list[Intent | Case] = [intent, *intent.cases]
    for said in everything:
        for text in _all_texts(said.answers):
            _check_text(text, names, where, "no slot")
        titles = (reply.title for replies in said.quick_replies.values() for reply in replies)
        for text in (*_all_texts(said.without_slots), *titles):
            if placeholders(text):
                raise InvalidInput(
                    f"{where}: a text that is said without slots has a place for one: {text[:60]!r}"
                )


def _check_askable(names: tuple[str, ...], slots: Mapping[str, Slot], where: str) -> None:
    for name in names:
        if not slots[name].ask:
            raise InvalidInput(
                f"{where}: the slot {name} says not how to ask for it",
                mend="Give the slot an `ask`, or the intent a `form`.",
            )


def _check_text(text: str, names: Set[str], where: str, otherwise: str) -> None:
    for name in placeholders(text):
        if name not in names:
            raise InvalidInput(
                f"{where}: an answer has a place for {{{name}}}, which is {otherwise}",
                mend=f"Known: {', '.join(sorted(names)) or 'none'}.",
            )


def as_mapping(intent: Intent) -> dict[str, Any]:
    """The mapping that `parse_intent` reads, without the name."""
    said = {
        "description": dict(intent.description),
        **_texts_of(intent),
        "handoff": intent.handoff,
        "cases": [
            {"when": {"channel": c.channel, "slots": dict(c.slots)}, **_texts_of(c)}
            for c in intent.cases
        ],
    }
    if intent.form is not None:
        said["form"] = form_mapping(intent.form)
    if intent.call is not None:
        said["call"] = call_mapping(intent.call)
    return said


def _texts_of(said: Intent | Case) -> dict[str, Any]:
    """A quick reply that sends its own title is a bare text."""
    return {
        "answers": {language: list(texts) for language, texts in said.answers.items()},
        "without_slots": {language: list(texts) for language, texts in said.without_slots.items()},
        "quick_replies": {
            language: [
                r.title if r.title == r.payload else {"title": r.title, "payload": r.payload}
                for r in replies
            ]
            for language, replies in said.quick_replies.items()
        },
    }


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip()


def _all_texts(texts: Texts) -> Iterator[str]:
    for variants in texts.values():
        yield from variants


def _said(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The three keys that an intent and each of its cases have."""
    return {
        "answers": fields.variants(values.get("answers"), f"{where}, answers"),
        "without_slots": fields.variants(values.get("without_slots"), f"{where}, without_slots"),
        "quick_replies": _replies(values.get("quick_replies"), f"{where}, quick_replies"),
    }


def _cases(said: Any, slots: Mapping[str, Slot], where: str) -> tuple[Case, ...]:
    if said is None:
        return ()
    if not isinstance(said, list) or len(said) > MAX_TEXTS:
        raise InvalidInput(f"{where}: expected a list of at most {MAX_TEXTS}, each with `when`")
    return tuple(_case(each, slots, f"{where}, number {n}") for n, each in enumerate(said, 1))


def _case(said: Any, slots: Mapping[str, Slot], where: str) -> Case:
    values = mapping(said, where, ("when", "answers", "without_slots", "quick_replies"))
    when = mapping(values.get("when"), f"{where}, when", ("channel", "slots"))
    channel, wanted = when.get("channel") or "", when.get("slots") or {}
    if not isinstance(channel, str) or len(channel) > _MAX_CHANNEL:
        raise InvalidInput(f"{where}: `channel` is a text of at most {_MAX_CHANNEL} characters")
    if not isinstance(wanted, Mapping) or not (channel or wanted):
        raise InvalidInput(
            f"{where}: `when` names no condition",
            mend="Write when: {channel: web}, or when: {slots: {plan: gold}}, or both.",
        )
    for name in wanted:
        if name not in slots:
            raise InvalidInput(
                f"{where}: the condition asks for {str(name)[:60]!r}, which is no slot",
                mend=f"Known slots: {', '.join(sorted(slots)) or 'none'}.",
            )
    case = Case(channel, {n: slot_value(v, where) for n, v in wanted.items()}, **_said(said, where))
    if not (case.answers or case.without_slots or case.quick_replies):
        raise InvalidInput(f"{where}: nothing is said", mend="Give `answers`.")
    return case


def _synonyms(said: Any, where: str) -> dict[str, str]:
    if said is None:
        return {}
    if not isinstance(said, Mapping) or len(said) > MAX_SYNONYMS:
        raise InvalidInput(f"{where}: expected at most {MAX_SYNONYMS} lines `word: value`")
    return {synonym_key(fields.text(str(w), where)): slot_value(v, where) for w, v in said.items()}


def _replies(said: Any, where: str) -> dict[str, tuple[QuickReply, ...]]:
    """{language: buttons}; one is a text, or {title, payload}."""
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise InvalidInput(f"{where}: expected a list of texts a language, such as {{en: [ … ]}}")
    found: dict[str, tuple[QuickReply, ...]] = {}
    for key, value in said.items():
        if not isinstance(value, list) or len(value) > MAX_TEXTS:
            raise InvalidInput(f"{where}, {key}: expected a list of at most {MAX_TEXTS}")
        if value:
            found[fields.language(key, where)] = tuple(_reply(each, where) for each in value)
    return found


def _reply(said: Any, where: str) -> QuickReply:
    if not isinstance(said, Mapping):
        title = fields.text(said, where)
        return QuickReply(title, title)
    values = mapping(said, where, ("title", "payload"))
    title = fields.text(values.get("title"), where)
    return QuickReply(title, fields.text(values.get("payload", title), where))
