"""How well does a text answer a query, read together?

A cross-encoder: both texts in one sequence, a score in [0, 1] for the pair. Dearer than comparing
embeddings by the number of candidates, so it is for the best few of a search. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.artifacts import verified_beside
from core.inference.offsets import load_tokenizer, readable
from core.inference.onnx_graph import batches_by_length, open_session

KIND = "reranker"
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
# Characters looked at per token of the limit, as in core.inference.tokenizer.
_CHARS_PER_TOKEN = 16


class PairTokenizer:
    """A `tokenizer.json` on pairs; the longer text of a pair is cut first."""

    def __init__(self, path: Path, max_length: int) -> None:
        self._tokenizer = load_tokenizer(path, max_length)
        self._limit = max_length * _CHARS_PER_TOKEN

    def encode(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[IntArray, IntArray]]:
        """(token ids, token types) of each pair, (seq_len,) both."""
        clean = [tuple(readable(text[: self._limit]) for text in pair) for pair in pairs]
        return [
            (np.asarray(e.ids, dtype=np.int64), np.asarray(e.type_ids, dtype=np.int64))
            for e in self._tokenizer.encode_batch(clean)
        ]


def padded(encoded: Sequence[tuple[IntArray, IntArray]]) -> dict[str, IntArray]:
    """`input_ids`, `attention_mask` and `token_type_ids`, all (rows, longest), zeros behind."""
    longest = max(1, *(len(ids) for ids, _ in encoded))
    inputs = {
        name: np.zeros((len(encoded), longest), dtype=np.int64)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, (ids, types) in enumerate(encoded):
        inputs["input_ids"][row, : len(ids)] = ids
        inputs["attention_mask"][row, : len(ids)] = 1
        inputs["token_type_ids"][row, : len(ids)] = types
    return inputs


class Reranker:
    """An exported cross-encoder. Safe to call from several threads."""

    def __init__(self, tokenizer: PairTokenizer, session: Any) -> None:
        self._tokenizer = tokenizer
        self._session = session
        self._inputs = {given.name for given in session.get_inputs()}

    @classmethod
    def load(cls, folder: Path, *, threads: int = 2) -> Reranker:
        """Load a verified artefact. Raises ArtifactError for one of another kind."""
        with verified_beside(folder, kind=KIND) as manifest:
            return cls.from_files(folder, manifest.settings["reranker"], threads=threads)

    @classmethod
    def from_files(cls, folder: Path, settings: Mapping[str, Any], *, threads: int = 2) -> Reranker:
        """Load `model.onnx` and `tokenizer.json`; `settings`: max_length."""
        tokenizer = PairTokenizer(folder / "tokenizer.json", int(settings["max_length"]))
        return cls(tokenizer, open_session(folder / "model.onnx", threads=threads))

    def score(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """(n,) scores in [0, 1] of (query, text) pairs, in order."""
        encoded = self._tokenizer.encode(pairs)
        scores = np.empty(len(pairs), dtype=np.float32)
        for rows in batches_by_length([len(ids) for ids, _ in encoded]):
            inputs = padded([encoded[row] for row in rows])
            feed = {name: value for name, value in inputs.items() if name in self._inputs}
            scores[rows] = self._session.run(None, feed)[0]
        return scores

    def rerank(self, query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
        """(position in `texts`, score), best first; of equal scores the earlier text."""
        scores = self.score([(query, text) for text in texts])
        order = np.argsort(-scores, kind="stable").tolist()
        return [(position, float(scores[position])) for position in order]
