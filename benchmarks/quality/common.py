"""What do the quality benchmarks share: reading a set, training what is served, printing the table?

Every figure is that of the served artefact (the exported encoder in the chosen precision, n-grams
and calibration included) on rows that took no part in any choice; beside it, in the same run,
stands the frozen encoder with a logistic regression.
"""

from __future__ import annotations

import csv
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import ROOT, save, table
from core.artifacts import Manifest, now_iso, write_artifact
from core.data.records import LabeledText
from core.evaluation.intervals import bootstrap_statistic
from core.inference.classifier import Predictions, TextClassifier
from core.inference.encoder import TextEncoder
from core.inference.export import export_base_encoder
from core.models import BUNDLED
from core.progress import Progress
from core.text import normalize
from core.training.classifier import Extra, Preset, train_classifier
from core.training.config import FineTuneConfig

MODELS = ROOT / "var" / "bench"
# Two are what the bars are stated for; on a busy machine one is quicker than two that wait.
THREADS = int(os.environ.get("TREFOIL_BENCH_THREADS", "2"))
# A metric on positions of rows: the same function gives the figure and its interval.
Metric = Callable[[npt.NDArray[np.intp]], float]
# A figure of (right labels, said labels).
Score = Callable[..., float]


@dataclass(frozen=True)
class Bar:
    """`floor` binds, `goal` is what is aimed at; None where the figure is only reported."""

    floor: float | None = None
    goal: float | None = None
    higher: bool = True

    def verdict(self, value: float) -> str:
        """In words, for the table."""
        words = []
        for name, bar in (("floor", self.floor), ("goal", self.goal)):
            if bar is not None:
                held = value >= bar if self.higher else value <= bar
                words.append(f"{name} {bar:g} {'held' if held else 'MISSED'}")
        return ", ".join(words)


@dataclass
class Board:
    """The table of one set."""

    name: str
    seed: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        system: str,
        metric: str,
        rows: int,
        compute: Metric,
        *,
        bar: Bar | None = None,
        seconds: float | None = None,
        note: str = "",
    ) -> float:
        """One line: the figure over `rows` rows with its bootstrap interval (95 %)."""
        value = compute(np.arange(rows))
        low, high = bootstrap_statistic(
            rows, compute, np.random.default_rng(self.seed), resamples=1000
        )
        self.put(system, metric, value, (low, high), bar=bar, seconds=seconds, rows=rows, note=note)
        return value

    def put(
        self,
        system: str,
        metric: str,
        value: float,
        interval: tuple[float, float] | None,
        *,
        bar: Bar | None = None,
        seconds: float | None = None,
        rows: int | None = None,
        note: str = "",
    ) -> None:
        """One line whose figure and interval were computed elsewhere."""
        entry = {
            "system": system,
            "metric": metric,
            "value": value,
            "interval": interval,
            "rows": rows,
            "train_seconds": None if seconds is None else round(seconds, 1),
            "bar": asdict(bar) if bar else None,
            "verdict": bar.verdict(value) if bar else "",
            "note": note,
        }
        self.entries.append(entry)
        print(" ".join(_cells(entry)), flush=True)

    def done(self) -> None:
        """Print the whole table and write `results/quality_<name>.json`."""
        print()
        header = ("system", "metric", "value", "95 %", "rows", "train s", "bar", "note")
        table(header, [_cells(entry) for entry in self.entries])
        content = {"threads": THREADS, "seed": self.seed, "entries": self.entries}
        save(f"quality_{self.name}", content)


def _cells(entry: Mapping[str, Any]) -> list[str]:
    interval = entry["interval"]
    return [
        entry["system"],
        entry["metric"],
        f"{entry['value']:.4f}",
        f"{interval[0]:.4f}–{interval[1]:.4f}" if interval else "",
        str(entry["rows"] or ""),
        str(entry["train_seconds"] or ""),
        entry["verdict"],
        entry["note"],
    ]


@dataclass(frozen=True)
class Served:
    """A trained artefact as a server would load it."""

    model: TextClassifier
    folder: Path
    seconds: float
    settings: Mapping[str, Any]

    @property
    def precision(self) -> str:
        chosen: str = self.settings["precision"]["chosen"]
        return chosen

    def predict(self, texts: Sequence[str]) -> Predictions:
        """In parts, as a file of texts would be."""
        parts = [self.model.predict(texts[i : i + 512]) for i in range(0, len(texts), 512)]
        return _joined(parts)


def serve(
    name: str,
    rows: Sequence[LabeledText],
    heads: Sequence[str],
    *,
    preset: Preset,
    seed: int = 0,
    config: FineTuneConfig | None = None,
    extra: Extra | None = None,
    base_model: str | None = None,
    progress: Progress | None = None,
) -> Served:
    """Train into `var/bench/<name>` and load what came out; `seconds` is training, export and all.

    With TREFOIL_BENCH_REUSE=1 a folder that is there is loaded as it is (its seconds are those of
    the run that made it).
    """
    folder = MODELS / name
    if os.environ.get("TREFOIL_BENCH_REUSE") and folder.is_dir():
        return load(folder)
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with write_artifact(folder) as draft:
        trained = train_classifier(
            rows,
            heads,
            folder=draft.path,
            preset=preset,
            seed=seed,
            threads=THREADS,
            config=config,
            extra=extra,
            progress=progress or Progress(),
            base_model=base_model or BUNDLED,
        )
        seconds = time.monotonic() - began
        draft.manifest = Manifest(
            kind="benchmark",
            created_at=now_iso(),
            base_model=trained.base.reference,
            base_revision=trained.base.revision,
            data_sha256=trained.data_sha256,
            metrics=dict(trained.metrics) | {"seconds": seconds},
            settings={"classifier": trained.settings},
        )
    return load(folder)


def load(folder: Path) -> Served:
    """An artefact that `serve` made."""
    from core.artifacts import read_manifest

    manifest = read_manifest(folder)
    settings = manifest.settings["classifier"]
    model = TextClassifier.load(folder, settings, threads=THREADS)
    return Served(model, folder, float(manifest.metrics["seconds"]), settings)


@dataclass(frozen=True)
class Frozen:
    """The rival of every set: embeddings of the untouched encoder, logistic regression, C = 30."""

    classes: tuple[str, ...]
    probabilities: npt.NDArray[np.float64]
    logits: npt.NDArray[np.float64]
    train_embeddings: npt.NDArray[np.float32]
    test_embeddings: npt.NDArray[np.float32]
    seconds: float

    @property
    def best(self) -> list[str]:
        return [self.classes[i] for i in self.probabilities.argmax(axis=1)]


def frozen(texts: Sequence[str], labels: Sequence[str], test: Sequence[str]) -> Frozen:
    """Train and ask the rival; `seconds` without the test texts."""
    from sklearn.linear_model import LogisticRegression

    folder = MODELS / "frozen_encoder"
    if not folder.is_dir():
        export_base_encoder(folder)
    encoder = TextEncoder.load(folder, threads=THREADS)
    began = time.monotonic()
    train = encoder.encode([normalize(t) for t in texts]).embeddings
    model = LogisticRegression(C=30, max_iter=1000).fit(train, labels)
    seconds = time.monotonic() - began
    embeddings = encoder.encode([normalize(t) for t in test]).embeddings
    return Frozen(
        tuple(model.classes_.tolist()),
        model.predict_proba(embeddings),
        model.decision_function(embeddings),
        train,
        embeddings,
        seconds,
    )


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def labelled(texts: Sequence[str], **labels: Sequence[str]) -> list[LabeledText]:
    """Rows as the services' readers give them."""
    return [
        LabeledText(normalize(text), {head: of[i] for head, of in labels.items()}, i + 2)
        for i, text in enumerate(texts)
    ]


def accuracy_of(truth: Sequence[str], said: Sequence[str]) -> Metric:
    """Share of rows that are right."""
    right = np.array([a == b for a, b in zip(truth, said, strict=True)], dtype=np.float64)
    return lambda rows: float(right[rows].mean())


def default(**changes: Any) -> FineTuneConfig:
    """The preset `accurate` with a few settings changed, which the table's note must name."""
    return replace(FineTuneConfig(), **changes)


def _joined(parts: Sequence[Predictions]) -> Predictions:
    from core.inference.encoder import Encoded
    from core.inference.heads import HeadPrediction

    heads = {
        name: HeadPrediction(
            first.labels,
            np.concatenate([p.heads[name].logits for p in parts]),
            np.concatenate([p.heads[name].probabilities for p in parts]),
        )
        for name, first in parts[0].heads.items()
    }
    encoded = Encoded(
        np.concatenate([p.encoded.embeddings for p in parts]),
        np.concatenate([p.encoded.unknown_share for p in parts]),
    )
    return Predictions(heads, encoded, np.concatenate([p.in_scope for p in parts]))
