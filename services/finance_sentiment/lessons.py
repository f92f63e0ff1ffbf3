"""How do accepted corrections become rows to train on, and what does a model keep of that?

A correction outweighs the rows of the same text (case, punctuation and personal data aside): those
are left out, but for a label that nobody corrected. What a model learned stands in its folder, so
that after every promotion and every rollback it is known which corrections still wait.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from core.data.records import SENTIMENTS, LabeledText
from core.errors import ArtifactError, DataError
from core.files import written_whole
from core.privacy import redact
from core.text import comparison_key
from services.finance_sentiment.domain import SENTIMENT, TOPIC

HEADS: Final = (SENTIMENT, TOPIC)
LEARNED: Final = "corrections.json"
COLUMNS: Final = ("text", *HEADS)
_FIELDS: Final = ("key", "text", *HEADS)
_LONGEST: Final = 10_000
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Taught:
    """What people say of a text, all accepted corrections of it together. `labels`: head → label,
    of those heads that somebody spoke of; `decided_at`: when the last of them was accepted."""

    key: str
    text: str
    labels: Mapping[str, str]
    decided_at: datetime

    @property
    def digest(self) -> str:
        """Tells this text with these labels from all others: 16 hex digits."""
        said = "\x1f".join((self.key, *(self.labels.get(head, "") for head in HEADS)))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Lessons:
    """`rows` to learn from, in the place of those of the same text; `outweighed`: how many of the
    latter were labelled otherwise."""

    rows: tuple[LabeledText, ...]
    outweighed: int

    def to_json(self) -> dict[str, int]:
        """For the manifest."""
        return {"learned": len(self.rows), "outweighed": self.outweighed}


def lessons(
    base: Sequence[LabeledText], taught: Iterable[Taught], heads: Sequence[str], *, keep: bool
) -> Lessons:
    """The corrections as training rows beside `base`. What is said of other heads than `heads` is
    left out; personal data are replaced unless `keep`, as they must be in `base` then."""
    there: dict[str, list[LabeledText]] = {}
    for row in base:
        there.setdefault(comparison_key(row.text), []).append(row)
    rows: list[LabeledText] = []
    outweighed = 0
    for one in taught:
        said = {head: label for head, label in one.labels.items() if head in heads}
        if not said:
            continue
        text = one.text if keep else redact(one.text).text
        same = there.get(comparison_key(text), [])
        outweighed += sum(_otherwise(row, said) for row in same)
        known = {head: label for row in same for head, label in row.labels.items()}
        rows.append(LabeledText(text, {**known, **said}, 0))
    return Lessons(tuple(rows), outweighed)


def _otherwise(row: LabeledText, said: Mapping[str, str]) -> bool:
    return any(row.labels.get(head, label) != label for head, label in said.items())


# --- files -------------------------------------------------------------------------------------


def write_taught(path: Path, taught: Iterable[Taught]) -> None:
    """One JSON object a line, for `train --corrections-from`."""
    with written_whole(path) as file:
        for one in taught:
            said = {"key": one.key, "text": one.text, **one.labels}
            file.write(json.dumps(said, ensure_ascii=True) + "\n")


def read_taught(path: Path) -> list[Taught]:
    """What `write_taught` wrote. DataError names a bad line."""
    found = []
    with path.open(encoding="utf-8") as file:
        for line, text in enumerate(file, 1):
            found.append(_taught(text, path, line))
    return found


def _taught(line: str, path: Path, number: int) -> Taught:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    fine = isinstance(said, dict) and set(said) <= set(_FIELDS)
    values = dict(said) if fine else {}
    if not all(isinstance(v, str) and 0 < len(v) <= _LONGEST for v in values.values()) or not (
        {"key", "text"} < set(values) and values.get(SENTIMENT, SENTIMENTS[0]) in SENTIMENTS
    ):
        raise DataError(
            f"expected an object with {', '.join(_FIELDS)}, found {line[:60]!r}",
            path,
            number,
            mend="Such files are written by the worker; use --corrections to train by hand.",
        )
    labels = {head: values[head] for head in HEADS if head in values}
    return Taught(values["key"], values["text"], labels, _NO_TIME)


def export(path: Path, taught: Iterable[Taught], shown: Mapping[str, Mapping[str, str]]) -> int:
    """Write the corrections as training data (CSV), personal data replaced; how many were left out.

    A training file says both sentiment and topic of every row. Of what nobody spoke of, the row
    has the label that its story shows (`shown`: key → head → label), as people saw it when they
    left it alone; a row with neither is left out.
    """
    left_out = 0
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in taught:
            labels = {**shown.get(one.key, {}), **one.labels}
            if any(not labels.get(head) for head in HEADS):
                left_out += 1
                continue
            writer.writerow([redact(one.text).text, *(labels[head] for head in HEADS)])
    return left_out


# --- in an artefact ----------------------------------------------------------------------------


def write_learned(folder: Path, taught: Iterable[Taught]) -> None:
    """Keep in a new artefact which corrections it learned."""
    document = {"digests": sorted(one.digest for one in taught)}
    (folder / LEARNED).write_text(json.dumps(document), encoding="utf-8")


def read_learned(folder: Path) -> frozenset[str]:
    """Digests of the corrections that this artefact learned; none for one of before."""
    path = folder / LEARNED
    if not path.is_file():
        return frozenset()
    try:
        return frozenset(map(str, json.loads(path.read_text(encoding="utf-8"))["digests"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{LEARNED} is not what training writes", mend="Train the model again."
        ) from error
