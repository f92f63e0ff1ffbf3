"""What does the served model say of a text: its topic, its sentiment, or that it cannot read it?

Text that the encoder mostly cannot read is judged by its n-grams alone. That judgement is taken
only in a language, and from a confidence on, for which training measured on held-out rows that few
enough are wrong (train.py); all other such text stays unlabelled, and is never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.artifacts import Manifest, Version, verified_beside
from core.inference.classifier import Predictions, TextClassifier
from core.inference.tokenizer import Tokens
from core.privacy import redact
from core.text import language_of, word_tokens
from services.finance_sentiment.confusion import Confusion
from services.finance_sentiment.domain import KIND, SENTIMENT, TOPIC, Label
from services.finance_sentiment.lessons import read_learned

_WORDS_LOOKED_AT = 2_000
# The manifest's word on whether the training texts were redacted; older ones do not have it.
REDACTED = "redacted"
# Its count of what the sentiment head takes for what; older ones do not have it.
CONFUSION = "confusion"


class Labeler:
    """A trained artefact, ready to label. Safe to call from several threads."""

    def __init__(
        self,
        model: TextClassifier,
        version: str,
        unreadable: Mapping[str, Mapping[str, float]],
        *,
        redacted: bool = False,
        confusion: Confusion | None = None,
        learned: frozenset[str] = frozenset(),
    ) -> None:
        self.model = model
        self.confusion = confusion
        # Digests of the corrections that it was trained on.
        self.learned = learned
        self._redacted = redacted
        self.version = version
        # language → head → least confidence at which n-grams alone are believed
        self._unreadable = unreadable

    @classmethod
    def load(cls, folder: Path, *, threads: int = 2) -> Labeler:
        """The artefact in this folder, every file checked."""
        with verified_beside(folder, kind=KIND) as manifest:
            return cls.from_manifest(folder, manifest, threads=threads)

    @classmethod
    def from_manifest(cls, folder: Path, manifest: Manifest, *, threads: int) -> Labeler:
        """As `load`, of a folder whose files were checked."""
        model = TextClassifier.load(folder, manifest.settings["classifier"], threads=threads)
        limits = manifest.settings.get("unreadable", {}).get("confidence", {})
        redacted = bool(manifest.settings.get(REDACTED, False))
        confusion = Confusion.from_json(manifest.settings.get(CONFUSION))
        return cls(
            model,
            manifest.identity,
            limits,
            redacted=redacted,
            confusion=confusion,
            learned=read_learned(folder),
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """Those that it knows; none without such a head."""
        head = self.model.heads.get(TOPIC)
        return () if head is None else tuple(head.labels)

    @classmethod
    def of_version(cls, version: Version, *, threads: int = 2) -> Labeler:
        """As `load`, of a version in the registry."""
        return cls.load(version.path, threads=threads)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens that `label` takes, made ahead of it."""
        return self.model.tokenize(self._as_trained(texts))

    def label(self, texts: Sequence[str], tokens: Sequence[Tokens] | None = None) -> list[Label]:
        """A label for each text, in order."""
        return self.read(texts, tokens)[0]

    def read(
        self, texts: Sequence[str], tokens: Sequence[Tokens] | None = None
    ) -> tuple[list[Label], Predictions | None]:
        """As `label`, with the model's own output beside it (None for no texts)."""
        if not texts:
            return [], None
        predictions = self.model.predict(self._as_trained(texts), tokens)
        labels = [self._label(text, predictions, row) for row, text in enumerate(texts)]
        return labels, predictions

    def _as_trained(self, texts: Sequence[str]) -> Sequence[str]:
        return [redact(text).text for text in texts] if self._redacted else texts

    def _label(self, text: str, predictions: Predictions, row: int) -> Label:
        readable = self._can_read(text, predictions, row)
        sentiment = predictions.heads.get(SENTIMENT)
        topic = predictions.heads.get(TOPIC)
        chances: dict[str, float] = {}
        if sentiment is not None:
            chances = dict(
                zip(sentiment.labels, sentiment.probabilities[row].tolist(), strict=True)
            )
        return Label(
            model_version=self.version,
            sentiment=sentiment.best_labels[row] if sentiment is not None and readable else None,
            topic=topic.best_labels[row] if topic is not None and readable else None,
            p_negative=chances.get("negative", 0.0) if chances else None,
            p_neutral=chances.get("neutral", 0.0) if chances else None,
            p_positive=chances.get("positive", 0.0) if chances else None,
            p_topic=float(topic.confidence[row]) if topic is not None else None,
            readable=readable,
        )

    def _can_read(self, text: str, predictions: Predictions, row: int) -> bool:
        if not word_tokens(text[:_WORDS_LOOKED_AT]):
            return False
        if predictions.encoded.readable[row]:
            return True
        limits = self._unreadable.get(language_of(text))
        if limits is None:
            return False
        return all(
            float(head.confidence[row]) >= limits.get(name, float("inf"))
            for name, head in predictions.heads.items()
        )


def label_fields(label: Label) -> dict[str, Any]:
    """The columns of `predict`: sentiment, its three probabilities, topic and its probability."""
    return {
        "sentiment": label.sentiment,
        "p_negative": label.p_negative,
        "p_neutral": label.p_neutral,
        "p_positive": label.p_positive,
        "topic": label.topic,
        "p_topic": label.p_topic,
    }
