"""Financial PhraseBank (50 % agree): five folds, the figures over all rows once judged.

No official split; stratified folds by a fixed seed, exact repeats of a sentence kept in one fold.
Each fold's model holds out its own validation rows from the other four folds.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, frozen, labelled, read, serve
from core.evaluation.classification import macro_f1
from core.text import comparison_key

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    asked = parser.parse_args()
    folder = public_data("financial_phrasebank")
    if folder is None:
        return
    rows = read(folder / "sentences_50agree.csv")
    texts, labels = [r["text"] for r in rows], [r["label"] for r in rows]
    fold = folds_of(texts, labels)
    said: dict[str, np.ndarray] = {s: np.array(labels, dtype=object) for s in ("rival", "ours")}
    seconds: dict[str, float] = {"rival": 0.0, "ours": 0.0}
    for k in asked.folds:
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        train_texts, train_labels = [texts[i] for i in train], [labels[i] for i in train]
        rival = frozen(train_texts, train_labels, [texts[i] for i in test])
        said["rival"][test] = rival.best
        seconds["rival"] += rival.seconds
        served = serve(
            f"phrasebank_{asked.preset}_{k}",
            labelled(train_texts, sentiment=train_labels),
            ["sentiment"],
            preset=asked.preset,
        )
        answers = served.predict([r.text for r in labelled([texts[i] for i in test])])
        said["ours"][test] = answers.heads["sentiment"].best_labels
        seconds["ours"] += served.seconds
        right = np.mean(said["ours"][test] == np.array(labels)[test])
        print(f"fold {k}: {right:.4f} after {served.seconds:.0f} s", flush=True)
    board = Board("phrasebank")
    judged = np.flatnonzero(np.isin(fold, asked.folds))
    truth = np.array(labels)[judged]
    bars = {"rival": (None, None), "ours": (Bar(0.85, 0.88), Bar(0.83, 0.86))}
    for key, system in (("rival", "frozen + LR"), ("ours", asked.preset)):
        best = said[key][judged].astype(str)
        each = seconds[key] / len(asked.folds)
        for metric, compute, bar in (
            ("accuracy", lambda r, b=best: float((b[r] == truth[r]).mean()), bars[key][0]),
            ("macro F1", lambda r, b=best: macro_f1(truth[r], b[r]), bars[key][1]),
        ):
            board.add(
                system, metric, len(truth), compute, bar=bar, seconds=each, note="seconds a fold"
            )
    board.done()


if __name__ == "__main__":
    main()
