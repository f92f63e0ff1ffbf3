"""What do the nlu sections say: examples by intent, synonyms, regexes, lookups?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.data.records import OUT_OF_SCOPE
from core.errors import InvalidInput
from services.customer_service.importers.rasa.examples import Example, parse_example
from services.customer_service.importers.rasa.project import Entry, Project

# What Rasa says where nothing was understood, and how its guide names questions out of scope.
OUT_OF_SCOPE_INTENTS: Final = {"nlu_fallback", "out_of_scope", OUT_OF_SCOPE}
_KINDS = ("intent", "synonym", "regex", "lookup")
_MAX_LINES: Final = 200_000


@dataclass
class Nlu:
    """`examples`: (intent, example), `oos` for a question out of scope; `synonyms`: words
    → value; `regexes`, `lookups`: entity → patterns, values."""

    examples: list[tuple[str, Example]] = field(default_factory=list)
    synonyms: dict[str, str] = field(default_factory=dict)
    regexes: dict[str, list[str]] = field(default_factory=dict)
    lookups: dict[str, list[str]] = field(default_factory=dict)
    otherwise: list[tuple[str, str]] = field(default_factory=list)

    @property
    def entities(self) -> dict[str, list[tuple[str, str]]]:
        """(words, value) of each entity in the examples."""
        found: dict[str, list[tuple[str, str]]] = {}
        for _, example in self.examples:
            for entity in example.entities:
                words = example.text[entity.start : entity.end]
                found.setdefault(entity.entity, []).append((words, entity.value))
        return found


def read_nlu(project: Project) -> Nlu:
    """All of it; what cannot be read is told in the project's `left_out`."""
    nlu = Nlu()
    for entry in project["nlu"]:
        kind = next((kind for kind in _KINDS if _has(entry, kind)), None)
        if kind is None:
            project.leave_out(entry, f"an entry of nlu without {', '.join(_KINDS)}")
            continue
        name = str(entry.said[kind]).strip()
        _add(kind, name, Entry(entry.file, f"{kind} {name[:80]}", entry.said), project, nlu)
    for _, example in nlu.examples:
        for entity in example.entities:
            words = example.text[entity.start : entity.end]
            if words != entity.value:
                nlu.synonyms.setdefault(words, entity.value)
    return nlu


def _add(kind: str, name: str, entry: Entry, project: Project, nlu: Nlu) -> None:
    lines = list(_lines(entry, project))
    if not lines:
        project.leave_out(entry, "no examples")
    elif kind == "intent":
        _add_examples(name, lines, entry, project, nlu)
    elif kind == "synonym":
        nlu.synonyms |= {" ".join(line.split()): name for line in lines}
    else:
        (nlu.regexes if kind == "regex" else nlu.lookups).setdefault(name, []).extend(lines)


def _has(entry: Entry, kind: str) -> bool:
    said = entry.said
    return isinstance(said, Mapping) and isinstance(said.get(kind), str | int | float)


def _lines(entry: Entry, project: Project) -> Iterator[str]:
    """The examples: lines that begin with a dash, or a list of texts or of {text: …}."""
    examples: Any = entry.said.get("examples")
    if isinstance(examples, str):
        for number, line in enumerate(examples.splitlines()):
            if number >= _MAX_LINES:
                project.leave_out(entry, f"what comes after {_MAX_LINES:,} lines")
                return
            if line.strip().startswith("-"):
                if said := line.strip()[1:].strip():
                    yield said
            elif line.strip():
                project.leave_out(entry, f"a line without a dash: {line.strip()[:60]!r}")
        return
    for each in examples if isinstance(examples, list) else ():
        text = each.get("text") if isinstance(each, Mapping) else each
        if isinstance(text, str) and text.strip():
            yield text.strip().removeprefix("- ").strip()
        else:
            project.leave_out(entry, f"an example that is no text: {each!r:.60}")


def _add_examples(name: str, lines: list[str], entry: Entry, project: Project, nlu: Nlu) -> None:
    intent = OUT_OF_SCOPE if name.casefold() in OUT_OF_SCOPE_INTENTS else name
    if intent != name:
        nlu.otherwise.append((entry.place, f"its examples are questions out of scope ({intent})"))
    for line in lines:
        try:
            example = parse_example(line)
        except InvalidInput as error:
            project.leave_out(entry, f"{line[:60]!r}: {error}")
            continue
        if example.nested:
            told = f"{line[:60]!r}: of words with two entities the first is kept"
            nlu.otherwise.append((entry.place, told))
        nlu.examples.append((intent, example))
