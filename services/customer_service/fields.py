"""Is one field of what a company wrote as it should be?

Pure. Each function gives the value in its one form, or an InvalidInput that says where it stands,
what was expected and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.errors import InvalidInput
from services.customer_service.patterns import nests_endless_repeats
from services.customer_service.slots import synonym_key

LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
MAX_PATTERN: Final = 4000
MAX_TEXT: Final = 4000
MAX_TEXTS: Final = 50
MAX_SYNONYMS: Final = 2000


def mapping(said: Any, where: str, known: Sequence[str]) -> dict[str, Any]:
    """A mapping that has no other keys."""
    if not isinstance(said, Mapping):
        raise InvalidInput(f"{where}: expected a mapping with {', '.join(known)}")
    unknown = [str(key) for key in said if key not in known]
    if unknown:
        raise InvalidInput(
            f"{where}: unknown key {unknown[0][:60]!r}", mend=f"Known are: {', '.join(known)}."
        )
    return dict(said)


def entries(said: Any, where: str, most: int, what: str) -> list[Any]:
    """A list of at most so many; nothing is an empty one."""
    if said is None:
        return []
    if not isinstance(said, list) or len(said) > most:
        raise InvalidInput(f"{where}: expected a list of at most {most}{what}")
    return said


def by_language(said: Any, where: str) -> dict[str, str]:
    """{language: text}; a bare text stands for English."""
    if said is None:
        return {}
    if isinstance(said, str):
        said = {"en": said}
    if not isinstance(said, Mapping):
        raise InvalidInput(f"{where}: expected a text a language, such as {{en: …, zh: …}}")
    return {language(key, where): text(value, where) for key, value in said.items()}


def variants(said: Any, where: str) -> dict[str, tuple[str, ...]]:
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
            found[language(key, where)] = tuple(text(each, where) for each in texts)
    return found


def language(key: Any, where: str) -> str:
    """A tag of two or three letters."""
    if not isinstance(key, str) or not LANGUAGE.fullmatch(key):
        raise InvalidInput(f"{where}: a language is a tag such as en or zh, was: {str(key)[:20]!r}")
    return key


def text(value: Any, where: str) -> str:
    """A text with something to read in it, without blanks at its ends."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
        raise InvalidInput(f"{where}: expected a text of 1 to {MAX_TEXT} characters")
    return value.strip()


def slot_value(value: Any, where: str) -> str:
    """A number is written as one in YAML, and means its digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or str(value) == "":
        raise InvalidInput(f"{where}: the value of a slot is a text, was: {value!r:.40}")
    return text(str(value), where)


def values_with_words(
    said: Any, where: str, most: int = MAX_SYNONYMS
) -> tuple[tuple[str, ...], dict[str, str]]:
    """(values, at most `most`; synonyms, as a slot keeps them): from a list, or from
    {value: other words for it}."""
    if isinstance(said, Mapping):
        pairs = [(slot_value(value, where), words) for value, words in said.items()]
    else:
        pairs = [(slot_value(v, where), None) for v in entries(said, where, most, "")]
    synonyms = {
        synonym_key(slot_value(word, where)): value
        for value, words in pairs
        for word in entries(words, f"{where}, {value[:60]}", MAX_SYNONYMS, " other words")
    }
    if len(pairs) > most or len(pairs) + len(synonyms) > MAX_SYNONYMS:
        raise InvalidInput(
            f"{where}: expected at most {most} values, and {MAX_SYNONYMS} words in all"
        )
    return tuple(value for value, _ in pairs), synonyms


def regex(pattern: Any, where: str, name: str) -> str:
    """A regular expression that finds something and does not stand still."""
    if not isinstance(pattern, str) or not 0 < len(pattern) <= MAX_PATTERN:
        raise InvalidInput(f"{where}: `{name}` must be a text of 1 to {MAX_PATTERN} characters")
    try:
        if re.compile(pattern).match(""):
            raise InvalidInput(f"{where}: `{name}` must not match an empty text")
    except re.error as error:
        raise InvalidInput(f"{where}: `{name}` is no regular expression: {error}") from error
    if nests_endless_repeats(pattern):
        raise InvalidInput(
            f"{where}: `{name}` repeats a repetition without an end, which may take for ever",
            mend="Bound one of them: (a{1,20})+ for (a+)+.",
        )
    return pattern
