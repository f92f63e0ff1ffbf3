"""What do labelled rows look like, and which of them stand there twice?

Pure: rows in, figures out. A text is the same as another when their comparison keys are equal
(case, punctuation and spacing do not count); nearly the same when their 4-gram Jaccard similarity
reaches a threshold, see `core.data.duplicates`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from core.data.duplicates import near_duplicates
from core.data.records import LabeledText
from core.data.texts import LabelConflict, conflicts_of
from core.text import comparison_key, is_cjk_heavy, language_of, word_tokens

SMALL_CLASS: Final = 5
NEAR: Final = 0.8
_QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Rows that say the same: their lines, ascending, and the first one's text."""

    text: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NearRepeat:
    """Two rows that say nearly the same; `similarity` is in [threshold, 1]."""

    lines: tuple[int, int]
    texts: tuple[str, str]
    similarity: float


@dataclass(frozen=True, slots=True)
class DataStatistics:
    """Figures of labelled rows.

    `counts`: rows a class, the largest first. `largest_share`: its share of all rows, in [0, 1].
    `small_classes`: those under 5 rows. `characters`, `words`: quantile (`0.05`, …) → length, a
    Chinese character counting as a word.
    `near`: pairs that are similar and not the same. `languages`: rows by script, see `language_of`.
    """

    rows: int
    classes: int
    counts: Mapping[str, int]
    largest_share: float
    small_classes: tuple[str, ...]
    characters: Mapping[str, float]
    words: Mapping[str, float]
    exact: tuple[Repeat, ...]
    near: tuple[NearRepeat, ...]
    conflicts: tuple[LabelConflict, ...]
    languages: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """The same as a mapping that JSON can hold."""
        return asdict(self)


def data_statistics(
    rows: Sequence[LabeledText], head: str, threshold: float = NEAR
) -> DataStatistics:
    """Figures of `rows` by the labels of `head`; `threshold`, in (0, 1], is that of near repeats.

    Without rows every count is 0 and there are no quantiles.
    """
    counts = Counter(row.labels[head] for row in rows)
    ordered = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    return DataStatistics(
        rows=len(rows),
        classes=len(counts),
        counts=ordered,
        largest_share=max(counts.values()) / len(rows) if rows else 0.0,
        small_classes=tuple(sorted(c for c, count in counts.items() if count < SMALL_CLASS)),
        characters=_quantiles([len(row.text) for row in rows]),
        words=_quantiles([_word_count(row.text) for row in rows]),
        exact=_repeats(rows),
        near=_near_repeats(rows, threshold),
        conflicts=conflicts_of(rows, head),
        languages=dict(sorted(Counter(language_of(row.text) for row in rows).items())),
    )


def _word_count(text: str) -> int:
    # Scripts without spaces come as characters and as pairs of them; a pair is no further word.
    return sum(len(token) != 2 or not is_cjk_heavy(token) for token in word_tokens(text))


def _quantiles(lengths: Sequence[int]) -> dict[str, float]:
    """Lengths that occur ("inverted_cdf"), not between two of them."""
    if not lengths:
        return {}
    values = np.quantile(lengths, _QUANTILES, method="inverted_cdf")
    return {f"{q:g}": float(value) for q, value in zip(_QUANTILES, values, strict=True)}


def _by_key(rows: Sequence[LabeledText]) -> dict[str, list[LabeledText]]:
    groups: dict[str, list[LabeledText]] = defaultdict(list)
    for row in rows:
        groups[comparison_key(row.text)].append(row)
    return groups


def _repeats(rows: Sequence[LabeledText]) -> tuple[Repeat, ...]:
    return tuple(
        Repeat(group[0].text, tuple(row.line for row in group))
        for group in _by_key(rows).values()
        if len(group) > 1
    )


def _near_repeats(rows: Sequence[LabeledText], threshold: float) -> tuple[NearRepeat, ...]:
    """One pair for two texts, however often either of them stands there."""
    first = [group[0] for group in _by_key(rows).values()]
    texts = [row.text for row in first]
    return tuple(
        NearRepeat(
            (first[pair.left].line, first[pair.right].line),
            (texts[pair.left], texts[pair.right]),
            pair.similarity,
        )
        for pair in near_duplicates(texts, texts, threshold)
        if pair.left < pair.right
    )


# --- without repeats -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """`rows`: what stays, in order. `dropped`: rows that repeat an earlier one of the same label.
    `conflicts`: texts that stay under more than one label, since only a person can say which."""

    rows: tuple[LabeledText, ...]
    dropped: tuple[LabeledText, ...]
    conflicts: tuple[LabelConflict, ...]


def deduplicate(rows: Sequence[LabeledText], head: str) -> Deduplicated:
    """The first row of each text and label of `head`; case and punctuation do not count."""
    seen: set[tuple[str, str]] = set()
    kept: list[LabeledText] = []
    dropped: list[LabeledText] = []
    for row in rows:
        key = (comparison_key(row.text), row.labels[head])
        (dropped if key in seen else kept).append(row)
        seen.add(key)
    return Deduplicated(tuple(kept), tuple(dropped), conflicts_of(kept, head))
