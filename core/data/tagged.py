"""How are texts with marked spans read: entities, slots?

Two forms. JSONL keeps the text as it is and counts characters (Unicode code points, from 0, the end
exclusive):

    {"text": "from Paris to Rome", "entities": [{"start": 5, "end": 10, "label": "city"}]}

Markdown marks spans in the text, one text a line, as Rasa's training files do:

    - from [Paris](city) to [Rome](city)
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.tables import Row, iterate_table
from core.errors import DataError

_MARKDOWN = (".md", ".markdown")
_JSONL = (".jsonl", ".ndjson")
# `[` text `]` and then `(label)`, `(label:value)` or `{"entity": "label", …}`
_MARK = re.compile(r"\[([^\[\]]*)\](?:\(([^()]*)\)|(\{[^{}]*\}))")
_OPEN_MARK = re.compile(r"\[[^\[\]]*\][({]")
_BULLET = re.compile(r"[-*+]\s+")
# Sections of a Rasa file whose lines are no texts.
_OTHER_SECTIONS = re.compile(r"#+\s*(synonym|lookup|regex)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text, and what they are."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class TaggedText:
    """A text with its spans, by rising start, none overlapping; `line` of the file."""

    text: str
    spans: tuple[Span, ...]
    line: int = 0


def read_tagged(path: str | Path) -> list[TaggedText]:
    """Texts with spans from `.jsonl` or `.md`.

    Raises DataError, with path and line, for: another extension, no text, a span out of range,
    empty or overlapping another, a mark that is not closed, and what `iterate_table` refuses.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _JSONL:
        rows = iterate_table(path, ["text"], ["entities"])
        return [_from_object(path, row) for row in rows]
    if suffix in _MARKDOWN:
        return list(_from_markdown(path))
    raise DataError(
        f"expected a file ending in one of {', '.join((*_JSONL, *_MARKDOWN))}",
        path,
        mend='Write {"text": …, "entities": [{"start": …, "end": …, "label": …}]} a line.',
    )


def labels_of(rows: Iterable[TaggedText]) -> tuple[str, ...]:
    """All labels of all spans, sorted."""
    return tuple(sorted({span.label for row in rows for span in row.spans}))


def checked_spans(
    text: str, spans: Sequence[Span], path: str | Path | None = None, line: int | None = None
) -> tuple[Span, ...]:
    """The spans by rising start. DataError where one is empty, blank, out of range or overlaps."""
    ordered = tuple(sorted(spans))
    for span in ordered:
        if not 0 <= span.start < span.end <= len(text):
            raise DataError(
                f"expected a span with 0 ≤ start < end ≤ {len(text)}, "
                f"was: {span.start} to {span.end} ({span.label})",
                path,
                line,
                mend="Count characters from 0; the end is the character behind the last.",
            )
        if not text[span.start : span.end].strip():
            raise DataError(f"the span {span.start} to {span.end} holds only spaces", path, line)
    for left, right in itertools.pairwise(ordered):
        if right.start < left.end:
            raise DataError(
                f"spans must not overlap, were: {left.start} to {left.end} ({left.label}) and "
                f"{right.start} to {right.end} ({right.label})",
                path,
                line,
                mend="Keep one of them.",
            )
    return ordered


# --- JSONL ---------------------------------------------------------------------------------------


def _from_object(path: Path, row: Row) -> TaggedText:
    text = row["text"]
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"`text`: expected a text, found {text!r:.60}", path, row.line)
    entities = row["entities"]
    if entities is None:
        entities = []
    if not isinstance(entities, list):
        raise DataError(f"`entities`: expected a list, found {entities!r:.60}", path, row.line)
    spans = [_span(path, row.line, entity) for entity in entities]
    return TaggedText(text, checked_spans(text, spans, path, row.line), row.line)


def _span(path: Path, line: int, entity: Any) -> Span:
    if isinstance(entity, dict):
        start, end, label = (entity.get(name) for name in ("start", "end", "label"))
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (start, end))
        if whole and isinstance(label, str) and label.strip():
            return Span(int(start or 0), int(end or 0), label.strip())
    raise DataError(
        f"`entities`: expected start, end (whole numbers) and label, found {entity!r:.80}",
        path,
        line,
        mend='Write each as {"start": 5, "end": 10, "label": "city"}.',
    )


# --- Markdown ------------------------------------------------------------------------------------


def _from_markdown(path: Path) -> Iterator[TaggedText]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError("there is no such file", path, mend="Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read as UTF-8: {error}", path) from error
    found = skipping = False
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if line.startswith("#"):
            skipping = _OTHER_SECTIONS.match(line) is not None
        elif line and not skipping and not line.startswith("<!--"):
            found = True
            yield parse_marked(_BULLET.sub("", line, count=1), path, number)
    if not found:
        raise DataError("the file has no texts", path, mend="Write one a line: - to [Rome](city)")


def parse_marked(marked: str, path: str | Path | None = None, line: int = 0) -> TaggedText:
    """The text without its marks, and the spans they made. Brackets without a label are text."""
    text = ""
    spans = []
    position = 0
    for mark in _MARK.finditer(marked):
        text += _unmarked(marked[position : mark.start()], path, line)
        label = _label(mark, path, line)
        spans.append(Span(len(text), len(text) + len(mark[1]), label))
        text += mark[1]
        position = mark.end()
    text += _unmarked(marked[position:], path, line)
    return TaggedText(text, checked_spans(text, spans, path, line), line)


def _unmarked(text: str, path: str | Path | None, line: int) -> str:
    if broken := _OPEN_MARK.search(text):
        raise DataError(
            f"the label of {broken[0]!r:.60} is not closed",
            path,
            line,
            mend="Write [Paris](city); neither part holds brackets of its own.",
        )
    return text


def _label(mark: re.Match[str], path: str | Path | None, line: int) -> str:
    label: Any = mark[2]
    if label is not None:
        label = label.partition(":")[0]
    else:
        try:
            label = json.loads(mark[3]).get("entity", "")
        except ValueError as error:
            raise DataError(f"{mark[3]!r:.60} is no JSON: {error}", path, line) from error
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"no label behind [{mark[1]:.40}]", path, line, mend="Write [Paris](city).")
    return label.strip()
