"""How are training texts read: intents, news, plain texts, and what is wrong across their rows?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.fields import choice_field, text_field
from core.data.records import SENTIMENTS, LabeledText
from core.data.tables import Row, iterate_table
from core.errors import DataError
from core.text import comparison_key

INTENT = "intent"
SENTIMENT = "sentiment"
TOPIC = "topic"


def read_intents(path: str | Path) -> list[LabeledText]:
    """Rows of `text,intent`; head "intent". The intent `oos` marks a question out of scope."""
    return _read_labeled(Path(path), (INTENT,))


def read_news(path: str | Path) -> list[LabeledText]:
    """Rows of `text` and any of `sentiment` and `topic`; the heads are the columns there are.

    A column that is there must be filled in every row; sentiments are positive, neutral, negative.
    """
    path = Path(path)
    heads = tuple(h for h in (SENTIMENT, TOPIC) if h in _columns_of(path))
    if not heads:
        raise DataError(
            "expected column `sentiment` or `topic` beside `text`, found neither",
            path,
            1,
            mend="Add at least one of them.",
        )
    return _read_labeled(path, heads)


def read_texts(path: str | Path) -> list[LabeledText]:
    """Rows with a `text` and no labels, for prediction."""
    return _read_labeled(Path(path), ())


def _columns_of(path: Path) -> set[str]:
    first = next(iterate_table(path, ["text"]))
    return set(first)


def _read_labeled(path: Path, heads: Sequence[str]) -> list[LabeledText]:
    return [_labeled(path, row, heads) for row in iterate_table(path, ["text", *heads])]


def _labeled(path: Path, row: Row, heads: Sequence[str]) -> LabeledText:
    text = text_field(path, row, "text")
    labels = {head: _label(path, row, head) for head in heads}
    return LabeledText(text, labels, row.line, extra_columns(row, ("text", *heads)))


def _label(path: Path, row: Row, head: str) -> str:
    if head == SENTIMENT:
        return choice_field(path, row, head, SENTIMENTS)
    return text_field(path, row, head)


def extra_columns(row: Row, known: Sequence[str]) -> Mapping[str, object]:
    """The columns of a row that are not `known`, as they came."""
    return {c: v for c, v in row.items() if c not in known}


@dataclass(frozen=True, slots=True)
class LabelConflict:
    """A text that stands under more than one label, with the lines where it stands."""

    text: str
    labels: tuple[str, ...]
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What a head's labels look like: rows a class, classes of one row, texts labelled twice."""

    counts: Mapping[str, int]
    single_row_classes: tuple[str, ...]
    conflicts: tuple[LabelConflict, ...]


def check_labels(
    rows: Sequence[LabeledText], head: str, path: str | Path | None = None
) -> LabelReport:
    """Refuse what cannot be trained on; report what only should be looked at.

    Raises DataError for fewer than 2 rows or fewer than 2 classes. Texts that are the same but for
    case and punctuation and carry different labels are reported as conflicts.
    """
    if len(rows) < 2:
        raise DataError(
            f"expected at least 2 rows to learn from, found {len(rows)}", path, mend="Add rows."
        )
    counts = Counter(row.labels[head] for row in rows)
    if len(counts) < 2:
        raise DataError(
            f"expected at least 2 different labels in `{head}`, found only {next(iter(counts))!r}",
            path,
            mend="Add rows with another label.",
        )
    single = tuple(sorted(label for label, count in counts.items() if count == 1))
    return LabelReport(dict(sorted(counts.items())), single, conflicts_of(rows, head))


def conflicts_of(rows: Iterable[LabeledText], head: str) -> tuple[LabelConflict, ...]:
    """Texts that stand under more than one label of `head`; case and punctuation do not count."""
    groups: dict[str, list[LabeledText]] = defaultdict(list)
    for row in rows:
        groups[comparison_key(row.text)].append(row)
    conflicts = []
    for group in groups.values():
        labels = tuple(sorted({row.labels[head] for row in group}))
        if len(labels) > 1:
            lines = tuple(row.line for row in group)
            conflicts.append(LabelConflict(group[0].text, labels, lines))
    return tuple(conflicts)
