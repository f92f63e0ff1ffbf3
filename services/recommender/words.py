"""Which words does an item's text hold, as a short vector?

Words are hashed into `BUCKETS` (CRC-32, with a sign, so that collisions cancel on average) and
weighted by how rare they are. They say what an embedding blurs (a brand, a model name), and they
speak for texts that the encoder cannot read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from core.text import word_tokens

BUCKETS = 2048
_SIGN_BIT = 1 << 20

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BagOfWords:
    """n texts in compressed form: text i holds `buckets[starts[i]:starts[i + 1]]` with `values`,
    of unit length together (empty for a text without words).

    `buckets` (words,) below BUCKETS, `values` (words,), `starts` (n + 1,)."""

    buckets: IntArray
    values: FloatArray
    starts: IntArray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def project(self, table: FloatArray) -> FloatArray:
        """(n, width): each text's words summed up from `table` (BUCKETS, width)."""
        result = np.zeros((len(self), table.shape[1]), dtype=np.float32)
        for row in range(len(self)):
            span = slice(self.starts[row], self.starts[row + 1])
            if span.start < span.stop:
                result[row] = self.values[span] @ table[self.buckets[span]]
        return result


def rarity(texts: Sequence[str]) -> FloatArray:
    """(BUCKETS,) ln(1 + n / df), where df is the number of texts with a word in the bucket."""
    frequency = np.zeros(BUCKETS)
    for text in texts:
        frequency[list({crc32(w.encode()) % BUCKETS for w in word_tokens(text)})] += 1
    return np.log1p(max(len(texts), 1) / np.maximum(frequency, 1)).astype(np.float32)


def bag_of_words(texts: Sequence[str], rare: FloatArray) -> BagOfWords:
    """The bags of `texts`; `rare` (BUCKETS,) are the weights of `rarity`."""
    buckets: list[int] = []
    values: list[float] = []
    starts = [0]
    for text in texts:
        hashes = [crc32(word.encode()) for word in sorted(set(word_tokens(text)))]
        own = [(1.0 if h & _SIGN_BIT else -1.0) * float(rare[h % BUCKETS]) for h in hashes]
        length = math.sqrt(sum(value * value for value in own))
        buckets += [h % BUCKETS for h in hashes]
        values += [value / length for value in own]
        starts.append(len(buckets))
    return BagOfWords(
        np.array(buckets, dtype=np.int64),
        np.array(values, dtype=np.float32),
        np.array(starts, dtype=np.int64),
    )
