"""How does a list of questions with their answers become intents?

Columns question and answer; intent and lang where there are any. Rows of one intent, or without
one but with the same answer, belong together. An intent without a name is called after its first
question.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.data.records import OUT_OF_SCOPE
from core.data.tables import Row, iterate_table
from core.errors import DataError, InvalidInput
from core.text import comparison_key, language_of, normalize
from services.customer_service.answers import Intent, Slot
from services.customer_service.answers_reading import parse_intent
from services.customer_service.fields import MAX_TEXTS
from services.customer_service.importers.training import Training

_MAX_BYTES: Final = 50_000_000
_MAX_ROWS: Final = 200_000
_MAX_QUESTION: Final = 2000
_MAX_SLUG: Final = 60
_MAX_TITLE: Final = 120


@dataclass
class ReadQuestions:
    """`left_out`: (place, reason)."""

    intents: list[Intent] = field(default_factory=list)
    training: Training = field(default_factory=Training)
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Pair:
    line: int
    question: str
    answer: str
    intent: str
    language: str


@dataclass
class _Group:
    """Questions with their answers, which together are one intent."""

    name: str = ""
    pairs: list[_Pair] = field(default_factory=list)


def read_questions(path: Path, known_slots: Mapping[str, Slot]) -> ReadQuestions:
    """Read a file; DataError where it cannot be read as a table.

    A row or an intent that cannot be taken is told with its line; the others are taken.
    """
    if path.is_file() and path.stat().st_size > _MAX_BYTES:
        raise DataError(f"larger than {_MAX_BYTES:,} bytes", path, mend="Split it.")
    read = ReadQuestions()
    in_scope: list[_Pair] = []
    for pair in _pairs(path, read):
        if pair.intent.casefold() != OUT_OF_SCOPE:
            in_scope.append(pair)
            continue
        read.training.questions.append((pair.question, OUT_OF_SCOPE))
        if pair.answer:
            reason = "its answer: a question out of scope has none"
            read.left_out.append((_place(path, pair), reason))
    for group in _named(_grouped(in_scope)):
        try:
            intent = parse_intent(group.name, _mapping(group), known_slots)
        except InvalidInput as error:
            read.left_out.append((_place(path, group.pairs[0]), str(error)))
            continue
        read.intents.append(intent)
        read.training.questions += [(pair.question, intent.name) for pair in group.pairs]
    return read


def _pairs(path: Path, read: ReadQuestions) -> Iterator[_Pair]:
    asked: dict[str, _Pair] = {}
    for count, row in enumerate(iterate_table(path, ["question", "answer"], ["intent", "lang"])):
        if count >= _MAX_ROWS:
            raise DataError(f"more than {_MAX_ROWS:,} rows", path, row.line, mend="Split it.")
        try:
            pair = _pair(row)
        except InvalidInput as error:
            read.left_out.append((f"{path.name}, line {row.line}", str(error)))
            continue
        before = asked.setdefault(comparison_key(pair.question), pair)
        if before is not pair and not _agree(before, pair):
            reason = f"the same question as in line {before.line}, with another answer or intent"
            read.left_out.append((_place(path, pair), reason))
            continue
        yield pair


def _agree(one: _Pair, other: _Pair) -> bool:
    """The same question twice: may both rows stand?"""
    if one.intent or other.intent:
        return one.intent == other.intent
    return comparison_key(one.answer) == comparison_key(other.answer)


def _pair(row: Row) -> _Pair:
    question, answer = (_text(row, name) for name in ("question", "answer"))
    intent, language = _text(row, "intent"), _text(row, "lang").casefold()
    if not question:
        raise InvalidInput("the question is empty")
    if len(question) > _MAX_QUESTION:
        raise InvalidInput(f"the question has more than {_MAX_QUESTION} characters")
    if not answer and intent.casefold() != OUT_OF_SCOPE:
        raise InvalidInput("the answer is empty")
    found = language_of(f"{question} {answer}")
    language = re.split(r"[-_]", language)[0] or ("en" if found == "other" else found)
    return _Pair(row.line, normalize(question), answer, intent, language)


def _text(row: Row, column: str) -> str:
    value: Any = row[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"`{column}` must be a text, was: {value!r:.40}")
    return value.strip()


def _grouped(pairs: list[_Pair]) -> list[_Group]:
    """By the intent that is named, else by the answer; a nameless row joins a named group with its
    answer, wherever that stands."""
    named: dict[str, _Group] = {}
    by_answer: dict[str, _Group] = {}
    for pair in pairs:
        if pair.intent:
            group = named.setdefault(pair.intent, _Group(pair.intent))
            by_answer.setdefault(comparison_key(pair.answer), group)
    groups: dict[int, _Group] = {}
    for pair in pairs:
        group = named.get(pair.intent) or by_answer.setdefault(
            comparison_key(pair.answer), _Group()
        )
        group.pairs.append(pair)
        groups[id(group)] = group
    return list(groups.values())


def _named(groups: list[_Group]) -> list[_Group]:
    """Each nameless group gets a name that no other has, the same in every import of the file."""
    taken = {group.name.casefold() for group in groups} | {OUT_OF_SCOPE}
    numbers: Counter[str] = Counter()
    for group in groups:
        if group.name:
            continue
        slug = name = slug_of(group.pairs[0].question)
        while name in taken:
            numbers[slug] += 1
            name = f"{slug}_{numbers[slug] + 1}"
        taken.add(name)
        group.name = name
    return groups


def slug_of(question: str) -> str:
    """A name made of the question's letters and digits, in any script: "How much?" → how_much."""
    words = re.findall(r"\w+", normalize(question).casefold())
    slug = ""
    for word in words:
        longer = f"{slug}_{word}" if slug else word[:_MAX_SLUG]
        if len(longer) > _MAX_SLUG:
            break
        slug = longer
    slug = slug.strip("_")
    return slug or f"question_{hashlib.sha256(question.encode()).hexdigest()[:8]}"


def _mapping(group: _Group) -> dict[str, Any]:
    """The group as an entry of intents.yaml; answers that differ are variants."""
    answers: dict[str, dict[str, str]] = {}
    title: dict[str, str] = {}
    for pair in group.pairs:
        answers.setdefault(pair.language, {}).setdefault(comparison_key(pair.answer), pair.answer)
        title.setdefault(pair.language, pair.question[:_MAX_TITLE])
    for language, texts in answers.items():
        if len(texts) > MAX_TEXTS:
            raise InvalidInput(
                f"intent {group.name!r}: {len(texts)} different answers ({language}), at most "
                f"{MAX_TEXTS} are taken",
                mend="Give rows with another answer another intent.",
            )
    return {
        "description": title,
        "answers": {language: list(texts.values()) for language, texts in answers.items()},
    }


def _place(path: Path, pair: _Pair) -> str:
    return f"{path.name}, line {pair.line}"
