"""Twitter financial news, sentiment: weighted F1 on the official validation part (no test part)."""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, frozen, labelled, read, serve
from core.evaluation.classification import macro_f1, weighted_f1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    asked = parser.parse_args()
    folder = public_data("twitter_fin_sentiment")
    if folder is None:
        return
    train, test = read(folder / "train.csv"), read(folder / "valid.csv")
    texts = [r["text"] for r in test]
    truth = np.array([r["label_name"] for r in test])
    labels = [r["label_name"] for r in train]
    board = Board("twitter_sentiment")
    rival = frozen([r["text"] for r in train], labels, texts)
    served = serve(
        f"twitter_sentiment_{asked.preset}",
        labelled([r["text"] for r in train], sentiment=labels),
        ["sentiment"],
        preset=asked.preset,
    )
    said = served.predict([r.text for r in labelled(texts)]).heads["sentiment"].best_labels
    new = np.flatnonzero([r["seen_in_train"] == "0" for r in test])
    for system, best, bar, seconds, note in (
        ("frozen + LR", np.array(rival.best), None, rival.seconds, ""),
        (asked.preset, np.array(said), Bar(0.865, 0.90), served.seconds, served.precision),
    ):

        def weighted(rows: np.ndarray, best: np.ndarray = best) -> float:
            return weighted_f1(truth[rows], best[rows])

        board.add(system, "weighted F1", len(truth), weighted, bar=bar, seconds=seconds, note=note)
        board.add(system, "weighted F1, not seen in train", len(new), lambda r: weighted(new[r]))
        board.add(system, "macro F1", len(truth), lambda r, b=best: macro_f1(truth[r], b[r]))
    board.done()


if __name__ == "__main__":
    main()
