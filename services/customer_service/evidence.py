"""How strongly does a passage speak to a question, and how strong is strong enough?

Pure. Passages are ordered by their relevance,

    readable question:     cosine + 0.15 × BM25 ÷ the best passage's BM25
    unreadable question:   BM25

but its best hit is 1 whatever was asked, so that it says nothing of how well a question is answered
at all. For that, the evidence of a passage is

    readable question:     cosine + 0.5 × coverage
    unreadable question:   coverage

where the cosine is that of the search encoder and the coverage the share of the question's words,
weighted by rarity, that stand in the passage (a third of it in the passage's own text: the title
is shared by all passages of an article). Two halves that fail differently: a cosine is fooled by a
common theme, words by another meaning.

How strong it must be is not a number that somebody liked: it is measured on the questions of
contrast.py, which no help centre answers, with these very articles and this very encoder. Evidence
means something where at most 5 % of those reach it; it is strong where none of them does. With few
articles no question gets far by chance, so it must also stand four (strong: six) standard
deviations above that of a contrast question and any passage.

The same questions tell the words that any question may hold ("how do I", 怎么办): articles rarely
hold them, and would seem to speak to a question because they happen to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.text import is_cjk_heavy, word_tokens
from services.customer_service.contrast import CONTRAST

Floats = npt.NDArray[np.float64]

# Of the weights tried, those from .15 to .2 found most on FeedbackQA's validation questions:
# MRR@10 .669, where ordering by evidence found .645 and fusing ranks .639.
BM25_WEIGHT: Final = 0.15
COVERAGE_WEIGHT: Final = 0.5
OWN_SHARE: Final = 1 / 3
FALSE_EVIDENCE: Final = 0.05
DEVIATIONS: Final = 4.0
STRONG_DEVIATIONS: Final = 6.0
# With fewer contrast questions of a kind, all of them are taken.
_LEAST_OF_A_KIND: Final = 10
# Where there is nothing to search, nothing is evidence.
NEVER: Final = math.inf


def words_of(text: str) -> frozenset[str]:
    """The distinct words of a text, English plurals as their singular.

    Harman 1991, "How Effective Is Suffixing?": the S stemmer, which hardly ever goes wrong.
    """
    return frozenset(_singular(word) for word in word_tokens(text))


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or not word.isascii():
        return word
    if word.endswith("ies"):
        return word if word[-4] in "ea" else word[:-3] + "y"
    if word.endswith("es"):
        return word if word[-3] in "aeo" else word[:-1]
    return word if word[-2] in "us" else word[:-1]


class WordWeights:
    """How rare each word is: inverse document frequency, as in BM25, among the passages or among
    questions of any kind, whichever is less."""

    def __init__(
        self, passages: Sequence[AbstractSet[str]], questions: Sequence[str] = CONTRAST
    ) -> None:
        counts = Counter(word for words in passages for word in words)
        self._weights = {word: _rarity(n, len(passages)) for word, n in counts.items()}
        self._unseen = _rarity(0, len(passages))
        self._common = _common_words(questions)

    def weigh(self, words: Iterable[str]) -> dict[str, float]:
        """Each distinct word with its weight; a word that no passage holds is the rarest."""
        return {
            word: min(self._weights.get(word, self._unseen), self._common.get(word, math.inf))
            for word in words
        }


def _rarity(count: int, rows: int) -> float:
    return math.log(1 + (rows - count + 0.5) / (count + 0.5))


def _common_words(questions: Sequence[str]) -> dict[str, float]:
    """Words of at least two questions, weighed among the questions of their own script."""
    weights: dict[str, float] = {}
    for chinese in (False, True):
        same = [words_of(q) for q in questions if is_cjk_heavy(q) == chinese]
        counts = Counter(word for words in same for word in words)
        weights |= {word: _rarity(n, len(same)) for word, n in counts.items() if n > 1}
    return weights


@dataclass(frozen=True, slots=True)
class Words:
    """Of one passage: all words, and those that do not come from the article's title alone."""

    all: frozenset[str]
    own: frozenset[str]


def coverage(question: Mapping[str, float], words: AbstractSet[str]) -> float:
    """Share of the question's weighted words that are among `words`, from 0 to 1."""
    total = sum(question.values())
    return sum(w for word, w in question.items() if word in words) / total if total else 0.0


def passage_coverage(question: Mapping[str, float], passage: Words) -> float:
    """As `coverage`, with its share for the passage's own text."""
    of_all, of_own = coverage(question, passage.all), coverage(question, passage.own)
    return (1 - OWN_SHARE) * of_all + OWN_SHARE * of_own


def relevance(cosine: float | None, bm25: float) -> float:
    """What a passage is ordered by; `bm25` as a share of the best passage's, from 0 to 1."""
    return bm25 if cosine is None else cosine + BM25_WEIGHT * bm25


def strength(cosine: float | None, covered: float) -> float:
    """The evidence of one passage; `cosine` is None for an unreadable question."""
    return covered if cosine is None else cosine + COVERAGE_WEIGHT * covered


@dataclass(frozen=True, slots=True)
class Bars:
    """`some`: evidence from here on means something; `strong`: chance does not get there."""

    some: float = NEVER
    strong: float = NEVER


@dataclass(frozen=True, slots=True)
class Needed:
    """How strong evidence must be, for questions that the encoder can read and for others."""

    readable: Bars = Bars()
    unreadable: Bars = Bars()

    def of(self, readable: bool) -> Bars:
        """For one question."""
        return self.readable if readable else self.unreadable


def measure_needed(
    contrast: Sequence[str],
    readable: npt.NDArray[np.bool_],
    cosines: Floats,
    passages: Sequence[Words],
    weights: WordWeights,
) -> Needed:
    """From contrast questions: `readable` (n,), `cosines` (n, passages)."""
    if not passages:
        return Needed()
    questions = [weights.weigh(words_of(text)) for text in contrast]
    of_all = _coverages(questions, [words.all for words in passages])
    of_own = _coverages(questions, [words.own for words in passages])
    covered = (1 - OWN_SHARE) * of_all + OWN_SHARE * of_own
    words_alone = _bars(covered, ~readable)
    return Needed(
        readable=_bars(cosines + COVERAGE_WEIGHT * covered, readable),
        # Only one of the two halves is there: what would be strong means something, no more.
        unreadable=Bars(some=words_alone.strong),
    )


def _coverages(
    questions: Sequence[Mapping[str, float]], passages: Sequence[AbstractSet[str]]
) -> Floats:
    """(questions, passages) coverage of each pair, by way of the words that any question has."""
    vocabulary = frozenset(word for question in questions for word in question)
    holders: dict[str, list[int]] = {word: [] for word in vocabulary}
    for row, words in enumerate(passages):
        for word in words & vocabulary:
            holders[word].append(row)
    covered = np.zeros((len(questions), len(passages)))
    for number, question in enumerate(questions):
        for word, weight in question.items():
            covered[number, holders[word]] += weight
        covered[number] /= sum(question.values()) or 1.0
    return covered


def _bars(strengths: Floats, kind: npt.NDArray[np.bool_]) -> Bars:
    """`strengths` (questions, passages); `kind` (questions,) marks the ones that count."""
    rows = strengths[kind] if kind.sum() >= _LEAST_OF_A_KIND else strengths
    best, mean, deviation = rows.max(axis=1), float(rows.mean()), float(rows.std())
    return Bars(
        some=max(float(np.quantile(best, 1 - FALSE_EVIDENCE)), mean + DEVIATIONS * deviation),
        strong=max(float(best.max()), mean + STRONG_DEVIATIONS * deviation),
    )
