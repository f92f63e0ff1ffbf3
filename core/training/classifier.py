"""How do labelled texts become a classifier folder, and how good is it on rows it never saw?

Two presets, one artefact and one report:

    fast       the encoder stays frozen; logistic regression on its embeddings
    accurate   the whole encoder is tuned, starting from the fast heads
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from core.data.records import LabeledText
from core.evaluation.calibration import ece
from core.evaluation.classification import accuracy, macro_f1
from core.evaluation.intervals import bootstrap_interval
from core.inference.classifier import save_reference
from core.inference.encoder import Encoded, EncoderConfig, TextEncoder
from core.inference.export import export_encoder, load_torch_encoder
from core.inference.heads import LinearHead, save_heads
from core.inference.neighbours import MAX_REFERENCE, OpenSetScore, kth_similarity
from core.inference.ngrams import document_frequency_weights, featurize
from core.inference.quantize import PrecisionReport, choose_precision
from core.inference.tokenizer import TextTokenizer
from core.models import BUNDLED, BaseModel, resolve_model
from core.progress import SILENT, Progress
from core.training.finetune import FineTuneConfig, fine_tune
from core.training.heads import Features, FittedHead, HeldOut, Linear, fit_head, take_rows
from core.training.rows import (
    Fold,
    IntArray,
    TrainingRows,
    cross_validation_folds,
    single_split,
    training_rows,
)

Preset = Literal["fast", "accurate"]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HeldOutPredictions:
    """What a model that never saw them says of m rows.

    `rows` (m,) numbers of the rows given, `labels` (m,) class numbers, `probabilities`
    (m, classes), `in_scope` (m,) score, higher is surer.
    """

    rows: IntArray
    labels: IntArray
    classes: tuple[str, ...]
    probabilities: FloatArray
    in_scope: FloatArray


@dataclass(frozen=True)
class TrainedClassifier:
    """`settings` belongs under `classifier` in the manifest, `metrics` beside it."""

    base: BaseModel
    data_sha256: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    held_out: Mapping[str, HeldOutPredictions]


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
) -> TrainedClassifier:
    """Write `encoder/`, `heads.safetensors` and `reference.safetensors` into `folder`.

    Raises DataError where a head has fewer than two classes, ModelError where the base model
    cannot be used.
    """
    rows = training_rows(labelled, heads)
    base = resolve_model(base_model)
    rng = np.random.default_rng(seed)
    idf = document_frequency_weights(rows.texts)
    work = _Work(rows, base, folder, idf, seed, threads, progress)
    if preset == "fast":
        fitted, folds = work.fit_frozen(cross_validation_folds(rows, rng))
    else:
        fitted, folds = work.fit_tuned(single_split(rows, rng), config or FineTuneConfig())
    return work.finish(fitted, folds, preset)


def export_base_encoder(folder: Path, base_model: str = BUNDLED) -> EncoderConfig:
    """The frozen base model as an exported encoder, for search and for item texts."""
    base = resolve_model(base_model)
    return export_encoder(load_torch_encoder(base), base, folder)


class _Work:
    """One training run: what its steps share."""

    def __init__(
        self,
        rows: TrainingRows,
        base: BaseModel,
        folder: Path,
        idf: FloatArray,
        seed: int,
        threads: int,
        progress: Progress,
    ) -> None:
        self.rows = rows
        self.base = base
        self.folder = folder
        self.idf = idf
        self.seed = seed
        self.threads = threads
        self.progress = progress
        self.ngrams = featurize(rows.texts, idf)
        self.tuning: dict[str, Any] = {}
        self.encoded: Encoded | None = None  # all rows in fp32, by the encoder as it is now

    def fit_frozen(self, folds: list[Fold]) -> tuple[list[FittedHead], list[Fold]]:
        self.progress.say(f"exporting {self.base.reference}")
        export_encoder(load_torch_encoder(self.base), self.base, self.folder / "encoder")
        return self._fit_heads(folds), folds

    def fit_tuned(self, fold: Fold, config: FineTuneConfig) -> tuple[list[FittedHead], list[Fold]]:
        """Frozen heads on the training part first; they are what tuning starts from."""
        self.progress.say(f"exporting {self.base.reference}")
        model = load_torch_encoder(self.base)
        export_encoder(model, self.base, self.folder / "encoder")
        start = self._fit_heads([fold], refit=False)
        tokenizer = TextTokenizer(self.base.path / "tokenizer.json", self.base.max_length)
        tuned = fine_tune(
            model,
            self.base.pooling,
            [tokens.ids for tokens in tokenizer.encode(self.rows.texts)],
            self.rows.labels,
            {f.head.name: _dense_of(f) for f in start},
            fold,
            config,
            seed=self.seed,
            threads=self.threads,
            progress=self.progress,
        )
        self.tuning = {
            "config": asdict(config),
            "best_epoch": tuned.best_epoch,
            "history": [dict(h) for h in tuned.history],
            "seconds": round(tuned.seconds, 1),
        }
        export_encoder(model, self.base, self.folder / "encoder")
        self.encoded = None
        return self._fit_heads([fold], tuned.heads), [fold]

    def finish(
        self, fitted: list[FittedHead], folds: list[Fold], preset: Preset
    ) -> TrainedClassifier:
        precision = self._choose_precision(fitted[0].held_out)
        # From here on what the served encoder says counts, in the precision that was chosen.
        encoded = self._encoded() if precision.chosen == "fp32" else self._encode()
        held_out, scores = self._held_out(fitted, encoded)
        save_heads([f.head for f in fitted], self.idf, self.folder / "heads.safetensors")
        save_reference(self.folder / "reference.safetensors", self._reference(encoded))
        settings = {
            "preset": preset,
            "seed": self.seed,
            "heads": {f.head.name: f.head.settings() for f in fitted},
            "open_set": scores["readable"].settings(),
            "lexical_open_set": scores["unreadable"].settings(),
            "precision": asdict(precision),
            "choices": {f.head.name: dict(f.choices) for f in fitted},
            "tuning": self.tuning,
        }
        metrics = {name: self._metrics(h) for name, h in held_out.items()}
        fingerprint = self.rows.fingerprint()
        return TrainedClassifier(self.base, fingerprint, settings, metrics, held_out)

    def _encode(self) -> Encoded:
        encoder = TextEncoder.load(self.folder / "encoder", threads=self.threads)
        return encoder.encode(self.rows.texts)

    def _encoded(self) -> Encoded:
        if self.encoded is None:
            self.progress.say(f"reading {len(self.rows)} texts")
            self.encoded = self._encode()
        return self.encoded

    def _fit_heads(
        self,
        folds: list[Fold],
        tuned: Mapping[str, Linear] | None = None,
        *,
        refit: bool = True,
    ) -> list[FittedHead]:
        encoded = self._encoded()
        features = Features(encoded.embeddings, self.ngrams, encoded.readable)
        fitted = []
        for name, classes in self.rows.classes.items():
            self.progress.say(f"fitting {name}: {len(classes)} classes")
            dense = None if tuned is None else tuned[name]
            fitted.append(
                fit_head(
                    name,
                    classes,
                    self.rows.labels[name],
                    features,
                    folds,
                    seed=self.seed,
                    tuned=dense,
                    refit=refit,
                )
            )
        return fitted

    def _choose_precision(self, held_out: HeldOut) -> PrecisionReport:
        """Judged on the first head's readable held-out rows, each by the head that never saw it."""
        encoded = self._encoded()
        judges: list[tuple[LinearHead, IntArray]] = []
        label_of = dict.fromkeys(held_out.rows.tolist())
        for fold, head in held_out.fold_heads:
            mine = [r for r in fold.held_out.tolist() if r in label_of and encoded.readable[r]]
            judges.append((head, np.array(mine, dtype=np.intp)))
        order = np.concatenate([rows for _, rows in judges]).astype(np.intp)
        name = held_out.fold_heads[0][1].name

        def decide(embeddings: FloatArray) -> IntArray:
            decided, start = [], 0
            for head, rows in judges:
                part = embeddings[start : start + len(rows)]
                start += len(rows)
                known = np.ones(len(rows), dtype=np.bool_)
                logits = head.logits(part, take_rows(self.ngrams, rows), known)
                decided.append(logits.argmax(axis=1))
            return np.concatenate(decided)

        self.progress.say(f"checking int8 on {len(order)} held-out texts")
        return choose_precision(
            self.folder / "encoder",
            [self.rows.texts[r] for r in order],
            self.rows.labels[name][order],
            decide,
            reference=encoded.embeddings[order],
            threads=self.threads,
        )

    def _held_out(
        self, fitted: list[FittedHead], encoded: Encoded
    ) -> tuple[dict[str, HeldOutPredictions], dict[str, OpenSetScore]]:
        """Held-out predictions in the served precision, and the out-of-scope score's scale.

        Each row is compared with the training rows of its own fold only.
        """
        predictions = {f.head.name: self._predict_held_out(f, encoded) for f in fitted}
        first = next(iter(predictions.values()))
        readable = encoded.readable[first.rows]
        similarity = np.empty(len(first.rows), dtype=np.float32)
        position = {row: i for i, row in enumerate(first.rows.tolist())}
        for fold, _ in fitted[0].held_out.fold_heads:
            mine = np.array([r for r in fold.held_out.tolist() if r in position], dtype=np.intp)
            known = self._at_most(fold.train[encoded.readable[fold.train]])
            if len(mine) and len(known):
                near = kth_similarity(encoded.embeddings[mine], encoded.embeddings[known])
                similarity[[position[r] for r in mine.tolist()]] = near
            elif len(mine):
                similarity[[position[r] for r in mine.tolist()]] = 0.0
        largest = first.in_scope  # holds the largest logit until it is scored below
        scores = {
            "readable": _fit_score(largest, similarity, readable),
            "unreadable": _fit_score(largest, similarity, ~readable),
        }
        dense = scores["readable"].score(largest, similarity)
        middle = np.full_like(largest, scores["unreadable"].similarity_mean)
        lexical = scores["unreadable"].score(largest, middle)
        in_scope = np.where(readable, dense, lexical)
        named = {row: float(s) for row, s in zip(first.rows.tolist(), in_scope, strict=True)}
        return {
            name: HeldOutPredictions(
                p.rows,
                p.labels,
                p.classes,
                p.probabilities,
                np.array([named.get(r, np.nan) for r in p.rows.tolist()], dtype=np.float32),
            )
            for name, p in predictions.items()
        }, scores

    def _predict_held_out(self, fitted: FittedHead, encoded: Encoded) -> HeldOutPredictions:
        rows, logits, probabilities = [], [], []
        labels = self.rows.labels[fitted.head.name]
        for fold, head in fitted.held_out.fold_heads:
            mine = fold.held_out[labels[fold.held_out] >= 0]
            prediction = head.predict(
                encoded.embeddings[mine], take_rows(self.ngrams, mine), encoded.readable[mine]
            )
            rows.append(mine)
            logits.append(prediction.logits.max(axis=1))
            probabilities.append(prediction.probabilities)
        order = np.concatenate(rows)
        return HeldOutPredictions(
            order,
            labels[order],
            fitted.head.labels,
            np.concatenate(probabilities),
            np.concatenate(logits),
        )

    def _reference(self, encoded: Encoded) -> FloatArray:
        readable = np.flatnonzero(encoded.readable)
        if len(readable) == 0:
            readable = np.arange(len(self.rows))
        return encoded.embeddings[self._at_most(readable)]

    def _at_most(self, rows: IntArray) -> IntArray:
        """A random part of the rows where they are more than a reference holds."""
        if len(rows) <= MAX_REFERENCE:
            return rows
        return np.random.default_rng(self.seed).choice(rows, MAX_REFERENCE, replace=False)

    def _metrics(self, held_out: HeldOutPredictions) -> dict[str, Any]:
        """Accuracy, macro F1 and ECE on held-out rows, with bootstrap intervals (95 %).

        All are None for a head of which no labelled row could be held out.
        """
        if len(held_out.rows) == 0:
            names = ("accuracy", "accuracy_ci", "macro_f1", "ece")
            return {"rows": 0, **dict.fromkeys(names)}
        best = held_out.probabilities.argmax(axis=1)
        right = (best == held_out.labels).astype(np.float64)
        rng = np.random.default_rng(self.seed)
        return {
            "rows": len(best),
            "accuracy": accuracy(held_out.labels, best),
            "accuracy_ci": list(bootstrap_interval(right, rng)),
            "macro_f1": macro_f1(held_out.labels, best),
            "ece": ece(held_out.probabilities, held_out.labels),
        }


def _dense_of(fitted: FittedHead) -> Linear:
    """The dense part that was fitted on the fold's training rows alone."""
    head = fitted.held_out.fold_heads[0][1]
    return Linear(head.weight, head.bias)


def _fit_score(
    largest: FloatArray, similarity: FloatArray, keep: npt.NDArray[np.bool_]
) -> OpenSetScore:
    if len(keep) == 0:
        return OpenSetScore(0.0, 1.0, 0.0, 1.0)
    if keep.sum() < 10:  # too few of a kind to say anything of it
        keep = np.ones_like(keep)
    return OpenSetScore.fit(largest[keep], similarity[keep])
