"""How do past conversations become a list that a person accepts or edits, and that list a bot?

learn    pairs → groups of questions that mean the same, each with its best answer → review list
review   review list → train.csv (text,intent) and intents.yaml (answers)
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from core.data.fields import optional_text
from core.data.readers import read_table
from core.data.tables import Row
from core.errors import DataError, InvalidInput
from core.files import written_whole
from core.inference.encoder import Encoded
from core.privacy import KINDS, describe, redact
from core.text import comparison_key, language_of
from services.customer_service.answers import Slot, placeholders
from services.customer_service.answers_reading import parse_intent
from services.customer_service.best_answer import (
    Candidate,
    ChosenAnswer,
    choose_answer,
    same_answers,
)
from services.customer_service.clusters import (
    SAME_QUESTION,
    group_texts,
    label_of,
    most_typical_first,
    typical_words,
    without_codes,
)
from services.customer_service.conversations import (
    Pair,
    make_pairs,
    read_conversations,
)
from services.customer_service.sheets import unguarded, write_sheet

Encode = Callable[[Sequence[str]], Encoded]

_PLACEHOLDER = re.compile(rf"\[({'|'.join(KINDS)})\]")
_OUT_OF_SCOPE: Final = "oos"
_MAX_DESCRIPTION: Final = 80
_DECISIONS: Final = {
    **dict.fromkeys(("accept", "accepted", "a", "yes", "y"), "accept"),
    **dict.fromkeys(("edit", "edited", "e"), "edit"),
    **dict.fromkeys(("reject", "rejected", "r", "no", "n"), "reject"),
    "": "",
}


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One question of the list. `count`: questions in its cluster; `resolved_share`: of the
    conversations with this answer, "" where nothing is known of their end; `agreement`: share of
    the cluster's answers that say nearly this."""

    cluster: str
    intent: str
    question: str
    answer: str
    count: str
    resolved_share: str
    agreement: str
    decision: str = ""
    note: str = ""


COLUMNS: Final = tuple(column.name for column in fields(ReviewRow))


# --- learn ---------------------------------------------------------------------------------------


def learn(source: Path, output: Path, *, encode: Encode, min_count: int = 2) -> list[str]:
    """Read conversations and write the review list; lines for a person.

    `encode` embeds texts. DataError for a file that cannot be read, or where no agent answered any
    question.
    """
    read = read_conversations(source)
    made = make_pairs(read.conversations)
    if not made.pairs:
        raise DataError(
            "no question that an agent answered",
            source,
            mend="Rows of the role agent that follow rows of the role customer are needed.",
        )
    rows, rare = review_rows(made.pairs, encode, min_count)
    write_sheet(output, COLUMNS, (_cells(row) for row in rows))
    messages = sum(len(conversation.messages) for conversation in read.conversations)
    lines = [
        f"{len(read.conversations)} conversations, {messages} messages: {len(made.pairs)} answered "
        f"questions, {made.unanswered} without an agent's answer",
        f"personal data replaced: {describe(made.replaced) or 'none found'}",
        f"{len({row.cluster for row in rows})} groups with at least {min_count} questions, "
        f"{len(rows)} rows → {output}",
    ]
    if rare:
        lines.append(f"left out: {rare} questions that came less often (see --min-count)")
    return lines + [f"not taken: line {line}: {reason}" for line, reason in read.left_out]


def review_rows(
    pairs: Sequence[Pair], encode: Encode, min_count: int
) -> tuple[list[ReviewRow], int]:
    """(rows, largest group first; how many questions stood in groups smaller than `min_count`)."""
    texts = [pair.question for pair in pairs]
    encoded = encode([without_codes(text) for text in texts])
    groups = group_texts(texts, encoded.embeddings, encoded.readable, SAME_QUESTION)
    members: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    words = typical_words(texts, groups)
    taken: set[str] = {_OUT_OF_SCOPE}
    rows: list[ReviewRow] = []
    for group in sorted(members):
        own = members[group]
        if len(own) < min_count:
            continue
        order = most_typical_first(own, texts, encoded.embeddings, encoded.readable)
        name = label_of(words[group], taken, group + 1)
        rows += _rows_of(str(group + 1), name, [pairs[position] for position in order])
    return rows, sum(len(own) for own in members.values() if len(own) < min_count)


def _rows_of(cluster: str, name: str, pairs: Sequence[Pair]) -> list[ReviewRow]:
    """One row for each question; the answer is the best one in its language."""
    by_language: dict[str, list[Candidate]] = defaultdict(list)
    for pair in pairs:
        by_language[language_of(pair.question)].append(pair.answer)
    chosen = {language: choose_answer(answers) for language, answers in by_language.items()}
    first = {comparison_key(pair.question): pair.question for pair in reversed(pairs)}
    rows = []
    for pair in pairs:
        if first[comparison_key(pair.question)] is not pair.question:
            continue
        answer = chosen[language_of(pair.question)]
        rows.append(
            ReviewRow(
                cluster,
                name,
                pair.question,
                answer.text,
                str(len(pairs)),
                _share(answer.resolved_share),
                _share(answer.agreement),
                note=_hints(answer),
            )
        )
    return rows


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _hints(answer: ChosenAnswer) -> str:
    """What a person should look at before accepting."""
    hints = [f"holds [{kind}]" for kind in dict.fromkeys(_PLACEHOLDER.findall(answer.text))]
    if answer.resolved_share == 0:
        hints.append("no conversation with it was resolved")
    if answer.agreement <= 0.5:
        hints.append("agents answered differently")
    return "; ".join(hints)


def _cells(row: ReviewRow) -> list[str]:
    return [getattr(row, column) for column in COLUMNS]


# --- review --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Decided:
    line: int
    cluster: str
    intent: str
    question: str
    answer: str
    edited: bool


@dataclass
class Taken:
    """What a review list gives. `left_out`: (line, reason); `decisions`: how many of each."""

    questions: list[tuple[str, str]] = field(default_factory=list)
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[tuple[int, str]] = field(default_factory=list)
    decisions: Counter[str] = field(default_factory=Counter)


def review(path: Path, output: Path) -> list[str]:
    """Write train.csv and intents.yaml into the folder `output`; lines for a person.

    DataError where the list cannot be read, or no row of it is accepted.
    """
    taken = take(path)
    if not taken.questions:
        reason = f"; line {taken.left_out[0][0]}: {taken.left_out[0][1]}" if taken.left_out else ""
        raise DataError(
            f"no row is accepted, {taken.decisions['']} are undecided{reason}",
            path,
            mend="Write accept, edit or reject into the column decision.",
        )
    questions, answers = output / "train.csv", output / "intents.yaml"
    with written_whole(questions) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "intent"])
        writer.writerows(taken.questions)
    _write_answers(answers, taken)
    return _summary(taken, questions, answers)


def take(path: Path) -> Taken:
    """What of a review list is accepted, and what is not and why."""
    taken = Taken()
    decided: list[_Decided] = []
    wanted = ("intent", "question", "answer", "decision")
    for row in read_table(path, wanted, ("cluster",)):
        try:
            decision, found = _decided(path, row)
        except DataError as error:
            taken.left_out.append(
                (row.line, error.message.removeprefix(f"{path}, line {row.line}: "))
            )
            continue
        taken.decisions[decision] += 1
        if decision in ("accept", "edit"):
            decided.append(found)
    decided = _without_conflicts(decided, taken)
    taken.questions = [(row.question, row.intent) for row in decided]
    _take_answers(decided, taken)
    taken.left_out.sort()
    return taken


def _decided(path: Path, row: Row) -> tuple[str, _Decided]:
    cells = {name: unguarded(optional_text(path, row, name)) for name in row if name in COLUMNS}
    word = cells["decision"].casefold()
    if word not in _DECISIONS:
        raise DataError(
            f"decision: expected accept, edit or reject, found {word[:20]!r}", path, row.line
        )
    decision = _DECISIONS[word]
    question, intent = redact(" ".join(cells["question"].split())).text, cells["intent"].strip()
    for name, value in (("question", question), ("intent", intent)):
        if decision in ("accept", "edit") and not value:
            raise DataError(f"the {name} is empty", path, row.line)
    intent = _OUT_OF_SCOPE if intent.casefold() == _OUT_OF_SCOPE else intent
    answer = cells["answer"].strip()
    edited = decision == "edit"
    return decision, _Decided(row.line, cells["cluster"], intent, question, answer, edited)


def _without_conflicts(rows: Sequence[_Decided], taken: Taken) -> list[_Decided]:
    """Each question once; one that stands under two intents would teach neither."""
    first: dict[str, _Decided] = {}
    for row in rows:
        other = first.setdefault(comparison_key(row.question), row)
        if other.intent != row.intent:
            reason = f"the question of line {other.line} under another intent, {other.intent}"
            taken.left_out.append((row.line, reason))
    return list(first.values())


def _take_answers(rows: Sequence[_Decided], taken: Taken) -> None:
    """The answers of each intent, checked as an import checks them."""
    by_intent: dict[str, list[_Decided]] = defaultdict(list)
    for row in rows:
        if row.intent != _OUT_OF_SCOPE:
            by_intent[row.intent].append(row)
    for name, own in by_intent.items():
        answers: dict[str, list[str]] = {}
        for row in sorted(_last_word(own), key=lambda row: not row.edited):
            held = _PLACEHOLDER.search(row.answer)
            if held is not None:
                reason = f"its answer, which holds {held.group()}: customers would read that"
                taken.left_out.append((row.line, reason))
            elif row.answer:
                variants = answers.setdefault(_language(row.answer, row.question), [])
                if not _said_already(row, variants):
                    variants.append(row.answer)
        said = {"description": _description(own), "answers": answers}
        try:
            names = {slot for texts in answers.values() for t in texts for slot in placeholders(t)}
            parse_intent(name, said, {slot: Slot(slot, ".") for slot in names})
        except InvalidInput as error:
            taken.left_out.append((own[0].line, f"the answers: {error}"))
            continue
        if answers:
            taken.intents[name] = said


def _said_already(row: _Decided, variants: Sequence[str]) -> bool:
    """Groups that a person put under one intent bring nearly the same answer twice; one that was
    edited is meant as it is."""
    if row.edited:
        return row.answer in variants
    return same_answers([*variants, row.answer])[-1] < len(variants)


def _last_word(rows: Sequence[_Decided]) -> list[_Decided]:
    """The rows whose answers are taken: where a person edited the answer of a cluster in one row,
    what still stands in its other rows is the suggestion of before."""
    kept: list[_Decided] = []
    for cluster in dict.fromkeys(row.cluster for row in rows):
        own = [row for row in rows if row.cluster == cluster]
        before = {row.answer for row in own if not row.edited}
        languages = {
            _language(row.answer, row.question)
            for row in own
            if row.edited and row.answer not in before
        }
        kept += [
            row
            for row in own
            if (row.edited and row.answer not in before)
            or _language(row.answer, row.question) not in languages
        ]
    return kept


def _language(answer: str, question: str) -> str:
    """By script: en or zh; what is neither stands under en, the default locale."""
    scripts = (language_of(answer), language_of(question))
    return next((script for script in scripts if script != "other"), "en")


def _description(rows: Sequence[_Decided]) -> dict[str, str]:
    """What the intent's button says: its most typical question, which stands first in the list."""
    found: dict[str, str] = {}
    for row in rows:
        general = without_codes(row.question) == row.question
        if general and len(row.question) <= _MAX_DESCRIPTION:
            found.setdefault(_language(row.question, ""), row.question)
    return found


def _write_answers(path: Path, taken: Taken) -> None:
    import yaml

    with written_whole(path) as file:
        yaml.safe_dump(
            {"intents": taken.intents}, file, allow_unicode=True, sort_keys=False, width=100
        )


def _summary(taken: Taken, questions: Path, answers: Path) -> list[str]:
    intents = {intent for _, intent in taken.questions}
    slots = {
        slot
        for said in taken.intents.values()
        for texts in said["answers"].values()
        for text in texts
        for slot in placeholders(text)
    }
    lines = [
        f"{len(taken.questions)} questions of {len(intents)} intents → {questions}",
        f"answers of {len(taken.intents)} intents → {answers}",
        f"decided: {taken.decisions['accept']} accept, {taken.decisions['edit']} edit, "
        f"{taken.decisions['reject']} reject; {taken.decisions['']} undecided, left out",
    ]
    lines += [f"left out: line {line}: {reason}" for line, reason in taken.left_out]
    silent = sorted(intents - set(taken.intents) - {_OUT_OF_SCOPE})
    if silent:
        lines.append(f"note: without an answer: {', '.join(silent)}")
    if slots:
        lines.append(f"note: define the slots of the answers: {', '.join(sorted(slots))}")
    if len(intents - {_OUT_OF_SCOPE}) < 2:
        lines.append("note: training needs questions of at least two intents; accept more")
    return [
        *lines,
        f"next: trefoil customer-service train --data {questions} --output model",
        "next: trefoil models promote model",
        f"next: trefoil customer-service import --answers {answers}",
    ]
