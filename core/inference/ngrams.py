"""Which hashed character n-grams does a text hold?

Words give their 3- to 5-grams with a boundary mark and themselves; scripts without spaces give
1- to 3-grams. Each gram is hashed (CRC-32) into one of `BUCKETS`; values are 1 + log(count)
times the inverse document frequency, of unit length. No vocabulary is kept, so text in any
script and with any typo has features.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt

from core.text import normalize

BUCKETS = 1 << 15
# Longer texts are cut: the first 2,000 characters carry the intent, and work stays bounded.
_MAX_CHARS = 2000
_MAX_WORD = 30
_CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+")
_IS_CJK = re.compile(f"[{_CJK}]")
Buckets = npt.NDArray[np.int32]


@dataclass(frozen=True)
class SparseRows:
    """Rows in compressed form: row i holds `indices[starts[i]:starts[i+1]]` with `values`.

    `indices`: (nnz,) int32 below BUCKETS, ascending inside a row; `values`: (nnz,) float32;
    `starts`: (n + 1,) int64.
    """

    indices: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def dot(self, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, classes) product with `weight` (BUCKETS, classes)."""
        result = np.zeros((len(self), weight.shape[1]), dtype=np.float32)
        for row in range(len(self)):
            span = slice(self.starts[row], self.starts[row + 1])
            if span.start < span.stop:
                result[row] = self.values[span] @ weight[self.indices[span]]
        return result


def grams(text: str) -> Iterator[str]:
    """The n-grams of one text, repeats included."""
    for run in _runs(text):
        yield from _grams_of(run)


def _runs(text: str) -> list[str]:
    """Words, and stretches of a script without spaces."""
    return _RUNS.findall(normalize(text[:_MAX_CHARS]).casefold())


def _grams_of(run: str) -> Iterator[str]:
    if _IS_CJK.match(run):
        for size in (1, 2, 3):
            yield from (run[i : i + size] for i in range(len(run) - size + 1))
        return
    word = f"<{run[:_MAX_WORD]}>"
    yield word
    for size in (3, 4, 5):
        if size < len(word):  # as long as the word, it is the word
            yield from (word[i : i + size] for i in range(len(word) - size + 1))


def document_frequency_weights(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """(BUCKETS,) smoothed inverse document frequency, ln((1 + n) / (1 + df)) + 1."""
    frequency = np.zeros(BUCKETS, dtype=np.int64)
    for text in texts:
        frequency[np.unique(_buckets(text))] += 1
    return (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)


def featurize(texts: Sequence[str], idf: npt.NDArray[np.float32]) -> SparseRows:
    """Features of each text under `idf`, (BUCKETS,)."""
    indices: list[npt.NDArray[np.int32]] = []
    values: list[npt.NDArray[np.float32]] = []
    for text in texts:
        row, counts = np.unique(_buckets(text), return_counts=True)
        value = (1 + np.log(counts)).astype(np.float32) * idf[row]
        norm = float(np.linalg.norm(value))
        indices.append(row)
        values.append(value / norm if norm > 0 else value)
    starts = np.concatenate([[0], np.cumsum([len(r) for r in indices])]).astype(np.int64)
    return SparseRows(
        np.concatenate(indices) if indices else np.empty(0, np.int32),
        np.concatenate(values).astype(np.float32) if values else np.empty(0, np.float32),
        starts,
    )


def _buckets(text: str) -> Buckets:
    """The buckets of its grams, repeats included."""
    # A stretch of a script without spaces may be a whole sentence, and comes once.
    found = [(_hashed if _IS_CJK.match(run) else _of_word)(run) for run in _runs(text)]
    return np.concatenate(found) if found else np.empty(0, np.int32)


def _hashed(run: str) -> Buckets:
    hashes = (crc32(gram.encode("utf-8", "replace")) for gram in _grams_of(run))
    return np.fromiter((number & (BUCKETS - 1) for number in hashes), dtype=np.int32)


# The same words come again and again; a word's buckets take some 200 bytes.
_of_word = lru_cache(maxsize=1 << 15)(_hashed)
