"""What does one trial of a search for hyper-parameters cost and give?

What all trials share is made once: the rows and their split, the frozen encoder's view of them, and
the heads that tuning starts from. The rows by which `train_classifier` judges its model are set
aside before anything else: a choice that had seen them could not be judged by them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.data.records import LabeledText
from core.inference.encoder import TextEncoder
from core.inference.export import export_encoder, load_torch_encoder
from core.inference.ngrams import document_frequency_weights, featurize
from core.inference.tokenizer import TextTokenizer
from core.models import resolve_model
from core.progress import Progress
from core.text import for_model
from core.training.augment import Augmenter, Synonyms, varying
from core.training.classifier import SPLIT_SEED
from core.training.config import FineTuneConfig
from core.training.finetune import FineTuned, fine_tune
from core.training.heads import Features, starting_head
from core.training.linear import Linear
from core.training.loop import RunOptions
from core.training.rows import Fold, TrainingRows, single_split, training_rows

_INNER_SPLIT_SEED = 1


def searchable_rows(
    labelled: Sequence[LabeledText], heads: Sequence[str]
) -> tuple[TrainingRows, Fold]:
    """The rows that `train_classifier` tunes on, and which of them judge a trial.

    Raises DataError where a head has fewer than two classes or rows are too few.
    """
    every = training_rows([replace(row, text=for_model(row.text)) for row in labelled], heads)
    # The split that `train_classifier` makes, whatever the seed; its held-out rows are left out.
    kept = single_split(every, np.random.default_rng(SPLIT_SEED)).train
    rows = every.take(kept)
    return rows, single_split(rows, np.random.default_rng(_INNER_SPLIT_SEED))


class Problem:
    """What is searched on, ready for any number of trials."""

    def __init__(
        self,
        labelled: Sequence[LabeledText],
        heads: Sequence[str],
        *,
        base_model: str,
        seed: int,
        threads: int,
        synonyms: Synonyms | None,
        progress: Progress,
    ) -> None:
        self.base = resolve_model(base_model)
        self.rows, self.fold = searchable_rows(labelled, heads)
        self._seed = seed
        self._threads = threads
        self._augmenter = Augmenter(synonyms=synonyms or {})
        self._progress = progress
        self._tokenizer = TextTokenizer(self.base.path / "tokenizer.json", self.base.max_length)
        self._start: dict[str, Linear] = {}

    def tune(
        self,
        config: FineTuneConfig,
        heard: Callable[[int, float], None],
        on_step: Callable[[], None],
    ) -> FineTuned:
        """Tune the base model as `config` says.

        `heard(epoch, accuracy)` is told of each epoch but the last, and `on_step` is called after
        each step; what they raise ends the run and comes out here.
        """
        self.prepare()
        vary = None
        if config.augment > 0:
            vary = varying(
                self.rows.texts, self._tokenizer, config.augment, self._seed, self._augmenter
            )
        last = config.passes(len(self.fold.train))
        return fine_tune(
            load_torch_encoder(self.base),
            self.base.pooling,
            [tokens.ids for tokens in self._tokenizer.encode(self.rows.texts)],
            self.rows.labels,
            self._start,
            self.fold,
            config,
            seed=self._seed,
            threads=self._threads,
            progress=self._progress,
            options=RunOptions(
                on_epoch=lambda epoch, score: heard(epoch, score) if epoch < last else None,
                on_step=on_step,
            ),
            vary=vary,
        )

    def prepare(self) -> None:
        """Once: fit the heads on the frozen embeddings of the trials' training rows."""
        if self._start:
            return
        texts = self.rows.texts
        self._progress.say(f"reading {len(texts)} texts")
        with tempfile.TemporaryDirectory() as scratch:
            export_encoder(load_torch_encoder(self.base), self.base, Path(scratch))
            encoded = TextEncoder.load(Path(scratch), threads=self._threads).encode(texts)
        ngrams = featurize(texts, document_frequency_weights(texts))
        features = Features(encoded.embeddings, ngrams, encoded.readable)
        for name, classes in self.rows.classes.items():
            self._progress.say(f"fitting {name}: {len(classes)} classes")
            labels = self.rows.labels[name]
            self._start[name] = starting_head(
                classes, labels, features, self.fold.train, seed=self._seed
            )
