"""What does each way of tuning give beside the plain one? Two sets, the same rows for all.

BANKING77 with 10 examples a class and Twitter sentiment with 1,000 training rows, or either with
`--rows` of them, judged on 2,000 other rows of the *training* part: these figures choose defaults,
so test rows stay away.
Judged is what tuning itself gives, the tuned encoder with the head that was learnt with it; n-grams
and calibration, the same for all, stay out. One seed; a difference within its interval is none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import public_data
from benchmarks.quality.banking77_fewshot import draw
from benchmarks.quality.common import THREADS, Board, default, frozen, labelled, read
from core.evaluation.intervals import paired_bootstrap
from core.inference.encoder import TextEncoder
from core.inference.export import export_encoder, load_torch_encoder
from core.inference.ngrams import document_frequency_weights, featurize
from core.inference.tokenizer import TextTokenizer
from core.models import BUNDLED, resolve_model
from core.progress import Progress
from core.text import for_model
from core.training.augment import Augmenter, varying
from core.training.config import FineTuneConfig
from core.training.finetune import fine_tune
from core.training.heads import Features, starting_head
from core.training.linear import apply
from core.training.rows import Fold, single_split, training_rows

JUDGED = 2000
PLAIN = {"epochs": 4, "keep": "last", "label_smoothing": 0.05, "learning_rate": 1e-4}
METHODS: dict[str, dict[str, object]] = {
    "plain": {},
    "early stopping": {"keep": "best", "epochs": 8},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay .1": {"weight_decay": 0.1},
    "dropout .2": {"dropout": 0.2},
    "no label smoothing": {"label_smoothing": 0.0},
    "class weights": {"class_weights": True},
    "augment .5": {"augment": 0.5},
    "no layer-wise decay": {"layer_decay": 1.0},
    "mean of 3 epochs": {"average": 3},
    "contrastive .5": {"contrastive": 0.5},
    "consistency 1": {"consistency": 1.0},
    "no label smoothing, consistency 1": {"label_smoothing": 0.0, "consistency": 1.0},
    "the same, 8 epochs": {"label_smoothing": 0.0, "consistency": 1.0, "epochs": 8},
    "the same, consistency 3": {"label_smoothing": 0.0, "consistency": 3.0, "epochs": 8},
    "no label smoothing, 8 epochs": {"label_smoothing": 0.0, "epochs": 8},
    "no label smoothing, mean of 3 epochs": {"label_smoothing": 0.0, "average": 3},
    "no label smoothing, 2e-4": {"label_smoothing": 0.0, "learning_rate": 2e-4},
    "no label smoothing, 3e-4, 5 epochs": {
        "label_smoothing": 0.0,
        "learning_rate": 3e-4,
        "epochs": 5,
    },
    "fgm": {"adversarial": "fgm"},
    "pgd": {"adversarial": "pgd"},
    "head only": {"tune": "head"},
    "top 2 layers": {"tune": "top"},
    "lora": {"tune": "lora"},
    "adalora": {"tune": "adalora"},
    "ia3": {"tune": "ia3"},
    "prefix": {"tune": "prefix"},
    "prompt": {"tune": "prompt"},
}
Rows = list[dict[str, str]]
Found = tuple[Rows, Rows, str] | None
Hits = npt.NDArray[np.float64]


def banking77(rows: int | None) -> Found:
    """(training rows, rows to judge by, name of the label); `rows` None: 10 of a class."""
    folder = public_data("banking77")
    if folder is None:
        return None
    every = read(folder / "train.csv")
    picked = draw([r["intent"] for r in every], 10, 99)
    rest = sorted(set(range(len(every))) - set(picked))
    others = np.random.default_rng(99).permutation(rest)
    if rows is not None:
        picked = [*picked, *others[JUDGED:]][:rows]
    return [every[i] for i in picked], [every[i] for i in others[:JUDGED]], "intent"


def twitter(rows: int | None) -> Found:
    """As `banking77`; `rows` None: 1,000."""
    folder = public_data("twitter_fin_sentiment")
    if folder is None:
        return None
    every = read(folder / "train.csv")
    order = np.random.default_rng(99).permutation(len(every))
    picked = [*order[:1000], *order[1000 + JUDGED :]][: rows or 1000]
    return [every[i] for i in picked], [every[i] for i in order[1000 : 1000 + JUDGED]], "label_name"


SETS = {"banking77": banking77, "twitter_sentiment": twitter}


class Problem:
    """The rows of one set with what every method begins from: frozen features and a head."""

    def __init__(self, train: Rows, judged: Rows, column: str) -> None:
        texts, labels = [r["text"] for r in train], [r[column] for r in train]
        self.rows = training_rows(labelled([for_model(t) for t in texts], label=labels), ["label"])
        self.truth = np.array([r[column] for r in judged])
        self.judged = [for_model(r.text) for r in labelled([r["text"] for r in judged])]
        self.base = resolve_model(BUNDLED)
        with tempfile.TemporaryDirectory() as scratch:
            encoded = _encoder(load_torch_encoder(self.base), Path(scratch)).encode(self.rows.texts)
        grams = featurize(self.rows.texts, document_frequency_weights(self.rows.texts))
        self._features = Features(encoded.embeddings, grams, encoded.readable)
        self._tokenizer = TextTokenizer(self.base.path / "tokenizer.json", self.base.max_length)

    def hits(self, config: FineTuneConfig) -> Hits:
        """(judged rows,) 1 where the tuned model is right. All rows train, but those that stop a
        run early."""
        fold = Fold(np.arange(len(self.rows)), np.arange(0))
        if config.keep == "best":
            fold = single_split(self.rows, np.random.default_rng(0))
        classes, labels = self.rows.classes["label"], self.rows.labels["label"]
        start = starting_head(classes, labels, self._features, fold.train, seed=0)
        vary = None
        if config.augment > 0:
            vary = varying(self.rows.texts, self._tokenizer, config.augment, 0, Augmenter())
        tuned = fine_tune(
            load_torch_encoder(self.base),
            self.base.pooling,
            [tokens.ids for tokens in self._tokenizer.encode(self.rows.texts)],
            self.rows.labels,
            {"label": start},
            fold,
            config,
            seed=0,
            threads=THREADS,
            progress=Progress(),
            vary=vary,
        )
        with tempfile.TemporaryDirectory() as scratch:
            embeddings = _encoder(tuned.model, Path(scratch)).encode(self.judged).embeddings
        best = np.array(classes)[apply(tuned.heads["label"], embeddings).argmax(axis=1)]
        hits: Hits = (best == self.truth).astype(np.float64)
        return hits


def _encoder(model: object, folder: Path) -> TextEncoder:
    export_encoder(model, resolve_model(BUNDLED), folder)
    return TextEncoder.load(folder, threads=THREADS)


def compare(board: Board, name: str, found: tuple[Rows, Rows, str], methods: Sequence[str]) -> None:
    """A line a method, with its gain over the plain one on the same rows."""
    train, judged, column = found
    problem = Problem(train, judged, column)
    rival = frozen(
        [r["text"] for r in train], [r[column] for r in train], [r["text"] for r in judged]
    )
    right = (np.array(rival.best) == problem.truth).astype(np.float64)
    metric = f"{name} accuracy"
    board.add("frozen + LR", metric, len(right), _mean(right), seconds=rival.seconds)
    plain: Hits | None = None
    for method in ["plain", *(m for m in methods if m != "plain")]:
        began = time.monotonic()
        hits = problem.hits(default(**{**PLAIN, **METHODS[method]}))
        note = ""
        if plain is None:
            plain = hits
        else:
            gain = paired_bootstrap(hits, plain, np.random.default_rng(0))
            note = f"against plain {gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        seconds = time.monotonic() - began
        board.add(method, metric, len(hits), _mean(hits), seconds=seconds, note=note)


def _mean(hits: Hits) -> Callable[[npt.NDArray[np.intp]], float]:
    return lambda rows: float(hits[rows].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--rows", type=int, help="to train on; none: 770 and 1,000")
    asked = parser.parse_args()
    board = Board("methods")
    for name in asked.sets:
        found = SETS[name](asked.rows)
        if found is not None:
            compare(board, name, found, asked.methods)
    board.done()


if __name__ == "__main__":
    main()
