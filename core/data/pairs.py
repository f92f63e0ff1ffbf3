"""Which texts belong to which query? Rows that teach search and ranking.

Columns `query,text`, and one of `relevance` (a number from 0 up: 0 for no, 1 for yes, more for
more: viewed, clicked, bought) and `negative` (a text that does not belong to the query), or
neither.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.fields import fail, optional_number, optional_text, text_field
from core.data.tables import Row, iterate_table
from core.errors import DataError


@dataclass(frozen=True, slots=True)
class TextPair:
    """`relevance` is None where the file has no such column: the text belongs to the query."""

    query: str
    text: str
    relevance: float | None = None
    negative: str = ""
    line: int = 0

    @property
    def belongs(self) -> bool:
        """Whether the text is one that a search for the query should find."""
        return self.relevance is None or self.relevance > 0


def read_pairs(path: str | Path) -> list[TextPair]:
    """Rows of `query,text[,relevance][,negative]`.

    Raises DataError for both further columns at once, a negative relevance, one that is missing in
    some rows, no row whose text belongs to its query, and what `iterate_table` refuses.
    """
    path = Path(path)
    pairs = [
        _pair(path, row)
        for row in iterate_table(path, ["query", "text"], ["relevance", "negative"])
    ]
    graded = [pair for pair in pairs if pair.relevance is not None]
    if graded and any(pair.negative for pair in pairs):
        raise DataError("expected `relevance` or `negative`, found both", path, mend="Drop one.")
    if graded and len(graded) < len(pairs):
        line = next(pair.line for pair in pairs if pair.relevance is None)
        raise DataError("`relevance` is empty, in other rows it is not", path, line)
    if not any(pair.belongs for pair in pairs):
        raise DataError("every relevance is 0", path, mend="Add rows that belong together.")
    return pairs


def _pair(path: Path, row: Row) -> TextPair:
    relevance = optional_number(path, row, "relevance")
    if relevance is not None and relevance < 0:
        fail(path, row, "relevance", "a number from 0 up")
    return TextPair(
        text_field(path, row, "query"),
        text_field(path, row, "text"),
        relevance,
        optional_text(path, row, "negative"),
        row.line,
    )


def split_by_query(
    pairs: Sequence[TextPair], share: float, rng: np.random.Generator, *, at_most: int = 1000
) -> tuple[list[TextPair], list[TextPair]]:
    """(training, held-out) rows; all rows of a query stay together.

    `share` of the queries, at most `at_most`, are held out; only such that have a text that belongs
    to them. Raises DataError where that leaves either side empty.
    """
    queries = sorted({pair.query for pair in pairs if pair.belongs})
    count = min(max(1, round(share * len(queries))), at_most)
    if count >= len(queries):
        raise DataError(
            f"{len(queries)} queries are too few to learn from some and to judge by others",
            mend="Add queries: at least two, better some hundreds.",
        )
    chosen = {queries[i] for i in rng.permutation(len(queries))[:count].tolist()}
    train = [pair for pair in pairs if pair.query not in chosen]
    return train, [pair for pair in pairs if pair.query in chosen]


def relevant_texts(pairs: Iterable[TextPair]) -> dict[str, set[str]]:
    """Query → the texts that belong to it; queries without one are left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.belongs:
            found[pair.query].add(pair.text)
    return dict(found)


def all_texts(pairs: Iterable[TextPair]) -> list[str]:
    """Every distinct text and negative, in the order of their first row."""
    return list(dict.fromkeys(t for pair in pairs for t in (pair.text, pair.negative) if t))


def fingerprint(pairs: Sequence[TextPair]) -> str:
    """SHA-256 over the rows in order: the manifest's `data_sha256`."""
    digest = hashlib.sha256()
    for pair in pairs:
        grade = "" if pair.relevance is None else f"{pair.relevance:g}"
        row = f"{pair.query}\x1f{pair.text}\x1f{grade}\x1f{pair.negative}\x1e"
        digest.update(row.encode("utf-8", "replace"))
    return digest.hexdigest()
