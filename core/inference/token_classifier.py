"""Which spans does a text hold: names, products, slots?

Text → words (`offsets.py`) → logits a word (`model.onnx`) → the best valid sequence of tags
(`bio.py`) → spans. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.artifacts import verified_beside
from core.data.tagged import Span
from core.errors import ModelCorrupt
from core.inference.bio import best_path, run_probabilities, tag_names, word_runs
from core.inference.offsets import Words, WordTokenizer
from core.inference.onnx_graph import batches_by_length, open_session
from core.inference.onnx_session import pad

KIND = "token_classifier"
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FoundSpan:
    """Characters `start` to `end` of the text, which read `text`.

    `confidence` in [0, 1]: the probability that exactly this is a span of this label.
    """

    start: int
    end: int
    label: str
    text: str
    confidence: float

    @property
    def span(self) -> Span:
        """Without text and confidence, as in the data."""
        return Span(self.start, self.end, self.label)


@dataclass(frozen=True, slots=True)
class FoundSpans:
    """The spans of one text by rising start; `note` says so where its end was not read."""

    spans: tuple[FoundSpan, ...]
    note: str = ""


class TokenClassifier:
    """An exported token classifier. Safe to call from several threads."""

    def __init__(
        self,
        tokenizer: WordTokenizer,
        session: Any,
        labels: Sequence[str],
        temperature: float,
    ) -> None:
        self.labels = tuple(labels)
        self.tags = tag_names(self.labels)
        self.temperature = temperature
        self._tokenizer = tokenizer
        self._session = session

    @classmethod
    def load(cls, folder: Path, *, threads: int = 2) -> TokenClassifier:
        """Load a verified artefact. Raises ArtifactError for one of another kind."""
        with verified_beside(folder, kind=KIND) as manifest:
            return cls.from_files(folder, manifest.settings["tokens"], threads=threads)

    @classmethod
    def from_files(
        cls, folder: Path, settings: Mapping[str, Any], *, threads: int = 2
    ) -> TokenClassifier:
        """Load `model.onnx` and `tokenizer.json`; `settings`: labels, max_length, temperature."""
        tokenizer = WordTokenizer(folder / "tokenizer.json", int(settings["max_length"]))
        session = open_session(folder / "model.onnx", threads=threads)
        labels = settings["labels"]
        width = session.get_outputs()[0].shape[2]
        if width != len(tag_names(labels)):
            raise ModelCorrupt(
                f"{folder / 'model.onnx'} gives {width} tags, expected {len(tag_names(labels))}",
                mend="Train again, or take another version.",
            )
        return cls(tokenizer, session, labels, float(settings["temperature"]))

    def predict(self, texts: Sequence[str]) -> list[FoundSpans]:
        """The spans of each text, in order. Any string is accepted, the empty one too."""
        words = self._tokenizer.encode(texts)
        logits = self.logits(words)
        return [self._found(*of) for of in zip(texts, words, logits, strict=True)]

    def logits(self, words: Sequence[Words]) -> list[FloatArray]:
        """(words, tags) for each text, before the temperature."""
        result: list[FloatArray] = [np.empty((0, len(self.tags)), np.float32)] * len(words)
        for rows in batches_by_length([len(w.ids) for w in words]):
            ids, mask = pad([words[row].ids for row in rows])
            found = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            for place, row in enumerate(rows):
                result[row] = found[place, words[row].first]
        return result

    def _found(self, text: str, words: Words, logits: FloatArray) -> FoundSpans:
        logits = logits / self.temperature
        runs = word_runs(best_path(logits))
        spans = []
        for run, confidence in zip(runs, run_probabilities(logits, runs), strict=True):
            start, end = int(words.offsets[run[0], 0]), int(words.offsets[run[1] - 1, 1])
            label = self.labels[run[2]]
            spans.append(FoundSpan(start, end, label, text[start:end], confidence))
        unread = len(text) - words.read
        note = f"only the first {words.read} of {len(text)} characters were read" if unread else ""
        return FoundSpans(tuple(spans), note)
