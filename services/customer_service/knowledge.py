"""Which passages of the articles speak to a question?

A `Knowledge` is one state of the articles, in memory: passages, BM25 over their words, and vectors
of the search encoder where they are known already. It never changes; an edited article gives a
new one (live.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from core.retrieval.dense import DenseIndex
from core.retrieval.lexical import LexicalIndex
from services.customer_service.articles import Article, Passage, passages_of
from services.customer_service.compose import ScoredPassage
from services.customer_service.contrast import CONTRAST
from services.customer_service.evidence import (
    Bars,
    Needed,
    Words,
    WordWeights,
    measure_needed,
    passage_coverage,
    relevance,
    strength,
    words_of,
)

# Of each side.
_CANDIDATES: Final = 20

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """What the search encoder says of texts: `of` digest or contrast question → (width,) unit
    vector; `contrast_readable` (contrast questions,) whether it can read them."""

    encoder_id: str
    dimensions: int
    of: Mapping[str, FloatArray]
    contrast_readable: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """`passages` by falling relevance; `evidence` is the strongest of them; `bars` say what that
    means; `words`: the question's words with their weights."""

    passages: tuple[ScoredPassage, ...]
    evidence: float
    bars: Bars
    words: Mapping[str, float]


class Knowledge:
    """Safe for any number of threads."""

    def __init__(self, articles: Sequence[Article], vectors: Vectors | None = None) -> None:
        """`vectors` may lack some passages: those are found by their words until they have one."""
        passages = [passage for article in articles for passage in passages_of(article)]
        self.passages = {passage.key: passage for passage in passages}
        self.encoder_id = None if vectors is None else vectors.encoder_id
        self._words = {p.key: Words(words_of(p.searched), words_of(p.own)) for p in passages}
        self._weights = WordWeights([words.all for words in self._words.values()])
        self._lexical = LexicalIndex()
        self._lexical.add([p.key for p in passages], [p.searched for p in passages])
        self._lexical.refresh()
        self._dense: DenseIndex | None = None
        if vectors is not None:
            self._dense = _dense_index(passages, vectors)
        self.needed = self._measure(passages, vectors)

    def weigh(self, words: Iterable[str]) -> Mapping[str, float]:
        """Words with their weights: how rare each is among the passages."""
        return self._weights.weigh(words)

    def search(self, question: str, embedding: FloatArray | None) -> Found:
        """The passages for a question; `embedding` (width,) of the encoder that made the vectors,
        None where the encoder cannot read the question: then words alone decide."""
        words = self._weights.weigh(words_of(question))
        if not self.passages:
            return Found((), 0.0, Bars(), words)
        dense = None if embedding is None or not self._dense else self._dense
        hits = dict(self._lexical.search(question, _CANDIDATES))
        best = max(hits.values(), default=1.0)
        keys = list(hits)
        cosines: Sequence[float | None] = [None] * len(keys)
        if dense is not None and embedding is not None:
            keys = list(dict.fromkeys([*keys, *dict(dense.search(embedding, _CANDIDATES)[0])]))
            cosines = dense.scores(embedding, keys)
        scored = []
        for key, cosine in zip(keys, cosines, strict=True):
            covered = passage_coverage(words, self._words[key])
            order = -relevance(cosine, hits.get(key, 0.0) / best), key
            scored.append((order, ScoredPassage(self.passages[key], strength(cosine, covered))))
        passages = tuple(passage for _, passage in sorted(scored, key=lambda one: one[0]))
        evidence = max((p.strength for p in passages), default=0.0)
        return Found(passages, evidence, self.needed.of(dense is not None), words)

    def _measure(self, passages: Sequence[Passage], vectors: Vectors | None) -> Needed:
        words = [self._words[p.key] for p in passages]
        if vectors is None:
            nothing = np.zeros((len(CONTRAST), len(passages)))
            unread = np.zeros(len(CONTRAST), dtype=bool)
            needed = measure_needed(CONTRAST, unread, nothing, words, self._weights)
            return Needed(unreadable=needed.unreadable)
        questions = np.stack([vectors.of[text] for text in CONTRAST])
        known = np.zeros((len(passages), vectors.dimensions), dtype=np.float32)
        for row, passage in enumerate(passages):
            if passage.digest in vectors.of:
                known[row] = vectors.of[passage.digest]
        cosines = (questions @ known.T).astype(np.float64)
        return measure_needed(CONTRAST, vectors.contrast_readable, cosines, words, self._weights)


def _dense_index(passages: Sequence[Passage], vectors: Vectors) -> DenseIndex | None:
    known = [p for p in passages if p.digest in vectors.of]
    if not known:
        return None
    index = DenseIndex(vectors.dimensions, vectors.encoder_id)
    index.add([p.key for p in known], np.stack([vectors.of[p.digest] for p in known]))
    return index
