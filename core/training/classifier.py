"""How do labelled texts become a classifier folder, and how good is it on rows it never saw?

Two presets, one artefact and one report:

    fast       the encoder stays frozen; logistic regression on its embeddings
    accurate   the encoder is tuned, starting from the fast heads; teachers and text without
               labels may help
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.artifacts import write_artifact
from core.data.records import LabeledText
from core.errors import InvalidInput
from core.inference.encoder import Encoded, TextEncoder
from core.inference.export import export_encoder, load_torch_encoder
from core.inference.heads import save_heads
from core.inference.ngrams import document_frequency_weights, featurize
from core.inference.open_set import OpenSet
from core.inference.tokenizer import TextTokenizer
from core.models import BUNDLED, BaseModel, resolve_model
from core.progress import SILENT, Progress
from core.text import for_model
from core.training.augment import Augmenter, Synonyms, varying
from core.training.config import FineTuneConfig
from core.training.finetune import FineTuned, fine_tune
from core.training.heads import Features, FittedHead, fit_head, refit_head, starting_head
from core.training.judging import (
    HeldOutPredictions,
    figures,
    fit_open_set,
    judge_held_out,
    judge_precision,
)
from core.training.linear import Linear
from core.training.loop import RunOptions
from core.training.rows import (
    Fold,
    IntArray,
    TrainingRows,
    cross_validation_folds,
    rows_to_learn,
)
from core.training.teachers import ask_teachers
from core.training.tuning import manifest_of

Preset = Literal["fast", "accurate"]
FloatArray = npt.NDArray[np.float32]

# Of fewer rows each counts: the encoder is tuned once more, on the held-out ones as well.
_REFIT_BELOW = 2000
# The rows that are held out do not depend on the seed: models of several seeds can be compared on
# them, and a student never meets in its teachers' training what judges it.
SPLIT_SEED = 0
JOURNAL = "training.jsonl"


@dataclass(frozen=True)
class TrainedClassifier:
    """`settings` belongs under `classifier` in the manifest; `texts` of all rows of `held_out`."""

    base: BaseModel
    data_sha256: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    held_out: Mapping[str, HeldOutPredictions]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Extra:
    """What may help tuning beside the labelled rows.

    `teachers`: artefact folders whose word is distilled; `unlabelled`: texts that teachers label
    (without a teacher two are trained first, on the labelled rows); `synonyms`: word → others, for
    augmentation; `search`: how the settings were found, for the manifest; `label_names`: the words
    of each label's name are one more row of it, which tells most where there are few;
    `corrections`: rows with any of the heads that train, never judge, and outweigh others.
    """

    teachers: tuple[Path, ...] = ()
    unlabelled: tuple[str, ...] = ()
    synonyms: Synonyms | None = None
    search: Mapping[str, Any] | None = None
    label_names: bool = False
    corrections: tuple[LabeledText, ...] = ()


def train_classifier(
    labelled: Sequence[LabeledText],
    heads: Sequence[str],
    *,
    folder: Path,
    base_model: str = BUNDLED,
    preset: Preset = "fast",
    seed: int = 0,
    threads: int = 2,
    progress: Progress = SILENT,
    config: FineTuneConfig | None = None,
    options: RunOptions | None = None,
    extra: Extra | None = None,
) -> TrainedClassifier:
    """Write `encoder/`, `heads.safetensors` and `open_set.safetensors` into `folder`; tuning also
    leaves its journal there.

    Raises DataError where a head has fewer than two classes, ModelError where the base model
    cannot be used.
    """
    extra = extra or Extra()
    extra = replace(extra, unlabelled=tuple(map(for_model, extra.unlabelled)))
    if preset == "fast" and (extra.teachers or extra.unlabelled):
        raise InvalidInput("teachers need an encoder that is tuned", mend="Use --preset accurate.")
    split, given = np.random.default_rng(SPLIT_SEED), (labelled, extra.corrections)
    single, named = preset == "accurate", extra.label_names
    rows, folds = rows_to_learn(given, heads, split, single=single, label_names=named)
    options = replace(options or RunOptions(), journal=folder / JOURNAL)
    base = resolve_model(base_model)
    work = _Work(rows, base, folder, seed, threads, progress, options)
    if preset == "fast":
        return work.frozen(folds)
    config, [fold] = config or FineTuneConfig(), folds
    if not extra.unlabelled or extra.teachers:
        return work.tuned(fold, config, extra)
    with tempfile.TemporaryDirectory() as scratch:
        progress.say("training two teachers for the unlabelled texts")
        teachers = work.teach(Path(scratch), fold, config)
        return work.tuned(fold, config, replace(extra, teachers=teachers))


class _Work:
    """One training run: what its steps share."""

    def __init__(
        self,
        rows: TrainingRows,
        base: BaseModel,
        folder: Path,
        seed: int,
        threads: int,
        progress: Progress,
        options: RunOptions,
    ) -> None:
        self.rows = rows
        self.base = base
        self.folder = folder
        self.seed = seed
        self.threads = threads
        self.progress = progress
        self.options = options
        self.idf = document_frequency_weights(rows.texts)
        self.ngrams = featurize(rows.texts, self.idf)

    def frozen(self, folds: list[Fold]) -> TrainedClassifier:
        """The preset `fast`."""
        self._export_base()
        encoded = self._encode()
        fitted = self._fit_heads(encoded, folds)
        return self._finish(fitted, encoded, {"preset": "fast"})

    def tuned(
        self, fold: Fold, config: FineTuneConfig, extra: Extra, *, refit: bool = True
    ) -> TrainedClassifier:
        """The preset `accurate`: frozen heads on the training part first, as tuning's start."""
        model = self._export_base()
        before = self._encode()
        heads, teacher = self._starting_heads(before, fold.train), self._ask(extra, fold)
        tuned = self._fine_tune(model, heads, fold, config, extra, teacher)
        export_encoder(tuned.model, self.base, self.folder / "encoder")
        encoded = self._encode()
        fitted = self._fit_heads(encoded, [fold], tuned.heads)
        said = {
            "preset": "accurate",
            "tuning": {
                "config": asdict(config),
                "best_epoch": tuned.best_epoch,
                "history": [dict(h) for h in tuned.history],
                "interrupted": tuned.interrupted,
                "seconds": round(tuned.seconds, 1),
                "teachers": len(extra.teachers),
                "unlabelled": len(extra.unlabelled),
                "search": extra.search,
            },
        }
        enough = len(self.rows) + len(extra.unlabelled) >= _REFIT_BELOW
        if not refit or enough or tuned.best_epoch == 0 or tuned.interrupted:
            return self._finish(fitted, encoded, said)
        again = replace(config, epochs=tuned.best_epoch, average=1)
        every = Fold(np.arange(len(self.rows)), np.arange(0))

        def tune_on_all() -> FineTuned:
            self.progress.say("tuning once more, on the held-out rows as well")
            start = self._starting_heads(before, every.train)
            fresh = load_torch_encoder(self.base)
            return self._fine_tune(fresh, start, every, again, extra, teacher)

        return self._finish(fitted, encoded, said, tune_on_all)

    def teach(self, folder: Path, fold: Fold, config: FineTuneConfig) -> tuple[Path, Path]:
        """Two models of the labelled rows of `fold.train` alone, as artefacts: one tuned, one with
        the encoder as it is. They err differently, so both together know more than either."""
        known = self.rows.take(fold.train)
        folds = cross_validation_folds(known, np.random.default_rng(SPLIT_SEED))
        return (
            self._taught(folder / "tuned", lambda w: w.tuned(fold, config, Extra(), refit=False)),
            self._taught(folder / "frozen", lambda w: w.frozen(folds), known),
        )

    def _taught(
        self,
        folder: Path,
        train: Callable[[_Work], TrainedClassifier],
        rows: TrainingRows | None = None,
    ) -> Path:
        with write_artifact(folder) as draft:
            options = replace(self.options, checkpoints=None, journal=None)
            rows = rows or self.rows
            work = _Work(
                rows, self.base, draft.path, self.seed, self.threads, self.progress, options
            )
            trained = train(work)
            draft.manifest = manifest_of(
                "teacher",
                self.base,
                trained.data_sha256,
                metrics=dict(trained.metrics),
                settings={"classifier": trained.settings},
            )
        return folder

    def _fine_tune(
        self,
        model: Any,
        start: Mapping[str, Linear],
        fold: Fold,
        config: FineTuneConfig,
        extra: Extra,
        teacher: Mapping[str, FloatArray],
    ) -> FineTuned:
        tokenizer = TextTokenizer(self.base.path / "tokenizer.json", self.base.max_length)
        texts = [*self.rows.texts, *extra.unlabelled]
        more = np.arange(len(self.rows), len(texts))
        none = np.full(len(more), -1)
        vary = None
        if config.augment > 0:
            augmenter = Augmenter(synonyms=extra.synonyms or {})
            vary = varying(texts, tokenizer, config.augment, self.seed, augmenter)
        return fine_tune(
            model,
            self.base.pooling,
            [tokens.ids for tokens in tokenizer.encode(texts)],
            {name: np.concatenate([of, none]) for name, of in self.rows.labels.items()},
            start,
            Fold(np.concatenate([fold.train, more]), fold.held_out),
            config,
            seed=self.seed,
            threads=self.threads,
            progress=self.progress,
            options=self.options,
            teacher=teacher,
            vary=vary,
        )

    def _ask(self, extra: Extra, fold: Fold) -> dict[str, FloatArray]:
        if not extra.teachers:
            return {}
        texts = [*self.rows.texts, *extra.unlabelled]
        self.progress.say(f"asking {len(extra.teachers)} teachers about {len(texts)} texts")
        labels = None
        if extra.unlabelled:
            # What judges the student must not speak through its neighbours.
            known = np.zeros(len(texts), dtype=np.bool_)
            known[fold.train] = True
            labels = {
                name: np.where(known, np.resize(of, len(texts)), -1)
                for name, of in self.rows.labels.items()
            }
        return ask_teachers(
            extra.teachers, texts, self.rows.classes, labels=labels, threads=self.threads
        )

    def _finish(
        self,
        fitted: list[FittedHead],
        encoded: Encoded,
        said: Mapping[str, Any],
        tune_on_all: Any = None,
    ) -> TrainedClassifier:
        """Choose the precision, measure, and write; `encoded` is what the fp32 encoder says.

        From here on what the served encoder says counts. With `tune_on_all` the figures and
        everything fitted on held-out rows stay those of the model before, which had not seen them.
        """
        precision, encoded = self._choose_precision(fitted, encoded)
        held_out, scales = judge_held_out(fitted, self.rows, self.ngrams, encoded, seed=self.seed)
        if tune_on_all is not None:
            final = tune_on_all()
            export_encoder(final.model, self.base, self.folder / "encoder")
            encoded = self._encode()
            fitted = self._refit_heads(fitted, encoded, final.heads)
            precision, encoded = self._choose_precision(fitted, encoded)
        heads = [f.head for f in fitted]
        save_heads(heads, self.idf, self.folder / "heads.safetensors")
        every = np.arange(len(self.rows))
        model = fit_open_set(self.rows.labels[heads[0].name], encoded, every, self.seed)
        open_set = OpenSet(model, *scales).save(self.folder / "open_set.safetensors")
        settings = {
            "seed": self.seed,
            "heads": {head.name: head.settings() for head in heads},
            "precision": asdict(precision),
            "choices": {f.head.name: dict(f.choices) for f in fitted},
            "tuning": {},
            "open_set": open_set,
            "label_names": self.rows.named,
            **said,
        }
        metrics = {name: figures(h, self.seed) for name, h in held_out.items()}
        made = self.base, self.rows.fingerprint(), settings, metrics, held_out
        return TrainedClassifier(*made, self.rows.texts)

    def _export_base(self) -> Any:
        self.progress.say(f"exporting {self.base.reference}")
        model = load_torch_encoder(self.base)
        export_encoder(model, self.base, self.folder / "encoder")
        return model

    def _encode(self) -> Encoded:
        self.progress.say(f"reading {len(self.rows)} texts")
        encoder = TextEncoder.load(self.folder / "encoder", threads=self.threads)
        return encoder.encode(self.rows.texts)

    def _starting_heads(self, encoded: Encoded, rows: IntArray) -> dict[str, Linear]:
        features = Features(encoded.embeddings, self.ngrams, encoded.readable)
        return {
            name: starting_head(classes, self.rows.labels[name], features, rows, seed=self.seed)
            for name, classes in self.rows.classes.items()
        }

    def _fit_heads(
        self,
        encoded: Encoded,
        folds: list[Fold],
        tuned: Mapping[str, Linear] | None = None,
    ) -> list[FittedHead]:
        features = Features(encoded.embeddings, self.ngrams, encoded.readable)
        fitted = []
        for name, classes in self.rows.classes.items():
            self.progress.say(f"fitting {name}: {len(classes)} classes")
            fitted.append(
                fit_head(
                    name,
                    classes,
                    self.rows.labels[name],
                    features,
                    folds,
                    seed=self.seed,
                    tuned=None if tuned is None else tuned[name],
                )
            )
        return fitted

    def _refit_heads(
        self, fitted: list[FittedHead], encoded: Encoded, tuned: Mapping[str, Linear]
    ) -> list[FittedHead]:
        features = Features(encoded.embeddings, self.ngrams, encoded.readable)
        return [
            refit_head(
                f, self.rows.labels[f.head.name], features, tuned[f.head.name], seed=self.seed
            )
            for f in fitted
        ]

    def _choose_precision(self, fitted: list[FittedHead], encoded: Encoded) -> tuple[Any, Encoded]:
        self.progress.say(f"checking int8 on {len(fitted[0].held_out.rows)} held-out texts")
        precision = judge_precision(
            self.folder / "encoder",
            self.rows,
            self.ngrams,
            encoded,
            fitted[0].held_out,
            threads=self.threads,
        )
        return precision, encoded if precision.chosen == "fp32" else self._as_served(
            encoded, fitted[0].held_out.rows
        )

    def _as_served(self, encoded: Encoded, rows: IntArray) -> Encoded:
        """The rows to be judged in the precision that is served; the others only teach."""
        encoder = TextEncoder.load(self.folder / "encoder", threads=self.threads)
        embeddings = encoded.embeddings.copy()
        embeddings[rows] = encoder.encode([self.rows.texts[r] for r in rows]).embeddings
        return replace(encoded, embeddings=embeddings)
