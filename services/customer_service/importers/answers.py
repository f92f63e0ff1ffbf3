"""How is intents.yaml read?

    slots:
      order_number: {pattern: 'LY-\\d{6}', ask: {en: "Which order is it about?"}}
    intents:
      order_status:
        description: {en: "Where is my order"}
        answers: {en: ["You can follow {order_number} under My account."]}
        without_slots: {en: ["Every order is listed under My account."]}
        quick_replies: {en: ["Cancel my order"]}

An entry that is wrong is left out and told; the others are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from core.errors import DataError, InvalidInput
from services.customer_service.answers import Intent, Slot
from services.customer_service.answers_reading import parse_intent, parse_slot

_MAX_BYTES = 20_000_000
_SECTIONS = ("slots", "intents")
Parsed = TypeVar("Parsed", Slot, Intent)


@dataclass
class ReadAnswers:
    """`left_out`: (place, reason)."""

    slots: list[Slot] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def read_answers(path: Path, known_slots: Mapping[str, Slot] | None = None) -> ReadAnswers:
    """Read a file; `known_slots` are there already. DataError where it cannot be read at all."""
    content = _load(path)
    read = ReadAnswers()
    for section in content:
        if section not in _SECTIONS:
            read.left_out.append((str(section)[:60], f"no such section; {' and '.join(_SECTIONS)}"))
    read.slots = _parse(_section(content, "slots", path), parse_slot, read)
    slots = {**(known_slots or {}), **{slot.name: slot for slot in read.slots}}

    def with_slots(name: str, said: Any) -> Intent:
        return parse_intent(name, said, slots)

    read.intents = _parse(_section(content, "intents", path), with_slots, read)
    return read


def _parse(
    entries: Mapping[Any, Any], parse: Callable[[str, Any], Parsed], read: ReadAnswers
) -> list[Parsed]:
    parsed: list[Parsed] = []
    for name, said in entries.items():
        try:
            parsed.append(parse(name, said))
        except InvalidInput as error:
            read.left_out.append((str(name)[:60], str(error)))
    return parsed


def _section(content: Mapping[Any, Any], name: str, path: Path) -> Mapping[Any, Any]:
    entries = content.get(name) or {}
    if not isinstance(entries, Mapping):
        raise DataError(
            f"`{name}`: expected entries by name, found {type(entries).__name__}",
            path,
            mend="Write each as `name: {…}`, as in the README.",
        )
    return entries


def _load(path: Path) -> Mapping[Any, Any]:
    import yaml

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"larger than {_MAX_BYTES} bytes", path, mend="Split it.")
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError("expected UTF-8", path, mend="Save the file as UTF-8.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or type(error).__name__
        line = None if mark is None else mark.line + 1
        raise DataError(f"not valid YAML: {reason}", path, line) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error
    if not isinstance(content, Mapping):
        raise DataError(
            f"expected the sections {' and '.join(_SECTIONS)}", path, mend="See the README."
        )
    return content
