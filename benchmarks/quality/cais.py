"""CAIS, Chinese intents: what do the English base model and n-grams reach together?

The bundled encoder reads no Chinese; n-grams of characters decide alone on what it cannot read.
`--base-model` names a Chinese encoder where one is at hand.
"""

from __future__ import annotations

import argparse

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, accuracy_of, frozen, labelled, read, serve
from core.models import BUNDLED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="fast", choices=["fast", "accurate"])
    parser.add_argument("--base-model", default=BUNDLED)
    asked = parser.parse_args()
    folder = public_data("zh_intents")
    if folder is None:
        return
    rows = read(folder / "cais.csv")
    # The official validation part joins the training rows: what has to be chosen is chosen on rows
    # that training holds out by itself.
    train = [r for r in rows if r["split"] != "test"]
    test = [r for r in rows if r["split"] == "test"]
    truth = [r["intent"] for r in test]
    board = Board("cais")
    rival = frozen(
        [r["text"] for r in train], [r["intent"] for r in train], [r["text"] for r in test]
    )
    board.add(
        "frozen + LR", "accuracy", len(test), accuracy_of(truth, rival.best), seconds=rival.seconds
    )
    served = serve(
        f"cais_{asked.preset}",
        labelled([r["text"] for r in train], intent=[r["intent"] for r in train]),
        ["intent"],
        preset=asked.preset,
        base_model=asked.base_model,
    )
    head = served.predict([r.text for r in labelled([r["text"] for r in test])]).heads["intent"]
    board.add(
        asked.preset,
        "accuracy",
        len(test),
        accuracy_of(truth, head.best_labels),
        bar=Bar(goal=0.94),
        seconds=served.seconds,
        note=served.precision,
    )
    board.done()


if __name__ == "__main__":
    main()
