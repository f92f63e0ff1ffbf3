"""Which intent does a message have, and how sure is the model of it?

An `IntentModel` is one trained artefact, loaded: the classifier, the decision rule that was fitted
for it, and the encoder that searches articles. Nothing here decides what to do; domain.py does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.artifacts import Manifest, read_manifest, verify
from core.errors import ArtifactCorrupt
from core.inference.classifier import Predictions, TextClassifier
from core.inference.encoder import TextEncoder
from core.inference.tokenizer import Tokens
from core.text import normalize
from services.customer_service.domain import Candidate, Reading
from services.customer_service.rule import DecisionRule

KIND = "customer_service"
HEAD = "intent"
SEARCH_FOLDER = "search_encoder"
# The best intent, and the three alternatives that an answer names beside it.
RANKED = 4

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
    ) -> None:
        self.version = manifest.identity
        # Two artefacts of the same files may still decide differently.
        self.cache_key = f"{manifest.identity} {rule}"
        self.classifier = classifier
        self.rule = rule
        self.searcher = searcher

    @classmethod
    def load(cls, folder: Path, *, threads: int = 2, check: bool = True) -> IntentModel:
        """Load an artefact folder; with `check` every file is compared with the manifest first."""
        manifest = verify(folder, kind=KIND) if check else read_manifest(folder)
        try:
            classifier = TextClassifier.load(
                folder, manifest.settings["classifier"], threads=threads
            )
            rule = DecisionRule.from_settings(manifest.settings["decision"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactCorrupt(
                f"the manifest of {str(folder)!r} lacks {error}", mend="Train it again."
            ) from error
        own = folder / SEARCH_FOLDER
        # A tuned encoder has learnt to tell intents apart and forgotten much of the rest: search
        # then has the untuned one beside it.
        searcher = TextEncoder.load(own, threads=threads) if own.is_dir() else classifier.encoder
        return cls(manifest, classifier, rule, searcher)

    @property
    def intents(self) -> tuple[str, ...]:
        """The intents it was trained on."""
        return self.classifier.heads[HEAD].labels

    def tokenize(self, text: str) -> Tokens:
        """Step 1 for one message, so that a batcher knows its size."""
        return self.classifier.tokenize([normalize(text)])[0]

    def understand(
        self, texts: Sequence[str], tokens: Sequence[Tokens] | None = None
    ) -> list[Understood]:
        """Each message understood; `tokens` if they were made before."""
        return self.read(self.predict(texts, tokens))

    def predict(self, texts: Sequence[str], tokens: Sequence[Tokens] | None = None) -> Predictions:
        """What the classifier says, undecided: for evaluation."""
        return self.classifier.predict([normalize(text) for text in texts], tokens)

    def read(self, predictions: Predictions) -> list[Understood]:
        """What the decision rule makes of predictions."""
        head = predictions.heads[HEAD]
        order = np.argsort(-head.probabilities, axis=1, kind="stable")[:, :RANKED]
        top = np.take_along_axis(head.probabilities, order, axis=1).astype(np.float64)
        best, pair = top[:, 0], np.minimum(top[:, :2].sum(axis=1), 1.0)
        evidence = predictions.in_scope, predictions.encoded.readable
        chance = self.rule.score(best, *evidence)
        # Fitted apart from each other; one of two is never less likely than the first of them.
        pair_chance = np.maximum(self.rule.pair_score(pair, *evidence), chance)
        sure = self.rule.sure(best, *evidence)
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
