"""Twitter financial news, 20 topics: accuracy on the official validation part.

692 of its 4,117 texts occur in the training part once links are dropped, so the figure on the other
3,425 stands beside that on all.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, accuracy_of, frozen, labelled, read, serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    asked = parser.parse_args()
    folder = public_data("twitter_fin_topic")
    if folder is None:
        return
    train, test = read(folder / "train.csv"), read(folder / "valid.csv")
    texts, truth = [r["text"] for r in test], [r["topic"] for r in test]
    topics = [r["topic"] for r in train]
    board = Board("twitter_topic")
    rival = frozen([r["text"] for r in train], topics, texts)
    served = serve(
        f"twitter_topic_{asked.preset}",
        labelled([r["text"] for r in train], topic=topics),
        ["topic"],
        preset=asked.preset,
    )
    said = served.predict([r.text for r in labelled(texts)]).heads["topic"].best_labels
    new = np.flatnonzero([r["seen_in_train"] == "0" for r in test])
    for system, best, bar, seconds, note in (
        ("frozen + LR", rival.best, None, rival.seconds, ""),
        (asked.preset, said, Bar(0.87, 0.91), served.seconds, served.precision),
    ):
        right = accuracy_of(truth, best)
        board.add(
            system, "accuracy, all rows", len(truth), right, bar=bar, seconds=seconds, note=note
        )
        board.add(
            system,
            "accuracy, not seen in train",
            len(new),
            lambda rows, right=right: right(new[rows]),
            bar=bar,
        )
    board.done()


if __name__ == "__main__":
    main()
