"""How does labelled news become an artefact, and how good is an artefact on news it never saw?

train      two heads (sentiment, topic) on one encoder → one artefact folder
evaluate   the served path on a labelled file → figures with intervals
predict    the served path on a file of texts → one row a text
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.artifacts import Manifest, now_iso, write_artifact
from core.data.readers import check_labels, read_news, read_texts
from core.data.records import LabeledText
from core.evaluation.calibration import ece
from core.evaluation.classification import accuracy, macro_f1, per_class_report, weighted_f1
from core.evaluation.intervals import bootstrap_statistic, clopper_pearson_upper
from core.files import written_whole
from core.models import BUNDLED
from core.privacy import for_training
from core.progress import SILENT, Progress
from core.text import language_of
from services.finance_sentiment.confusion import Confusion
from services.finance_sentiment.domain import KIND, SENTIMENT, Label
from services.finance_sentiment.held_out import write_answers
from services.finance_sentiment.labels import CONFUSION, REDACTED, Labeler, label_fields
from services.finance_sentiment.lessons import HEADS, Lessons, Taught, lessons, write_learned

if TYPE_CHECKING:
    from core.training.classifier import TrainedClassifier

COLUMNS = (
    "text", "sentiment", "p_negative", "p_neutral", "p_positive", "topic", "p_topic",
)  # fmt: skip
# Of the labels given to text that the encoder cannot read, at most this share may be wrong, with
# this certainty.
UNREADABLE_RISK = 0.35
UNREADABLE_LEVEL = 0.9
# Key in the JSON → what a terminal shows.
METRICS = {
    "accuracy": "accuracy", "macro_f1": "macro F1", "weighted_f1": "weighted F1", "ece": "ECE",
}  # fmt: skip
_BATCH = 64
_RESAMPLES = 400

Floats = npt.NDArray[np.float64]


def train(
    data: Path,
    output: Path,
    *,
    preset: str = "accurate",
    base_model: str = BUNDLED,
    seed: int = 0,
    keep_personal_data: bool = False,
    tuning: Mapping[str, Any] | None = None,
    corrections: Sequence[Taught] = (),
    threads: int = 2,
    progress: Progress = SILENT,
) -> Manifest:
    """Write the artefact; give its manifest as it was before the files were added to it.

    Texts are redacted first, as they will be when served, unless `keep_personal_data`. `tuning`:
    `config`, `options` and `extra` of `train_classifier`, each with a default. `corrections`
    outweigh the rows of the same texts, and never judge.
    """
    # Torch comes in here and not before: predicting needs none of it.
    from core.training.classifier import train_classifier

    rows = for_training(read_news(data), keep=keep_personal_data, progress=progress)
    heads = _checked_heads(rows, data, progress)
    said = lessons(rows, corrections, heads, keep=keep_personal_data)
    with write_artifact(output) as draft:
        trained = train_classifier(
            rows,
            heads,
            folder=draft.path,
            base_model=base_model,
            preset="fast" if preset == "fast" else "accurate",
            seed=seed,
            threads=threads,
            progress=progress,
            **_with(said, tuning or {}, progress),
        )
        write_answers(draft.path, trained.held_out, trained.texts)
        write_learned(draft.path, corrections)
        redacted = not keep_personal_data
        draft.manifest = _manifest(trained, said, draft.path, redacted=redacted)
    return draft.manifest


def _manifest(
    trained: TrainedClassifier, said: Lessons, folder: Path, *, redacted: bool
) -> Manifest:
    return Manifest(
        kind=KIND,
        created_at=now_iso(),
        base_model=trained.base.reference,
        base_revision=trained.base.revision,
        data_sha256=trained.data_sha256,
        metrics=trained.metrics,
        settings={
            "classifier": trained.settings,
            REDACTED: redacted,
            CONFUSION: _confusion(trained.held_out),
            "unreadable": _believable_without_encoder(trained, folder),
            "corrections": said.to_json(),
        },
    )


def _with(said: Lessons, tuning: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The tuning with the corrections beside the rows."""
    from core.training.classifier import Extra

    if said.rows:
        progress.say(f"{len(said.rows)} corrections, {said.outweighed} rows outweighed by them")
    return {**tuning, "extra": replace(tuning.get("extra") or Extra(), corrections=said.rows)}


def _checked_heads(rows: Sequence[LabeledText], data: Path, progress: Progress) -> list[str]:
    heads = [head for head in HEADS if head in rows[0].labels]
    for head in heads:
        _report(check_labels(rows, head, data), head, progress)
    return heads


def _confusion(held_out: Mapping[str, Any]) -> dict[str, int] | None:
    """What the sentiment head takes for what, on rows it was not trained on; None without one."""
    judged = held_out.get(SENTIMENT)
    if judged is None or not len(judged.rows):
        return None
    classes = np.array(judged.classes)
    said = classes[judged.probabilities.argmax(axis=1)]
    return Confusion.count(classes[judged.labels].tolist(), said.tolist()).to_json()


def _report(report: Any, head: str, progress: Progress) -> None:
    for conflict in report.conflicts[:5]:
        lines = ", ".join(map(str, conflict.lines))
        names = ", ".join(conflict.labels)
        progress.say(f"{head}: one text has the labels {names} (lines {lines})")
    if report.single_row_classes:
        progress.say(f"{head}: one row only for {', '.join(report.single_row_classes[:10])}")


def _believable_without_encoder(trained: TrainedClassifier, folder: Path) -> dict[str, Any]:
    """From which confidence on n-grams alone are believed, by language and head.

    Judged on held-out rows that the encoder cannot read. A language for which no confidence keeps
    the risk, or which the data hardly hold, is left out: its texts stay unlabelled.
    """
    from core.inference.encoder import Encoded, TextEncoder

    texts, held_out = trained.texts, trained.held_out
    tokens = TextEncoder.load(folder / "encoder").tokenize(texts)
    shares = np.array([t.unknown_share for t in tokens], dtype=np.float32)
    readable = Encoded(np.empty((0, 0), dtype=np.float32), shares).readable
    limits: dict[str, dict[str, float]] = {}
    for head, judged in held_out.items():
        for language in ("en", "zh", "other"):
            keep = np.array(
                [not readable[r] and language_of(texts[r]) == language for r in judged.rows],
                dtype=np.bool_,
            )
            right = judged.probabilities[keep].argmax(axis=1) == judged.labels[keep]
            limit = least_confidence(judged.probabilities[keep].max(axis=1), right)
            if limit is not None:
                limits.setdefault(language, {})[head] = limit
    complete = {name: found for name, found in limits.items() if len(found) == len(held_out)}
    return {"risk": UNREADABLE_RISK, "level": UNREADABLE_LEVEL, "confidence": complete}


def least_confidence(confidence: Floats, right: npt.NDArray[np.bool_]) -> float | None:
    """The least confidence from which on the share of wrong labels is within the risk, by its
    upper bound; None where there is none. Both arguments (rows,)."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    best = None
    for taken in range(1, len(order) + 1):
        # Rows of equal confidence are taken together or not at all.
        if taken < len(order) and confidence[order[taken]] == confidence[order[taken - 1]]:
            continue
        bound = clopper_pearson_upper(int(wrong[taken - 1]), taken, level=UNREADABLE_LEVEL)
        if bound <= UNREADABLE_RISK:
            best = float(confidence[order[taken - 1]])
    return best


# --- evaluate ----------------------------------------------------------------------------------


def evaluate(
    model: Path, data: Path, *, threads: int = 2, seed: int = 0, progress: Progress = SILENT
) -> dict[str, Any]:
    """The figures of the contract for each head that the data hold, over all rows and by language.

    Every row counts with its most probable label, also one that the service would leave unlabelled;
    `unlabelled_share` tells how many those are.
    """
    rows = read_news(data)
    labeler = Labeler.load(model, threads=threads)
    judged: dict[str, list[Floats]] = {head: [] for head in labeler.model.heads}
    readable: list[bool] = []
    for part in progress.bar(_batches(rows), _batch_count(rows), "reading"):
        labels, predictions = labeler.read([row.text for row in part])
        assert predictions is not None
        readable += [label.readable for label in labels]
        for head, found in predictions.heads.items():
            judged[head].append(found.probabilities.astype(np.float64))
    languages = np.array([language_of(row.text) for row in rows])
    result: dict[str, Any] = {
        "model_version": labeler.version,
        "rows": len(rows),
        "unlabelled_share": 1 - float(np.mean(readable)),
    }
    for head in (h for h in HEADS if h in rows[0].labels):
        truth = np.array([row.labels[head] for row in rows])
        if head not in judged:
            result[head] = _nothing(len(rows)) | {"slices": {"language": {}}}
            continue
        figures = _Figures(
            truth, np.concatenate(judged[head]), labeler.model.heads[head].labels, seed
        )
        slices = {
            str(name): figures.of(np.flatnonzero(languages == name))
            for name in np.unique(languages)
        }
        result[head] = figures.of(np.arange(len(rows)), classes=True) | {
            "slices": {"language": slices}
        }
    return result


class _Figures:
    """The metrics of one head on any part of the rows."""

    def __init__(
        self,
        truth: npt.NDArray[np.str_],
        probabilities: Floats,
        classes: tuple[str, ...],
        seed: int,
    ) -> None:
        self._truth = truth
        self._best = np.array(classes)[probabilities.argmax(axis=1)]
        # A label that the model does not know gets a column of its own, with no chance at all.
        self._classes = [*classes, *sorted(set(truth.tolist()) - set(classes))]
        missing = len(self._classes) - len(classes)
        self._probabilities = np.pad(probabilities, ((0, 0), (0, missing)))
        self._numbers = np.array([self._classes.index(name) for name in truth])
        self._seed = seed

    def of(self, rows: npt.NDArray[np.intp], *, classes: bool = False) -> dict[str, Any]:
        """All metrics with their intervals; `classes` adds the figures of each class."""
        result: dict[str, Any] = {"rows": len(rows)}
        for name in METRICS:
            result[name] = self._metric(name, rows)
            result[f"{name}_ci"] = self._interval(name, rows)
        if classes:
            result["classes"] = per_class_report(self._truth[rows], self._best[rows])
        return result

    def _interval(self, name: str, rows: npt.NDArray[np.intp]) -> list[float]:
        rng = np.random.default_rng(self._seed)
        low, high = bootstrap_statistic(
            len(rows), lambda drawn: self._metric(name, rows[drawn]), rng, resamples=_RESAMPLES
        )
        return [low, high]

    def _metric(self, name: str, rows: npt.NDArray[np.intp]) -> float:
        if name == "ece":
            return float(ece(self._probabilities[rows], self._numbers[rows]))
        compute: Callable[..., float] = {
            "accuracy": accuracy,
            "macro_f1": macro_f1,
            "weighted_f1": weighted_f1,
        }[name]
        return compute(self._truth[rows], self._best[rows])


def _nothing(rows: int) -> dict[str, Any]:
    """The figures of a head that the model does not have."""
    named = {name: None for metric in METRICS for name in (metric, f"{metric}_ci")}
    return {"rows": rows, **named, "classes": {}}


def summary(figures: Mapping[str, Any]) -> list[str]:
    """A line for each head with figures (of a manifest or of `evaluate`), for a terminal."""
    lines = []
    for head in HEADS:
        found = figures.get(head, {})
        shown = [
            f"{words} {found[name]:.3f}"
            for name, words in METRICS.items()
            if found.get(name) is not None
        ]
        if shown:
            lines.append(f"{head}, {found['rows']} rows: {', '.join(shown)}")
    return lines


# --- predict -----------------------------------------------------------------------------------


def predict(
    model: Path, texts: Path, output: Path, *, threads: int = 2, progress: Progress = SILENT
) -> int:
    """Write COLUMNS for each text, in order; how many they were. Where the model cannot read a
    text, or has no such head, the cell is empty."""
    rows = read_texts(texts)
    labeler = Labeler.load(model, threads=threads)

    with written_whole(output) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for part in progress.bar(_batches(rows), _batch_count(rows), "labelling"):
            found = labeler.label([row.text for row in part])
            writer.writerows(
                [row.text, *_cells(label)] for row, label in zip(part, found, strict=True)
            )
    return len(rows)


def _cells(label: Label) -> list[str]:
    fields = label_fields(label)
    values = [fields[column] for column in COLUMNS[1:]]
    return ["" if v is None else f"{v:.6f}" if isinstance(v, float) else str(v) for v in values]


def _batches(rows: Sequence[LabeledText]) -> Iterable[Sequence[LabeledText]]:
    return (rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH))


def _batch_count(rows: Sequence[LabeledText]) -> int:
    return -(-len(rows) // _BATCH)
