"""Financial PhraseBank (50 % agree): five folds, the figures over all rows once judged.

No official split; stratified folds by a fixed seed, exact repeats of a sentence kept in one fold.
Each fold's model holds out its own validation rows from the other four folds.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, Served, frozen, labelled, read, serve
from core.data.records import LabeledText
from core.evaluation.classification import macro_f1
from core.text import comparison_key
from core.training.classifier import Extra, Preset

FOLDS = 5


def folds_of(texts: list[str], labels: list[str]) -> np.ndarray:
    """(n,) fold of each row, stratified; rows of one text share a fold."""
    rng = np.random.default_rng(7)
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(comparison_key(text), row)
    fold = np.empty(len(texts), dtype=int)
    turn = 0
    for label in sorted(set(labels)):
        rows = [r for r in set(first.values()) if labels[r] == label]
        for row in rng.permutation(sorted(rows)):
            fold[row] = turn % FOLDS
            turn += 1
    return np.array([fold[first[comparison_key(text)]] for text in texts])


def tuned(k: int, rows: Sequence[LabeledText], preset: Preset, teachers: int) -> dict[str, Served]:
    """System → model for fold `k`: the preset with seed 0 and, where teachers are asked for, one
    that learns from that many of them, which differ by seed (the first is that of seed 0)."""
    plain = [
        serve(f"phrasebank_{preset}_{k}_{seed}", rows, ["sentiment"], preset=preset, seed=seed)
        for seed in range(max(1, teachers))
    ]
    systems: dict[str, Served] = {preset: plain[0]}
    if teachers:
        student = serve(
            f"phrasebank_{preset}_{k}_student",
            rows,
            ["sentiment"],
            preset=preset,
            seed=teachers,
            extra=Extra(teachers=tuple(each.folder for each in plain)),
        )
        seconds = student.seconds + sum(each.seconds for each in plain)
        systems[f"{preset}, {teachers} teachers"] = replace(student, seconds=seconds)
    return systems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    parser.add_argument("--teachers", type=int, default=0, help="seeds distilled into one model")
    asked = parser.parse_args()
    folder = public_data("financial_phrasebank")
    if folder is None:
        return
    rows = read(folder / "sentences_50agree.csv")
    texts, labels = [r["text"] for r in rows], [r["label"] for r in rows]
    fold = folds_of(texts, labels)
    said: dict[str, np.ndarray] = defaultdict(lambda: np.array(labels, dtype=object))
    seconds: dict[str, float] = defaultdict(float)
    for k in asked.folds:
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        train_texts, train_labels = [texts[i] for i in train], [labels[i] for i in train]
        judged_texts = [texts[i] for i in test]
        rival = frozen(train_texts, train_labels, judged_texts)
        said["frozen + LR"][test] = rival.best
        seconds["frozen + LR"] += rival.seconds
        known = labelled(train_texts, sentiment=train_labels)
        for system, served in tuned(k, known, asked.preset, asked.teachers).items():
            answers = served.predict([r.text for r in labelled(judged_texts)])
            said[system][test] = answers.heads["sentiment"].best_labels
            seconds[system] += served.seconds
            right = np.mean(said[system][test] == np.array(labels)[test])
            print(f"fold {k}, {system}: {right:.4f} after {served.seconds:.0f} s", flush=True)
    board = Board("phrasebank")
    judged = np.flatnonzero(np.isin(fold, asked.folds))
    truth = np.array(labels)[judged]
    for system, of in said.items():
        best = of[judged].astype(str)
        bars = (None, None) if system == "frozen + LR" else (Bar(0.85, 0.88), Bar(0.83, 0.86))
        each = seconds[system] / len(asked.folds)
        for metric, compute, bar in (
            ("accuracy", lambda r, b=best: float((b[r] == truth[r]).mean()), bars[0]),
            ("macro F1", lambda r, b=best: macro_f1(truth[r], b[r]), bars[1]),
        ):
            board.add(
                system, metric, len(truth), compute, bar=bar, seconds=each, note="seconds a fold"
            )
    board.done()


if __name__ == "__main__":
    main()
