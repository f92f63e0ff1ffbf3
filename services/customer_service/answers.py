"""What may the bot say for an intent, and which slots does a message fill?

Pure. An `AnswerBook` holds what a company wrote (intents.yaml, or the admin interface), checked: an
answer that names a slot nobody defined never gets in. Languages are tags such as "en" and "zh".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from core.data.records import OUT_OF_SCOPE
from core.errors import InvalidInput

# An intent is named by the label in the training data, so nearly anything goes.
MAX_NAME: Final = 100
_SLOT_NAME = re.compile(r"[A-Za-z]\w{0,99}")
LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_PLACEHOLDER = re.compile(r"\{([A-Za-z]\w*)\}")
_MAX_PATTERN = 500
_MAX_VALUE = 200
_MAX_TEXT = 4000
_MAX_TEXTS = 50

Texts = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Slot:
    """A value that a message may hold, found by `pattern`; `ask`: how to ask for it, a language."""

    name: str
    pattern: str
    ask: Mapping[str, str] = field(default_factory=dict)

    def find(self, text: str) -> str | None:
        """The last value in the text: of two numbers, the later one corrects the earlier."""
        value = None
        for match in re.finditer(self.pattern, text):
            value = match.group()
        return value[:_MAX_VALUE] if value else None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is said for one intent. Texts are lists of variants by language.

    `answers` may hold {slot}; `without_slots` is said while such a slot is unknown. With `handoff`
    a person takes over after the answer.
    """

    name: str
    description: Mapping[str, str] = field(default_factory=dict)
    answers: Texts = field(default_factory=dict)
    without_slots: Texts = field(default_factory=dict)
    quick_replies: Texts = field(default_factory=dict)
    handoff: bool = False

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
        return {i.name: i.handoff for i in self.intents.values() if i.answers}

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
    """A slot from its mapping {pattern, ask}. InvalidInput says what is wrong."""
    where = f"slot {name!r}"
    if not isinstance(name, str) or not _SLOT_NAME.fullmatch(name):
        raise InvalidInput(f"{where}: a name is a letter, then letters, digits and _")
    values = _mapping(said, where, ("pattern", "ask"))
    pattern = values.get("pattern")
    if not isinstance(pattern, str) or not 0 < len(pattern) <= _MAX_PATTERN:
        raise InvalidInput(f"{where}: `pattern` must be a text of 1 to {_MAX_PATTERN} characters")
    try:
        if re.compile(pattern).match(""):
            raise InvalidInput(f"{where}: `pattern` must not match an empty text")
    except re.error as error:
        raise InvalidInput(f"{where}: `pattern` is no regular expression: {error}") from error
    return Slot(name, pattern, _by_language(values.get("ask"), f"{where}, ask"))


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
        answers=_variants(values.get("answers"), f"{where}, answers"),
        without_slots=_variants(values.get("without_slots"), f"{where}, without_slots"),
        quick_replies=_variants(values.get("quick_replies"), f"{where}, quick_replies"),
        handoff=handoff,
    )
    _check_placeholders(intent, slots, where)
    return intent


def as_mapping(intent: Intent) -> dict[str, Any]:
    """The mapping that `parse_intent` reads, without the name."""
    return {
        "description": dict(intent.description),
        "answers": {language: list(texts) for language, texts in intent.answers.items()},
        "without_slots": {language: list(t) for language, t in intent.without_slots.items()},
        "quick_replies": {language: list(t) for language, t in intent.quick_replies.items()},
        "handoff": intent.handoff,
    }


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip()


def _check_placeholders(intent: Intent, slots: Mapping[str, Slot], where: str) -> None:
    for text in _all_texts(intent.answers):
        for name in placeholders(text):
            if name not in slots:
                raise InvalidInput(
                    f"{where}: an answer has a place for {{{name}}}, which is no slot",
                    mend=f"Known slots: {', '.join(sorted(slots)) or 'none'}.",
                )
    for text in (*_all_texts(intent.without_slots), *_all_texts(intent.quick_replies)):
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


def _variants(said: Any, where: str) -> dict[str, tuple[str, ...]]:
    """{language: variants}; a bare text is one variant."""
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise InvalidInput(f"{where}: expected a list of texts a language, such as {{en: [ … ]}}")
    found: dict[str, tuple[str, ...]] = {}
    for key, value in said.items():
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or len(texts) > _MAX_TEXTS:
            raise InvalidInput(f"{where}, {key}: expected a list of at most {_MAX_TEXTS} texts")
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
