"""CLINC150: how right in scope, how well is out-of-scope told, and what are probabilities worth?

`data_full`: 15,000 training rows, no out-of-scope row among them; what is chosen is chosen on rows
held out of these. The scores that the served one adds up were chosen once, on the official
validation part (docs/decisions/0019). Test: 4,500 in-scope and 1,000 out-of-scope rows.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, accuracy_of, frozen, labelled, read, serve
from benchmarks.quality.open_set import add_open_set, frozen_scores, served_scores
from core.evaluation.calibration import ece


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    asked = parser.parse_args()
    folder = public_data("clinc150")
    if folder is None:
        return
    split: dict[str, list[dict[str, str]]] = {}
    for row in read(folder / "data_full.csv"):
        split.setdefault(row["split"], []).append(row)
    train, inside, outside = split["train"], split["test"], split["oos_test"]
    valid, valid_oos = split["val"], split["oos_val"]
    texts = {
        name: [r.text for r in labelled([row["text"] for row in rows])]
        for name, rows in (
            ("in", inside), ("out", outside), ("valid_in", valid), ("valid_out", valid_oos),
        )
    }  # fmt: skip
    truth = [row["intent"] for row in inside]
    board = Board("clinc150")

    every = [*texts["in"], *texts["out"], *texts["valid_in"], *texts["valid_out"]]
    rival = frozen([r["text"] for r in train], [r["intent"] for r in train], every)
    board.add(
        "frozen + LR",
        "in-scope accuracy",
        len(truth),
        accuracy_of(truth, rival.best[: len(truth)]),
        seconds=rival.seconds,
    )
    numbers = np.array([rival.classes.index(t) for t in truth])
    rival_p = rival.probabilities[: len(truth)]
    board.add("frozen + LR", "ECE", len(truth), lambda rows: ece(rival_p[rows], numbers[rows]))
    add_open_set(board, "frozen + LR", *frozen_scores(rival, texts))

    rows = labelled([r["text"] for r in train], intent=[r["intent"] for r in train])
    served = serve(f"clinc150_{asked.preset}", rows, ["intent"], preset=asked.preset)
    said = served.predict(texts["in"])
    head = said.heads["intent"]
    name = asked.preset
    board.add(
        name,
        "in-scope accuracy",
        len(truth),
        accuracy_of(truth, head.best_labels),
        bar=Bar(0.963, 0.974),
        seconds=served.seconds,
        note=served.precision,
    )
    ours = np.array([head.labels.index(t) for t in truth])
    board.add(
        name,
        "ECE",
        len(truth),
        lambda rows: ece(head.probabilities[rows], ours[rows]),
        bar=Bar(0.015, 0.008, higher=False),
        note="temperature from rows held out of training",
    )
    add_open_set(
        board,
        name,
        *served_scores(served, texts),
        auroc_bar=Bar(0.978, 0.988),
        recall_bar=Bar(0.86, 0.93),
    )
    board.done()


if __name__ == "__main__":
    main()
