"""How do features become calibrated class probabilities?

One head answers one question (intent, topic, sentiment). Its logits are

    readable text:    embedding · W + b  +  lexical_weight × (n-grams · L + c)
    unreadable text:                                          n-grams · L + c

so that a text which the encoder cannot read is judged by its n-grams alone. Probabilities are
softmax(logits / temperature), one temperature for each of the two kinds of text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelCorrupt
from core.inference.ngrams import SparseRows

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def softmax(logits: FloatArray) -> FloatArray:
    """Rows of probabilities, (n, classes)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True)
class HeadPrediction:
    """`logits` and `probabilities`: (n, classes), columns in the order of `labels`."""

    labels: tuple[str, ...]
    logits: FloatArray
    probabilities: FloatArray

    @property
    def best(self) -> npt.NDArray[np.intp]:
        """(n,) column of the most probable label."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def best_labels(self) -> list[str]:
        """The most probable label of each row."""
        return [self.labels[i] for i in self.best]

    @property
    def confidence(self) -> FloatArray:
        """(n,) probability of the best label."""
        return np.asarray(self.probabilities.max(axis=1))


@dataclass(frozen=True)
class LinearHead:
    """`weight` (width, classes), `bias` (classes,), `lexical` (BUCKETS, classes),
    `lexical_bias` (classes,); `lexical_weight` ≥ 0; temperatures > 0."""

    name: str
    labels: tuple[str, ...]
    weight: FloatArray
    bias: FloatArray
    lexical: FloatArray
    lexical_bias: FloatArray
    lexical_weight: float = 0.0
    temperature: float = 1.0
    lexical_temperature: float = 1.0

    def predict(
        self, embeddings: FloatArray, ngrams: SparseRows, readable: BoolArray
    ) -> HeadPrediction:
        """`embeddings` (n, width), `ngrams` of the same n rows, `readable` (n,)."""
        logits = self.logits(embeddings, ngrams, readable)
        temperature = np.where(readable, self.temperature, self.lexical_temperature)
        scaled = (logits / temperature[:, None]).astype(np.float32)
        return HeadPrediction(self.labels, logits, softmax(scaled))

    def logits(self, embeddings: FloatArray, ngrams: SparseRows, readable: BoolArray) -> FloatArray:
        """(n, classes) before the temperature."""
        dense = embeddings @ self.weight + self.bias
        if self.lexical_weight == 0 and readable.all():
            return np.asarray(dense, dtype=np.float32)
        sparse = ngrams.dot(self.lexical) + self.lexical_bias
        mixed = np.where(readable[:, None], dense + self.lexical_weight * sparse, sparse)
        return np.asarray(mixed, dtype=np.float32)

    def settings(self) -> dict[str, Any]:
        """What the manifest says of this head; the arrays are beside it."""
        return {
            "labels": list(self.labels),
            "lexical_weight": self.lexical_weight,
            "temperature": self.temperature,
            "lexical_temperature": self.lexical_temperature,
        }


def save_heads(heads: Sequence[LinearHead], idf: FloatArray, path: Path) -> None:
    """All heads' arrays and the n-gram weights in one safetensors file."""
    from safetensors.numpy import save_file

    arrays = {"idf": np.ascontiguousarray(idf, dtype=np.float32)}
    for head in heads:
        arrays[f"{head.name}.weight"] = np.ascontiguousarray(head.weight)
        arrays[f"{head.name}.bias"] = np.ascontiguousarray(head.bias)
        # Half precision: these are sums of many small weights, and most of the file's size.
        arrays[f"{head.name}.lexical"] = np.ascontiguousarray(head.lexical, dtype=np.float16)
        arrays[f"{head.name}.lexical_bias"] = np.ascontiguousarray(head.lexical_bias)
    save_file(arrays, str(path))


def load_heads(
    path: Path, settings: Mapping[str, Mapping[str, Any]]
) -> tuple[list[LinearHead], FloatArray]:
    """The heads that `settings` (name → `LinearHead.settings()`) lists, and the n-gram weights."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(str(path))
        heads = [
            LinearHead(
                name=name,
                labels=tuple(said["labels"]),
                weight=arrays[f"{name}.weight"],
                bias=arrays[f"{name}.bias"],
                lexical=arrays[f"{name}.lexical"].astype(np.float32),
                lexical_bias=arrays[f"{name}.lexical_bias"],
                lexical_weight=float(said["lexical_weight"]),
                temperature=float(said["temperature"]),
                lexical_temperature=float(said["lexical_temperature"]),
            )
            for name, said in settings.items()
        ]
        return heads, arrays["idf"]
    except (OSError, KeyError, SafetensorError) as error:
        raise ModelCorrupt(
            f"{path} cannot be read: {error}", mend="Train again, or take another version."
        ) from error
