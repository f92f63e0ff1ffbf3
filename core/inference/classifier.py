"""What does a trained classifier say of a text?

A classifier folder holds `encoder/`, `heads.safetensors` and, for the out-of-scope score,
`reference.safetensors` (embeddings and labels of training rows). What else it needs is under
`classifier` in the manifest's settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelCorrupt
from core.inference.encoder import Encoded, TextEncoder
from core.inference.heads import FloatArray, HeadPrediction, LinearHead, load_heads
from core.inference.neighbours import OpenSetScore, kth_similarity
from core.inference.ngrams import SparseRows, featurize
from core.inference.tokenizer import Tokens


@dataclass(frozen=True)
class Predictions:
    """`heads`: name → prediction; `in_scope`: (n,) score, higher is surer; all of n texts."""

    heads: Mapping[str, HeadPrediction]
    encoded: Encoded
    in_scope: FloatArray


class TextClassifier:
    """An encoder with its heads. Safe to call from several threads."""

    def __init__(
        self,
        encoder: TextEncoder,
        heads: Sequence[LinearHead],
        idf: FloatArray,
        reference: FloatArray,
        open_set: OpenSetScore,
        lexical_open_set: OpenSetScore,
    ) -> None:
        self.encoder = encoder
        self.heads = {head.name: head for head in heads}
        self._idf = idf
        self._reference = reference
        self._open_set = open_set
        self._lexical_open_set = lexical_open_set

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any], *, threads: int = 2) -> TextClassifier:
        """Load from an artefact's folder; `settings` is its manifest's `settings["classifier"]`."""
        heads, idf = load_heads(folder / "heads.safetensors", settings["heads"])
        return cls(
            TextEncoder.load(folder / "encoder", threads=threads),
            heads,
            idf,
            load_reference(folder / "reference.safetensors"),
            OpenSetScore.from_settings(settings["open_set"]),
            OpenSetScore.from_settings(settings["lexical_open_set"]),
        )

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Step 1 of `predict`, apart so that a batcher knows each text's size."""
        return self.encoder.tokenize(texts)

    def predict(self, texts: Sequence[str], tokens: Sequence[Tokens] | None = None) -> Predictions:
        """All heads on all texts; `tokens` if they were made before."""
        encoded = self.encoder.encode_tokens(self.tokenize(texts) if tokens is None else tokens)
        return self._judge(encoded, featurize(texts, self._idf))

    def _judge(self, encoded: Encoded, ngrams: SparseRows) -> Predictions:
        readable = encoded.readable
        heads = {
            name: head.predict(encoded.embeddings, ngrams, readable)
            for name, head in self.heads.items()
        }
        first = next(iter(heads.values()))
        return Predictions(heads, encoded, self._scope(encoded, first))

    def _scope(self, encoded: Encoded, first: HeadPrediction) -> FloatArray:
        largest = first.logits.max(axis=1)
        dense = self._open_set.score(largest, kth_similarity(encoded.embeddings, self._reference))
        # An unreadable text's neighbours mean nothing: its score is the lexical logit alone.
        lexical = self._lexical_open_set.score(
            largest, np.full_like(largest, self._lexical_open_set.similarity_mean)
        )
        return np.where(encoded.readable, dense, lexical)


def save_reference(path: Path, embeddings: FloatArray) -> None:
    """Training embeddings, (n, width), in half precision."""
    from safetensors.numpy import save_file

    save_file({"embeddings": embeddings.astype(np.float16)}, str(path))


def load_reference(path: Path) -> FloatArray:
    """The embeddings that `save_reference` wrote, (n, width) float32."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return np.asarray(load_file(str(path))["embeddings"], dtype=np.float32)
    except (OSError, KeyError, SafetensorError) as error:
        raise ModelCorrupt(
            f"{path} cannot be read: {error}", mend="Train again, or take another version."
        ) from error
