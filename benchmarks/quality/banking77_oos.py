"""BANKING77-OOS: are unknown intents of the same domain told from the known ones?

50 intents in scope, 27 held out (`scope_official`, relabelled by the official labels); training
without any out-of-scope row. Reported, no bar: the hard case. Out-of-domain rows stand beside it.
"""

from __future__ import annotations

import argparse

from benchmarks.common import public_data
from benchmarks.quality.common import Board, accuracy_of, frozen, labelled, read, serve
from benchmarks.quality.open_set import add_open_set, frozen_scores, served_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    asked = parser.parse_args()
    folder = public_data("intent_oos_benchmarks")
    if folder is None:
        return
    rows = read(folder / "banking77_oos.csv")

    def part(split: str, scope: str) -> list[dict[str, str]]:
        return [r for r in rows if r["split"] == split and r["scope_official"] == scope]

    train, inside = part("train", "in-scope"), part("test", "in-scope")
    texts = {
        name: [r.text for r in labelled([row["text"] for row in of])]
        for name, of in (
            ("in", inside), ("out", part("test", "id-oos")), ("far", part("test", "ood-oos")),
            ("valid_in", part("valid", "in-scope")),
        )
    }  # fmt: skip
    truth = [r["official_intent"] for r in inside]
    board = Board("banking77_oos")
    intents = [r["official_intent"] for r in train]
    every = [text for of in texts.values() for text in of]
    rival = frozen([r["text"] for r in train], intents, every)
    board.add(
        "frozen + LR",
        "in-scope accuracy",
        len(truth),
        accuracy_of(truth, rival.best[: len(truth)]),
        seconds=rival.seconds,
    )
    served = serve(
        f"banking77_oos_{asked.preset}",
        labelled([r["text"] for r in train], intent=intents),
        ["intent"],
        preset=asked.preset,
    )
    head = served.predict(texts["in"]).heads["intent"]
    board.add(
        asked.preset,
        "in-scope accuracy",
        len(truth),
        accuracy_of(truth, head.best_labels),
        seconds=served.seconds,
        note=served.precision,
    )
    for system, (scores, note) in (
        ("frozen + LR", frozen_scores(rival, texts)),
        (asked.preset, served_scores(served, texts)),
    ):
        add_open_set(board, system, scores, f"same domain; {note}")
        far = dict(scores) | {"out": scores["far"]}
        add_open_set(board, system, far, f"other domains; {note}")
    board.done()


if __name__ == "__main__":
    main()
