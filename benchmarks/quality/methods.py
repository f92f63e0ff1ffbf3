"""What does each way of tuning give beside the plain one? Two sets, the same rows for all.

BANKING77 with 10 examples a class and Twitter sentiment with 1,500 training rows, each judged on
2,000 other rows of the *training* part: these figures choose defaults, so test rows stay away. One
seed; a difference within the interval is no difference.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import public_data
from benchmarks.quality.banking77_fewshot import draw
from benchmarks.quality.common import Board, accuracy_of, default, frozen, labelled, read, serve
from core.evaluation.intervals import paired_bootstrap
from core.training.config import FineTuneConfig

JUDGED = 2000
PLAIN = {"epochs": 10, "keep": "last"}
METHODS: dict[str, dict[str, object]] = {
    "plain": {},
    "head only": {"tune": "head"},
    "top 2 layers": {"tune": "top"},
    "lora": {"tune": "lora"},
    "adalora": {"tune": "adalora"},
    "ia3": {"tune": "ia3"},
    "prefix": {"tune": "prefix"},
    "prompt": {"tune": "prompt"},
    "no layer-wise decay": {"layer_decay": 1.0},
    "no weight decay": {"weight_decay": 0.0},
    "dropout .2": {"dropout": 0.2},
    "no label smoothing": {"label_smoothing": 0.0},
    "class weights": {"class_weights": True},
    "fgm": {"adversarial": "fgm"},
    "pgd": {"adversarial": "pgd"},
    "augment .5": {"augment": 0.5},
    "contrastive .5": {"contrastive": 0.5},
    "consistency 1": {"consistency": 1.0},
    "mean of 3 epochs": {"average": 3},
}


def banking77() -> tuple[list[dict[str, str]], list[dict[str, str]], str] | None:
    """(training rows, rows to judge by, name of the label)."""
    folder = public_data("banking77")
    if folder is None:
        return None
    rows = read(folder / "train.csv")
    picked = draw([r["intent"] for r in rows], 10, 99)
    others = np.random.default_rng(99).permutation(sorted(set(range(len(rows))) - set(picked)))
    return [rows[i] for i in picked], [rows[i] for i in others[:JUDGED]], "intent"


def twitter() -> tuple[list[dict[str, str]], list[dict[str, str]], str] | None:
    """As `banking77`."""
    folder = public_data("twitter_fin_sentiment")
    if folder is None:
        return None
    rows = read(folder / "train.csv")
    order = np.random.default_rng(99).permutation(len(rows))
    return (
        [rows[i] for i in order[:1500]],
        [rows[i] for i in order[1500 : 1500 + JUDGED]],
        ("label_name"),
    )


SETS = {"banking77": banking77, "twitter_sentiment": twitter}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    asked = parser.parse_args()
    board = Board("methods")
    for name in asked.sets:
        found = SETS[name]()
        if found is None:
            continue
        train, judged, column = found
        labels = [r[column] for r in train]
        texts, truth = [r["text"] for r in judged], [r[column] for r in judged]
        rival = frozen([r["text"] for r in train], labels, texts)
        right = accuracy_of(truth, rival.best)
        board.add("frozen + LR", f"{name} accuracy", len(truth), right, seconds=rival.seconds)
        plain: np.ndarray | None = None
        for method in asked.methods:
            settings = {**PLAIN, **METHODS[method]}
            config: FineTuneConfig = default(**settings)
            served = serve(
                f"methods_{name}",
                labelled([r["text"] for r in train], label=labels),
                ["label"],
                preset="accurate",
                config=config,
            )
            best = served.predict([r.text for r in labelled(texts)]).heads["label"].best_labels
            hits = np.array([a == b for a, b in zip(truth, best, strict=True)], dtype=float)
            note = ""
            if method == "plain":
                plain = hits
            elif plain is not None:
                gain = paired_bootstrap(hits, plain, np.random.default_rng(0))
                note = f"against plain {gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
            board.add(
                method,
                f"{name} accuracy",
                len(truth),
                lambda rows, hits=hits: float(hits[rows].mean()),
                seconds=served.seconds,
                note=note,
            )
    board.done()


if __name__ == "__main__":
    main()
