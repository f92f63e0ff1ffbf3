"""Which vectors stand for an item's text, and how well does an item match a user's interests?

An item has two vectors, both of unit length, both made of a part from the encoder's embedding and
a part from its words:

    plain    as the texts stand: nothing learnt from behaviour
    learnt   through the adapter, a linear map that was tuned so that what users took next lies
             near what they had done before

The match of an item v with interests h of weights w (summing to 1) is a soft maximum,

    log( sum over h of  w_h * exp(sharpness * (cos(h, v) - 1)) ),

so that a user with two tastes is understood as two, not as their mean.

What a user wrote about items is interests too, with vectors made as an item's are. It never speaks
for the item it was written about: nobody knows whether it was praise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt
from services.recommender.interests import Comment, Interests, Words
from services.recommender.words import BagOfWords, bag_of_words

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Interests of a user that are compared with every item; the weaker ones say little.
TEXT_INTERESTS = 50
_FLOOR = np.float32(1e-4)


@dataclass(frozen=True)
class Adapter:
    """From an embedding (n, p) and a bag of words to one vector (n, p + q).

    `turn` (p, p) acts on the embedding, `table` (BUCKETS, q) on the words; `share` of the words in
    the squared length, 0 to 1; `sharpness` > 0, see the top of the file.
    """

    turn: FloatArray
    table: FloatArray
    share: float
    sharpness: float

    def combine(self, embedded: FloatArray, bag: BagOfWords) -> FloatArray:
        """(n, p + q) unit vectors; a row of zeros where a text gave neither part."""
        dense = embedded @ self.turn * np.sqrt(1 - self.share)
        words = bag.project(self.table) * np.sqrt(self.share)
        return unit(np.concatenate([dense, words], axis=1))

    def match(
        self, vectors: FloatArray, interests: Interests, rows: IntArray | None = None
    ) -> FloatArray:
        """(n,) soft match of `rows` of `vectors` (None: of all) with the strongest interests: at
        most 0, all equal where there are none."""
        kept = interests.first(TEXT_INTERESTS)
        compared = vectors if rows is None else vectors[rows]
        if len(kept) == 0 and kept.words is None:
            return np.zeros(len(compared), dtype=np.float32)
        closeness = self._closeness(compared, vectors[kept.rows])
        weights = kept.weights
        if kept.words is not None:
            written = self._closeness(compared, self.combine(kept.words.embedded, kept.words.bag))
            number = np.arange(len(vectors)) if rows is None else rows
            written[number[:, None] == kept.words.rows[None, :]] = 0.0
            closeness = np.concatenate([closeness, written], axis=1)
            weights = np.concatenate([weights, kept.words.weights])
        weights = (weights / weights.sum()).astype(np.float32)
        return np.asarray(np.log(closeness @ weights + _FLOOR))

    def shares(self, vectors: FloatArray, rows: IntArray, interests: Interests) -> FloatArray:
        """(rows, interests): the part of each row's match that each interest makes up. A row sums
        to 1, less the part of what the user wrote; interests beyond those that `match` looks at
        have 0."""
        result = np.zeros((len(rows), len(interests)), dtype=np.float32)
        kept = interests.first(TEXT_INTERESTS)
        if len(kept):
            parts = self._closeness(vectors[rows], vectors[kept.rows]) * kept.weights
            total = parts.sum(axis=1, keepdims=True)
            if kept.words is not None:
                written = self._closeness(
                    vectors[rows], self.combine(kept.words.embedded, kept.words.bag)
                )
                written[rows[:, None] == kept.words.rows[None, :]] = 0.0
                total = total + (written @ kept.words.weights)[:, None]
            result[:, : len(kept)] = parts / total
        return result

    def _closeness(self, vectors: FloatArray, others: FloatArray) -> FloatArray:
        cosines = vectors @ others.T
        cosines -= np.float32(1.0)
        cosines *= np.float32(self.sharpness)
        return np.asarray(np.exp(cosines, out=cosines))


@dataclass(frozen=True)
class ItemVectors:
    """`plain` and `learnt`: (n, width); `known`: (n,) whether the text gave anything."""

    plain: FloatArray
    learnt: FloatArray
    known: BoolArray

    def __len__(self) -> int:
        return len(self.known)


@dataclass(frozen=True)
class TextTower:
    """`basis` (embedding width, p), common to both adapters, and `rare` (BUCKETS,), the weights of
    words."""

    basis: FloatArray
    rare: FloatArray
    plain: Adapter
    learnt: Adapter

    @property
    def width(self) -> int:
        """Of the vectors."""
        return int(self.basis.shape[1] + self.plain.table.shape[1])

    def vectors(
        self, embeddings: FloatArray, readable: BoolArray, texts: Sequence[str]
    ) -> ItemVectors:
        """Vectors of n items from `embeddings` (n, embedding width) and their texts. Where the
        encoder could not read a text (`readable` False) its words alone speak."""
        embedded = unit((embeddings * readable[:, None]) @ self.basis)
        bag = bag_of_words(texts, self.rare)
        plain = self.plain.combine(embedded, bag)
        return ItemVectors(plain, self.learnt.combine(embedded, bag), np.abs(plain).max(axis=1) > 0)

    def hear(self, interests: Interests, comments: Sequence[Comment]) -> Interests:
        """The interests with what the user wrote; every comment has an embedding."""
        if not comments:
            return interests
        said = [comment.said for comment in comments]
        known = np.stack([s.embedding for s in said if s.embedding is not None])
        readable = np.array([s.readable for s in said])
        words = Words(
            embedded=unit((known * readable[:, None]) @ self.basis),
            bag=bag_of_words([s.text for s in said], self.rare),
            rows=np.array([comment.row for comment in comments], dtype=np.int64),
            weights=np.array([comment.weight for comment in comments]),
        )
        return replace(interests, words=words)

    def save(self, path: Path) -> None:
        """Write everything into one safetensors file."""
        from safetensors.numpy import save_file

        arrays: dict[str, FloatArray] = {"basis": self.basis, "rare": self.rare}
        for name, adapter in (("plain", self.plain), ("learnt", self.learnt)):
            numbers = np.array([adapter.share, adapter.sharpness], dtype=np.float32)
            arrays |= {
                f"{name}.turn": adapter.turn,
                f"{name}.table": adapter.table,
                f"{name}.share_sharpness": numbers,
            }
        save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in arrays.items()}, path)

    @classmethod
    def load(cls, path: Path) -> TextTower:
        """Read what `save` wrote. ModelCorrupt where it is not whole."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(path)
            adapters = [_adapter(arrays, name) for name in ("plain", "learnt")]
            return cls(arrays["basis"], arrays["rare"], *adapters)
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelCorrupt(
                f"{path} cannot be read: {error}", mend="Train again, or take another version."
            ) from error


def unit(rows: FloatArray) -> FloatArray:
    """Rows of length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float32)


def _adapter(arrays: dict[str, FloatArray], name: str) -> Adapter:
    share, sharpness = arrays[f"{name}.share_sharpness"]
    return Adapter(arrays[f"{name}.turn"], arrays[f"{name}.table"], float(share), float(sharpness))
