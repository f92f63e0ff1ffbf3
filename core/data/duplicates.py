"""Which texts of one list nearly repeat a text of another?

An exact set-similarity join: two texts are near duplicates when the Jaccard similarity of their
character n-grams reaches a threshold. Prefix filtering keeps it fast: with n-grams sorted from rare
to common, two similar sets must share one of their first few (Chaudhuri, Ganti and Kaushik 2006, "A
Primitive Operator for Similarity Joins in Data Cleaning"; Bayardo, Ma and Srikant 2007, "Scaling Up
All Pairs Similarity Search"), so only few pairs are ever compared, and none is missed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.text import comparison_key

_NGRAM = 4
_EPSILON = 1e-9  # so that 0.8 * 5 counts as 4, whatever binary fractions say


@dataclass(frozen=True, slots=True)
class NearPair:
    """`left` and `right` are positions in the two lists, `similarity` is in [threshold, 1]."""

    left: int
    right: int
    similarity: float


def near_duplicates(
    left: Iterable[str], right: Sequence[str], threshold: float = 0.8
) -> Iterator[NearPair]:
    """Pairs of texts whose 4-gram Jaccard similarity is at least `threshold`, in (0, 1].

    Case, punctuation and spacing do not count. `left` may be a long stream; `right` is indexed, so
    give the shorter list there. Texts without a letter or sign match nothing.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], was: {threshold}")
    sets = [character_ngrams(text) for text in right]
    frequency = Counter(gram for grams in sets for gram in grams)
    postings: dict[str, list[int]] = defaultdict(list)
    for number, grams in enumerate(sets):
        for gram in _prefix(grams, frequency, threshold):
            postings[gram].append(number)
    for position, text in enumerate(left):
        grams = character_ngrams(text)
        prefix = _prefix(grams, frequency, threshold)
        for candidate in sorted({n for gram in prefix for n in postings.get(gram, ())}):
            similarity = _jaccard(grams, sets[candidate], threshold)
            if similarity is not None:
                yield NearPair(position, candidate, similarity)


def character_ngrams(text: str) -> frozenset[str]:
    """The 4-grams of a text's comparison key with a space at either end."""
    key = comparison_key(text)
    padded = f" {key} "
    if not key:
        return frozenset()
    return frozenset(padded[i : i + _NGRAM] for i in range(max(1, len(padded) - _NGRAM + 1)))


def _prefix(grams: frozenset[str], frequency: Counter[str], threshold: float) -> list[str]:
    length = len(grams) - math.ceil(threshold * len(grams) - _EPSILON) + 1
    return sorted(grams, key=lambda gram: (frequency[gram], gram))[:length] if grams else []


def _jaccard(one: frozenset[str], other: frozenset[str], threshold: float) -> float | None:
    small, large = sorted((len(one), len(other)))
    if small < threshold * large - _EPSILON:
        return None
    shared = len(one & other)
    similarity = shared / (small + large - shared)
    return similarity if similarity >= threshold - _EPSILON else None
