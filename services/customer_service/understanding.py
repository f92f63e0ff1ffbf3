"""Which intent does a message have, and how sure is the model of it?

An `IntentModel` is one trained artefact, loaded: the classifier, the decision rule that was fitted
for it, and the encoder that searches articles. Nothing here decides what to do; domain.py does.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.artifacts import Manifest, read_manifest, verified_beside
from core.errors import ArtifactCorrupt
from core.inference.classifier import Predictions, TextClassifier, load_reference
from core.inference.encoder import Encoded, TextEncoder
from core.inference.token_classifier import TokenClassifier
from core.inference.tokenizer import Tokens
from core.privacy import redact
from core.text import for_model, normalize
from services.customer_service import nearness as nearness_file
from services.customer_service.domain import Candidate, Reading
from services.customer_service.nearness import Bar, Nearness
from services.customer_service.rule import DecisionRule, Floats, Signals
from services.customer_service.slots import Span

KIND = "customer_service"
HEAD = "intent"
# The manifest's word on whether the training texts were redacted; older ones do not have it.
REDACTED = "redacted"
SEARCH_FOLDER = "search_encoder"
TAGGER_FOLDER = "tagger"
OUT_OF_SCOPE_FILE = "out_of_scope.safetensors"
# The best intent, and the three alternatives that an answer names beside it.
RANKED = 4
_RATHER_RIGHT = 0.5

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Understood:
    """One message as the model sees it.

    `in_scope`: the out-of-scope score, higher is surer. `embedding` (width,) is of the encoder
    `encoder_id`; `readable`: whether that could read the message.
    """

    reading: Reading
    in_scope: float
    encoder_id: str
    embedding: FloatArray
    readable: bool


class IntentModel:
    """Safe to call from several threads."""

    def __init__(
        self,
        manifest: Manifest,
        classifier: TextClassifier,
        rule: DecisionRule,
        searcher: TextEncoder,
        out_of_scope: FloatArray,
        nearness: Nearness | None = None,
    ) -> None:
        """`out_of_scope` (m, width): embeddings of questions that are known to be so. `nearness`:
        None for a model that was trained before it was kept."""
        self.version = manifest.identity
        self._redacted = bool(manifest.settings.get(REDACTED, False))
        # Two artefacts of the same files may still decide differently.
        self.cache_key = f"{manifest.identity} {rule} {self._redacted}"
        self.classifier = classifier
        self.rule = rule
        self.searcher = searcher
        self._out_of_scope = out_of_scope
        self.nearness = nearness
        # From where on a taught example speaks for a message; None: only with the same words.
        self.example_bar = _bar_of(manifest, nearness)
        self.tagger: TokenClassifier | None = None
        self._classes = {name: number for number, name in enumerate(self.intents)}

    @classmethod
    def load(cls, folder: Path, *, threads: int = 2, check: bool = True) -> IntentModel:
        """Load an artefact folder; with `check` every file is compared with the manifest."""
        if not check:
            return cls._of(folder, read_manifest(folder), threads)
        with verified_beside(folder, kind=KIND) as manifest:
            return cls._of(folder, manifest, threads)

    @classmethod
    def _of(cls, folder: Path, manifest: Manifest, threads: int) -> IntentModel:
        try:
            classifier = TextClassifier.load(
                folder, manifest.settings["classifier"], threads=threads
            )
            rule = DecisionRule.from_settings(
                manifest.settings["decision"], classifier.heads[HEAD].labels
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactCorrupt(
                f"the manifest of {str(folder)!r} lacks {error}", mend="Train it again."
            ) from error
        outside = np.empty((0, classifier.encoder.dimensions), dtype=np.float32)
        if (folder / OUT_OF_SCOPE_FILE).is_file():
            outside = load_reference(folder / OUT_OF_SCOPE_FILE)
        own = folder / SEARCH_FOLDER
        # A tuned encoder has learnt to tell intents apart and forgotten much of the rest: search
        # then has the untuned one beside it.
        searcher = TextEncoder.load(own, threads=threads) if own.is_dir() else classifier.encoder
        near = nearness_file.load(folder)
        model = cls(manifest, classifier, rule, searcher, outside, near)
        if (folder / TAGGER_FOLDER).is_dir():
            model.tagger = TokenClassifier.load(folder / TAGGER_FOLDER, threads=threads)
        return model

    @property
    def intents(self) -> tuple[str, ...]:
        """The intents it was trained on."""
        return self.classifier.heads[HEAD].labels

    def class_of(self, intent: str) -> int | None:
        """Its number among the trained intents, None where it is none of them."""
        return self._classes.get(intent)

    def tagged(self, text: str, slots: Set[str]) -> dict[str, list[Span]]:
        """What the tagger finds for these slots in a normalised text, where it is rather right than
        wrong; nothing without a tagger."""
        found: dict[str, list[Span]] = {}
        if self.tagger is not None and slots:
            for span in self.tagger.predict([text])[0].spans:
                if span.label in slots and span.confidence >= _RATHER_RIGHT:
                    value = Span(span.start, span.end, span.text)
                    found.setdefault(span.label, []).append(value)
        return found

    def as_read(self, text: str) -> str:
        """What an encoder of this model reads of a message or of an example."""
        return for_model(self._as_trained(text))

    def prepared(self, text: str) -> tuple[str, Tokens]:
        """What the classifier reads of one message: its text and tokens. Apart from the reading, so
        that a batcher knows its size."""
        text = self._as_trained(text)
        return text, self.classifier.tokenize([text])[0]

    def understand(self, texts: Sequence[str]) -> list[Understood]:
        """Each message understood."""
        return self.read(self.predict(texts))

    def understand_prepared(
        self, texts: Sequence[str], tokens: Sequence[Tokens]
    ) -> list[Understood]:
        """As `understand`, of what `prepared` gave."""
        return self.read(self.classifier.predict(texts, tokens))

    def predict(self, texts: Sequence[str]) -> Predictions:
        """What the classifier says, undecided: for evaluation."""
        return self.classifier.predict([self._as_trained(text) for text in texts])

    def _as_trained(self, text: str) -> str:
        """The message as the classifier knows such messages from training."""
        return redact(normalize(text)).text if self._redacted else normalize(text)

    def read(self, predictions: Predictions) -> list[Understood]:
        """What the decision rule makes of predictions."""
        head = predictions.heads[HEAD]
        order = np.argsort(-head.probabilities, axis=1, kind="stable")[:, :RANKED]
        top = np.take_along_axis(head.probabilities, order, axis=1).astype(np.float64)
        nearest = nearest_out_of_scope(predictions.encoded, self._out_of_scope)
        signals = signals_of(head.probabilities, predictions, nearest)
        chance, sure = self.rule.chance(signals), self.rule.sure(signals)
        pair_chance = self.rule.pair_chance(signals)
        return [
            Understood(
                Reading(
                    ranked=tuple(
                        Candidate(head.labels[column], float(p))
                        for column, p in zip(order[row], top[row], strict=True)
                    ),
                    chance=float(chance[row]),
                    pair_chance=float(pair_chance[row]),
                    sure=bool(sure[row]),
                ),
                float(predictions.in_scope[row]),
                self.classifier.encoder.encoder_id,
                predictions.encoded.embeddings[row].copy(),
                bool(predictions.encoded.readable[row]),
            )
            for row in range(len(order))
        ]


def _bar_of(manifest: Manifest, nearness: Nearness | None) -> Bar | None:
    """By the risk and the share of out-of-scope questions that the threshold was fitted for."""
    said = manifest.settings.get("decision", {})
    if nearness is None or "risk" not in said:
        return None
    return nearness.bar(float(said["risk"]), float(said.get("oos_share", 0.0)))


def signals_of(probabilities: FloatArray, predictions: Predictions, nearest_oos: Floats) -> Signals:
    """What the decision rule looks at; `probabilities` (n, classes), `nearest_oos` (n,)."""
    best_two = -np.sort(-probabilities, axis=1)[:, :2].astype(np.float64)
    return Signals(
        intent=probabilities.argmax(axis=1),
        probability=best_two[:, 0],
        pair_probability=np.minimum(best_two.sum(axis=1), 1.0),
        in_scope=predictions.in_scope.astype(np.float64),
        readable=predictions.encoded.readable,
        nearest_oos=nearest_oos,
    )


def nearest_out_of_scope(encoded: Encoded, out_of_scope: FloatArray) -> Floats:
    """(n,) cosine to the nearest row of `out_of_scope` (m, width), 0 where there is none.

    An unreadable text's embedding means nothing, so it is near to nothing.
    """
    if len(out_of_scope) == 0:
        return np.zeros(len(encoded.embeddings))
    cosine = (encoded.embeddings @ out_of_scope.T).max(axis=1)
    return np.where(encoded.readable, cosine, 0.0).astype(np.float64)
