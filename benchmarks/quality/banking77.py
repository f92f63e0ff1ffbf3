"""BANKING77, all data: how right are both presets, and how long do they take?

Official split, 10,003 training and 3,080 test rows. `--only fast` (or accurate) runs one preset.
"""

from __future__ import annotations

import argparse

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, accuracy_of, frozen, labelled, read, serve
from core.training.classifier import Preset

BARS = {"fast": Bar(0.928, 0.935), "accurate": Bar(0.936, 0.945)}
SECONDS = {"fast": Bar(90, higher=False), "accurate": Bar(1800, higher=False)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["fast", "accurate"])
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    folder = public_data("banking77")
    if folder is None:
        return
    train, test = read(folder / "train.csv"), read(folder / "test.csv")
    truth = [row["intent"] for row in test]
    texts = [row["text"] for row in test]
    board = Board("banking77", asked.seed)
    rival = frozen([r["text"] for r in train], [r["intent"] for r in train], texts)
    board.add(
        "frozen + LR", "accuracy", len(test), accuracy_of(truth, rival.best), seconds=rival.seconds
    )
    rows = labelled([r["text"] for r in train], intent=[r["intent"] for r in train])
    presets: tuple[Preset, ...] = ("fast", "accurate")
    for preset in [asked.only] if asked.only else presets:
        served = serve(f"banking77_{preset}", rows, ["intent"], preset=preset, seed=asked.seed)
        said = served.predict([r.text for r in labelled(texts)]).heads["intent"]
        board.add(
            preset,
            "accuracy",
            len(test),
            accuracy_of(truth, said.best_labels),
            bar=BARS[preset],
            seconds=served.seconds,
            note=served.precision,
        )
        board.put(preset, "seconds", served.seconds, None, bar=SECONDS[preset])
    board.done()


if __name__ == "__main__":
    main()
