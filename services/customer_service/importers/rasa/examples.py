"""What does a training example of Rasa say, and which entities stand in it?

    from [Paris](city) to [the Big Apple]{"entity": "city", "role": "destination", "value": "NYC"}

Offsets count characters of the text without the marks, from 0, the end exclusive.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput

# `[text]`, then `(entity)`, `(entity:value)`, `{…}` or `[{…}, {…}]`.
_MARK = re.compile(
    r"\[([^\[\]]{1,1000})\]"
    r"(?:\(([^():]{1,200})(?::([^()]{0,1000}))?\)|(\{[^{}]{0,2000}\})|\[(\{[^\[\]]{0,4000}\})\])"
)
_OPEN_MARK = re.compile(r"\[[^\[\]]*\](?:[({]|\[\{)")
_KEYS = ("entity", "role", "group", "value")


@dataclass(frozen=True, slots=True)
class Entity:
    """Characters `start` to `end`; `value` is what the words stand for, the words themselves where
    nothing else is said."""

    start: int
    end: int
    entity: str
    value: str
    role: str = ""
    group: str = ""

    @property
    def label(self) -> str:
        """What a tagger learns: with its role, `city.destination`."""
        return f"{self.entity}.{self.role}" if self.role else self.entity


@dataclass(frozen=True, slots=True)
class Example:
    """The text without its marks. `nested`: of words with two entities only the first is kept."""

    text: str
    entities: tuple[Entity, ...] = ()
    nested: bool = False


def parse_example(marked: str) -> Example:
    """An example from its line. InvalidInput for a mark that is not closed or is no JSON."""
    marked = " ".join(marked.split())
    text = ""
    entities = []
    position = 0
    nested = False
    for mark in _MARK.finditer(marked):
        text += _plain(marked[position : mark.start()])
        words = mark[1]
        start = len(text)
        text += words
        position = mark.end()
        said = _said(mark)
        nested |= len(said) > 1
        entities.append(_entity(start, words, said[0]))
    text += _plain(marked[position:])
    if not text.strip():
        raise InvalidInput("the example is empty")
    return Example(text, tuple(entities), nested)


def _plain(text: str) -> str:
    if broken := _OPEN_MARK.search(text):
        raise InvalidInput(f"the entity behind {broken[0][:60]!r} cannot be read")
    return text


def _said(mark: re.Match[str]) -> list[dict[str, Any]]:
    if mark[2] is not None:
        value = mark[3]
        return [{"entity": mark[2].strip(), **({} if value is None else {"value": value.strip()})}]
    written = mark[4] or f"[{mark[5]}]"
    try:
        found = json.loads(written)
    except ValueError as error:
        raise InvalidInput(f"{written[:60]!r} is no JSON: {error}") from error
    return found if isinstance(found, list) else [found]


def _entity(start: int, words: str, said: Any) -> Entity:
    if not isinstance(said, dict):
        raise InvalidInput(f"expected an entity behind [{words[:40]}], found {said!r:.40}")
    unknown = [key for key in said if key not in _KEYS]
    if unknown:
        raise InvalidInput(f"unknown key {unknown[0][:40]!r}; known are {', '.join(_KEYS)}")
    values = {key: _text(value) for key, value in said.items()}
    if not values.get("entity"):
        raise InvalidInput(f"no entity behind [{words[:40]}]")
    if not words.strip():
        raise InvalidInput("an entity of spaces alone")
    return Entity(
        start,
        start + len(words),
        values["entity"],
        values.get("value") or words,
        values.get("role", ""),
        values.get("group", ""),
    )


def _text(value: Any) -> str:
    if isinstance(value, bool | dict | list) or value is None:
        raise InvalidInput(f"expected a text, found {value!r:.40}")
    return str(value).strip()
