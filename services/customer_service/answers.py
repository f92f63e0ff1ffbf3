"""What may the bot say for an intent, and which slots does a message fill?

Pure. An `AnswerBook` holds what a company wrote (intents.yaml, or the admin interface), checked: an
answer that names a slot nobody defined never gets in. Languages are tags such as "en" and "zh".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from core.data.records import OUT_OF_SCOPE
from core.errors import InvalidInput
from services.customer_service.patterns import nests_endless_repeats

# An intent is named by the label in the training data, so nearly anything goes.
MAX_NAME: Final = 100
_SLOT_NAME = re.compile(r"[A-Za-z]\w{0,99}")
LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_PLACEHOLDER = re.compile(r"\{([A-Za-z]\w*)\}")
MAX_PATTERN: Final = 4000
_MAX_VALUE = 200
_MAX_TEXT = 4000
MAX_TEXTS: Final = 50
MAX_SYNONYMS: Final = 2000
_MAX_CHANNEL = 50

Texts = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Slot:
    """A value that a message may hold, found by `pattern`; `ask`: how to ask for it, a language.

    `synonyms`: what is found, case-folded and with single spaces → the value that it stands for.
    """

    name: str
    pattern: str
    ask: Mapping[str, str] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def find(self, text: str) -> str | None:
        """The last value in the text: of two numbers, the later one corrects the earlier."""
        value = None
        for match in re.finditer(self.pattern, text):
            value = match.group()
        if not value:
            return None
        return self.synonyms.get(synonym_key(value), value[:_MAX_VALUE])


@dataclass(frozen=True, slots=True)
class QuickReply:
    """A button: `title` is shown, `payload` is the message that pressing it sends."""

    title: str
    payload: str


Replies = Mapping[str, tuple[QuickReply, ...]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is said instead on `channel` ("" is any) while each of `slots` has the value named."""

    channel: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    answers: Texts = field(default_factory=dict)
    without_slots: Texts = field(default_factory=dict)
    quick_replies: Replies = field(default_factory=dict)

    def holds(self, channel: str, values: Mapping[str, str]) -> bool:
        """Upper and lower case of a value are the same."""
        return self.channel in ("", channel) and all(
            name in values and values[name].casefold() == value.casefold()
            for name, value in self.slots.items()
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """What is said for one intent. Texts are lists of variants by language.

    `answers` may hold {slot}; `without_slots` is said while such a slot is unknown. With `handoff`
    a person takes over after the answer. Of `cases`, the first that holds is said instead.
    """

    name: str
    description: Mapping[str, str] = field(default_factory=dict)
    answers: Texts = field(default_factory=dict)
    without_slots: Texts = field(default_factory=dict)
    quick_replies: Replies = field(default_factory=dict)
    handoff: bool = False
    cases: tuple[Case, ...] = ()

    @property
    def speaks(self) -> bool:
        """Whether there is any answer, be it in one case alone."""
        return bool(self.answers) or any(case.answers for case in self.cases)

    def in_case(self, channel: str, values: Mapping[str, str]) -> Intent:
        """The intent with what its first case that holds says; what that lacks, also in a language,
        stays."""
        for case in self.cases:
            if case.holds(channel, values):
                return replace(
                    self,
                    answers={**self.answers, **case.answers},
                    without_slots={**self.without_slots, **case.without_slots},
                    quick_replies={**self.quick_replies, **case.quick_replies},
                )
        return self

    def title(self, language: str) -> str:
        """What a button says: the description in this language, else in any, else the name."""
        chosen = self.description.get(language) or next(iter(self.description.values()), "")
        return chosen or self.name.replace("_", " ").capitalize()


@dataclass(frozen=True)
class AnswerBook:
    """All intents and slots by name."""

    intents: Mapping[str, Intent] = field(default_factory=dict)
    slots: Mapping[str, Slot] = field(default_factory=dict)

    @property
    def hands_off(self) -> dict[str, bool]:
        """Each intent that has an answer, and whether a person takes over after it."""
        return {i.name: i.handoff for i in self.intents.values() if i.speaks}

    def find_slots(self, text: str) -> dict[str, str]:
        """The slot values that a message holds."""
        found = {name: slot.find(text) for name, slot in self.slots.items()}
        return {name: value for name, value in found.items() if value is not None}

    def without_values(self, text: str) -> str:
        """The message with all slot values taken out."""
        for slot in self.slots.values():
            text = re.sub(slot.pattern, " ", text)
        return text


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the slots that a template has a place for, in order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def parse_slot(name: str, said: Any) -> Slot:
    """A slot from its mapping {pattern, ask, synonyms}. InvalidInput says what is wrong."""
    where = f"slot {name!r}"
    if not isinstance(name, str) or not _SLOT_NAME.fullmatch(name):
        raise InvalidInput(f"{where}: a name is a letter, then letters, digits and _")
    values = _mapping(said, where, ("pattern", "ask", "synonyms"))
    pattern = values.get("pattern")
    if not isinstance(pattern, str) or not 0 < len(pattern) <= MAX_PATTERN:
        raise InvalidInput(f"{where}: `pattern` must be a text of 1 to {MAX_PATTERN} characters")
    try:
        if re.compile(pattern).match(""):
            raise InvalidInput(f"{where}: `pattern` must not match an empty text")
    except re.error as error:
        raise InvalidInput(f"{where}: `pattern` is no regular expression: {error}") from error
    if nests_endless_repeats(pattern):
        raise InvalidInput(
            f"{where}: `pattern` repeats a repetition without an end, which may take for ever",
            mend="Bound one of them: (a{1,20})+ for (a+)+.",
        )
    ask = _by_language(values.get("ask"), f"{where}, ask")
    return Slot(name, pattern, ask, _synonyms(values.get("synonyms"), f"{where}, synonyms"))


def parse_intent(name: str, said: Any, slots: Mapping[str, Slot]) -> Intent:
    """An intent from its mapping. InvalidInput says what is wrong and where."""
    where = f"intent {name!r}"
    if not isinstance(name, str) or not _is_name(name):
        raise InvalidInput(f"{where}: a name has 1 to {MAX_NAME} printable characters")
    if name.casefold() == OUT_OF_SCOPE:
        raise InvalidInput(f"{where}: this name is kept for questions out of scope")
    values = _mapping(said, where, Intent.__dataclass_fields__)
    handoff = values.get("handoff", False)
    if not isinstance(handoff, bool):
        raise InvalidInput(f"{where}: `handoff` must be true or false, was: {handoff!r}")
    intent = Intent(
        name=name,
        description=_by_language(values.get("description"), f"{where}, description"),
        **_said(values, where),
        handoff=handoff,
        cases=_cases(values.get("cases"), slots, f"{where}, cases"),
    )
    _check_placeholders(intent, slots, where)
    for case in intent.cases:
        _check_placeholders(case, slots, where)
    return intent


def as_mapping(intent: Intent) -> dict[str, Any]:
    """The mapping that `parse_intent` reads, without the name."""
    return {
        "description": dict(intent.description),
        **_texts_of(intent),
        "handoff": intent.handoff,
        "cases": [
            {"when": {"channel": c.channel, "slots": dict(c.slots)}, **_texts_of(c)}
            for c in intent.cases
        ],
    }


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


def _check_placeholders(said: Intent | Case, slots: Mapping[str, Slot], where: str) -> None:
    for text in _all_texts(said.answers):
        for name in placeholders(text):
            if name not in slots:
                raise InvalidInput(
                    f"{where}: an answer has a place for {{{name}}}, which is no slot",
                    mend=f"Known slots: {', '.join(sorted(slots)) or 'none'}.",
                )
    titles = (reply.title for replies in said.quick_replies.values() for reply in replies)
    for text in (*_all_texts(said.without_slots), *titles):
        if placeholders(text):
            raise InvalidInput(
                f"{where}: a text that is said without slots has a place for one: {text[:60]!r}"
            )


def _all_texts(texts: Texts) -> Iterator[str]:
    for variants in texts.values():
        yield from variants


def _mapping(said: Any, where: str, known: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(said, Mapping):
        raise InvalidInput(f"{where}: expected a mapping with {', '.join(known)}")
    unknown = [str(key) for key in said if key not in known or key == "name"]
    if unknown:
        raise InvalidInput(
            f"{where}: unknown key {unknown[0]!r}",
            mend=f"Known are: {', '.join(k for k in known if k != 'name')}.",
        )
    return dict(said)


def _by_language(said: Any, where: str) -> dict[str, str]:
    """{language: text}; a bare text stands for English."""
    if said is None:
        return {}
    if isinstance(said, str):
        said = {"en": said}
    if not isinstance(said, Mapping):
        raise InvalidInput(f"{where}: expected a text a language, such as {{en: …, zh: …}}")
    return {_language(key, where): _text(value, where) for key, value in said.items()}


def _said(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The three keys that an intent and each of its cases have."""
    return {
        "answers": _variants(values.get("answers"), f"{where}, answers"),
        "without_slots": _variants(values.get("without_slots"), f"{where}, without_slots"),
        "quick_replies": _replies(values.get("quick_replies"), f"{where}, quick_replies"),
    }


def _cases(said: Any, slots: Mapping[str, Slot], where: str) -> tuple[Case, ...]:
    if said is None:
        return ()
    if not isinstance(said, list) or len(said) > MAX_TEXTS:
        raise InvalidInput(f"{where}: expected a list of at most {MAX_TEXTS}, each with `when`")
    return tuple(_case(each, slots, f"{where}, number {n}") for n, each in enumerate(said, 1))


def _case(said: Any, slots: Mapping[str, Slot], where: str) -> Case:
    values = _mapping(said, where, ("when", "answers", "without_slots", "quick_replies"))
    when = _mapping(values.get("when"), f"{where}, when", ("channel", "slots"))
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
    case = Case(
        channel, {n: _slot_value(v, where) for n, v in wanted.items()}, **_said(said, where)
    )
    if not (case.answers or case.without_slots or case.quick_replies):
        raise InvalidInput(f"{where}: nothing is said", mend="Give `answers`.")
    return case


def _slot_value(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or str(value) == "":
        raise InvalidInput(f"{where}: the value of a slot is a text, was: {value!r:.40}")
    return _text(str(value), where)


def synonym_key(text: str) -> str:
    """Under what a synonym is kept: case-folded, with single spaces."""
    return " ".join(text.casefold().split())


def _synonyms(said: Any, where: str) -> dict[str, str]:
    if said is None:
        return {}
    if not isinstance(said, Mapping) or len(said) > MAX_SYNONYMS:
        raise InvalidInput(f"{where}: expected at most {MAX_SYNONYMS} lines `word: value`")
    return {synonym_key(_text(str(w), where)): _slot_value(v, where) for w, v in said.items()}


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
            found[_language(key, where)] = tuple(_reply(each, where) for each in value)
    return found


def _reply(said: Any, where: str) -> QuickReply:
    if not isinstance(said, Mapping):
        title = _text(said, where)
        return QuickReply(title, title)
    values = _mapping(said, where, ("title", "payload"))
    title = _text(values.get("title"), where)
    return QuickReply(title, _text(values.get("payload", title), where))


def _variants(said: Any, where: str) -> dict[str, tuple[str, ...]]:
    """{language: variants}; a bare text is one variant."""
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise InvalidInput(f"{where}: expected a list of texts a language, such as {{en: [ … ]}}")
    found: dict[str, tuple[str, ...]] = {}
    for key, value in said.items():
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or len(texts) > MAX_TEXTS:
            raise InvalidInput(f"{where}, {key}: expected a list of at most {MAX_TEXTS} texts")
        if texts:
            found[_language(key, where)] = tuple(_text(text, where) for text in texts)
    return found


def _language(key: Any, where: str) -> str:
    if not isinstance(key, str) or not LANGUAGE.fullmatch(key):
        raise InvalidInput(f"{where}: a language is a tag such as en or zh, was: {str(key)[:20]!r}")
    return key


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT:
        raise InvalidInput(f"{where}: expected a text of 1 to {_MAX_TEXT} characters")
    return value.strip()
