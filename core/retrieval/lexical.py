"""Which texts share rare words with a query? BM25 in any script.

Words come from `core.text.word_tokens`, so languages written without spaces are served too. The
formula is Lucene's BM25 (Kamphuis et al. 2020, "Which BM25 Do You Mean?"), computed by bm25s. The
statistics depend on all texts, so the first search after a change builds them anew; searches run on
the last whole build and never see half of one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import bm25s
import numpy as np

from core.errors import ArtifactCorrupt, InvalidInput
from core.retrieval.files import read_sealed, write_sealed
from core.retrieval.ids import Hit, check_ids, check_top_k
from core.text import word_tokens

# On import it sets itself to DEBUG, and would tell every build of an index.
logging.getLogger("bm25s").setLevel(logging.WARNING)

LEXICAL_FILE = "lexical.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class _Built:
    """Statistics of one state of the texts; never changed once made."""

    ids: tuple[str, ...]
    vocabulary: dict[str, int]
    scorer: Any  # bm25s.BM25, or None where no text holds a word


class LexicalIndex:
    """Texts by external id, searched by BM25. Safe for any number of threads."""

    def __init__(self, *, k1: float = 1.2, b: float = 0.75) -> None:
        """`k1` ≥ 0: how soon repeating a word stops to count; `b` in [0, 1]: how much length does.

        Lucene's defaults.
        """
        if k1 < 0 or not 0 <= b <= 1:
            raise InvalidInput(f"expected k1 ≥ 0 and b in [0, 1], were: {k1} and {b}")
        self.k1 = k1
        self.b = b
        self._texts: dict[str, str] = {}
        self._tokens: dict[str, list[str]] = {}
        self._built: _Built | None = None  # None when the texts have changed since
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, external: object) -> bool:
        return external in self._texts

    def add(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Store `texts` under `ids`; an id that is there is replaced. A text without a word is
        stored and never found."""
        names = check_ids(ids, len(texts))
        tokens = [word_tokens(text) for text in texts]
        with self._lock:
            self._texts.update(zip(names, texts, strict=True))
            self._tokens.update(zip(names, tokens, strict=True))
            self._built = None

    def delete(self, ids: Iterable[str]) -> int:
        """Forget `ids`; unknown ones are no error. Gives how many were there."""
        with self._lock:
            known = [name for name in set(ids) if name in self._texts]
            for name in known:
                del self._texts[name], self._tokens[name]
            self._built = None if known else self._built
        return len(known)

    def search(self, query: str, top_k: int) -> list[Hit]:
        """The best `top_k` texts that share a word with the query, by falling score, then id.

        Fewer, or none, where fewer share one: for an empty query, unknown words, an empty index.
        """
        check_top_k(top_k)
        built = self._current()
        words = [built.vocabulary[w] for w in word_tokens(query) if w in built.vocabulary]
        if not words:
            return []
        scores = built.scorer.get_scores_from_ids(words)
        found = np.flatnonzero(scores > 0)
        if found.size > top_k:
            floor = np.partition(scores[found], found.size - top_k)[found.size - top_k]
            found = found[scores[found] >= floor]
        hits = [Hit(built.ids[row], float(scores[row])) for row in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:top_k]

    def refresh(self) -> None:
        """Build the statistics now, so that the next search need not."""
        self._current()

    def _current(self) -> _Built:
        built = self._built
        if built is not None:
            return built
        with self._lock:
            if self._built is None:
                self._built = self._build()
            return self._built

    def _build(self) -> _Built:
        vocabulary: dict[str, int] = {}
        documents = [
            [vocabulary.setdefault(token, len(vocabulary)) for token in tokens]
            for tokens in self._tokens.values()
        ]
        scorer = None
        if vocabulary:
            scorer = bm25s.BM25(k1=self.k1, b=self.b, method="lucene")
            scorer.index((documents, vocabulary), create_empty_token=False, show_progress=False)
        return _Built(tuple(self._tokens), vocabulary, scorer)

    def save(self, folder: str | Path) -> None:
        """Write the texts into `folder`/lexical.json; statistics are built again when loading."""
        with self._lock:
            documents = list(self._texts.items())
        content = {"format": _FORMAT, "k1": self.k1, "b": self.b, "documents": documents}
        write_sealed(Path(folder) / LEXICAL_FILE, content)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The index saved in `folder`; ArtifactCorrupt for a missing, torn or edited file."""
        path = Path(folder) / LEXICAL_FILE
        content = read_sealed(path)
        if content.get("format") != _FORMAT:
            raise ArtifactCorrupt(
                f"{path}: expected format {_FORMAT}, found {content.get('format')}",
                mend="Build the index again and save it.",
            )
        index = cls(k1=content["k1"], b=content["b"])
        documents = content["documents"]
        index.add([name for name, _ in documents], [text for _, text in documents])
        return index
