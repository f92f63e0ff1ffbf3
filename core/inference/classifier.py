"""What does a trained classifier say of a text?

A classifier folder holds `encoder/`, `heads.safetensors` and, for the out-of-scope score,
`open_set.safetensors`. What else it needs is under
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
from core.inference.ngrams import SparseRows, featurize
from core.inference.open_set import OpenSet
from core.inference.tokenizer import Tokens
from core.text import for_model


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
        open_set: OpenSet,
    ) -> None:
        self.encoder = encoder
        self.heads = {head.name: head for head in heads}
        self._idf = idf
        self._open_set = open_set

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any], *, threads: int = 2) -> TextClassifier:
        """Load from an artefact's folder; `settings` is its manifest's `settings["classifier"]`."""
        heads, idf = load_heads(folder / "heads.safetensors", settings["heads"])
        return cls(
            TextEncoder.load(folder / "encoder", threads=threads),
            heads,
            idf,
            OpenSet.load(folder / "open_set.safetensors", settings["open_set"]),
        )

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Step 1 of `predict`, apart so that a batcher knows each text's size."""
        return self.encoder.tokenize([for_model(text) for text in texts])

    def predict(self, texts: Sequence[str], tokens: Sequence[Tokens] | None = None) -> Predictions:
        """All heads on all texts; `tokens` if they were made before."""
        encoded = self.encoder.encode_tokens(self.tokenize(texts) if tokens is None else tokens)
        return self._judge(encoded, featurize([for_model(text) for text in texts], self._idf))

    def _judge(self, encoded: Encoded, ngrams: SparseRows) -> Predictions:
        readable = encoded.readable
        heads = {
            name: head.predict(encoded.embeddings, ngrams, readable)
            for name, head in self.heads.items()
        }
        first = next(iter(heads.values()))
        in_scope = self._open_set.in_scope(encoded.embeddings, first.logits, readable)
        return Predictions(heads, encoded, in_scope)


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
