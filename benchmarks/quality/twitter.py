"""What do the two sets of financial tweets share? An official training and validation part, no test
part, and texts of the second that stand in the first once links are dropped: the figure on those
that do not stands beside that on all.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, Metric, Score, frozen, labelled, read, serve


def judge(
    name: str, column: str, head: str, scores: Mapping[str, tuple[Score, Bar | None]]
) -> None:
    """Train on `train.csv` of the set `twitter_fin_<head>`, print each of `scores` on `valid.csv`.

    `scores`: name → (function of truth and answers, bar of the figure on all rows and on new ones).
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    asked = parser.parse_args()
    folder = public_data(f"twitter_fin_{head}")
    if folder is None:
        return
    train, test = read(folder / "train.csv"), read(folder / "valid.csv")
    texts, labels = [r["text"] for r in train], [r[column] for r in train]
    asked_texts = [r["text"] for r in test]
    truth = np.array([r[column] for r in test])
    new = np.flatnonzero([r["seen_in_train"] == "0" for r in test])
    board = Board(name)
    rival = frozen(texts, labels, asked_texts)
    rows = labelled(texts, **{head: labels})
    served = serve(f"{name}_{asked.preset}", rows, [head], preset=asked.preset)
    said = served.predict([r.text for r in labelled(asked_texts)]).heads[head].best_labels
    for system, best, seconds, note in (
        ("frozen + LR", np.array(rival.best), rival.seconds, ""),
        (asked.preset, np.array(said), served.seconds, served.precision),
    ):
        every = np.arange(len(truth))
        for metric, (score, bar) in scores.items():
            for part, which in ((every, ""), (new, ", not seen in train")):
                board.add(
                    system,
                    metric + which,
                    len(part),
                    _on(part, truth, best, score),
                    bar=bar if system == asked.preset else None,
                    seconds=seconds,
                    note=note,
                )
    board.done()


def _on(
    rows: npt.NDArray[np.intp],
    truth: npt.NDArray[np.str_],
    best: npt.NDArray[np.str_],
    score: Score,
) -> Metric:
    return lambda of: score(truth[rows[of]], best[rows[of]])
