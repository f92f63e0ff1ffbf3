"""How good is the news monitor before it has seen a row of yours?

    python -m benchmarks.out_of_the_box [--preset accurate|fast] [--model DIR]

A model trained by `trefoil finance-sentiment train` with its defaults on our own
shared_data/finance_sentiment/train.csv alone, judged on two public sets that it has not seen:
weighted F1 on the official validation part of Twitter financial sentiment (bearish is negative,
bullish positive), accuracy on those sentences of Financial PhraseBank that all annotators agree
on; beside them the expected calibration error. Text that the model leaves unlabelled counts as
wrong. The rival is a logistic regression on the untouched encoder, from the same rows. These two
sets judge and choose nothing. Our data were written without them; after the first figure on tweets
had been missed, 495 short posts were added to the headlines, written from knowledge of the genre
alone, and what came of it was judged once.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import ROOT, public_data
from benchmarks.quality.common import MODELS, THREADS, Bar, Board, Metric, accuracy_of, frozen, read
from core.evaluation.calibration import ece
from core.evaluation.classification import weighted_f1
from services.finance_sentiment.labels import Labeler

TRAIN = ROOT / "shared_data" / "finance_sentiment" / "train.csv"
CLASSES = ("negative", "neutral", "positive")
OF_TWEETS = {"bearish": "negative", "neutral": "neutral", "bullish": "positive"}
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Asked:
    """A set that judges; `bar` is that of its main figure."""

    name: str
    metric: str
    texts: list[str]
    truth: list[str]
    bar: Bar

    def score(self, best: list[str]) -> Metric:
        """The main figure on positions of rows."""
        if self.metric == "accuracy":
            return accuracy_of(self.truth, best)
        truth, said = np.array(self.truth), np.array(best)
        return lambda rows: weighted_f1(truth[rows], said[rows])

    def calibration(self, probabilities: npt.NDArray[np.float64]) -> Metric:
        """Expected calibration error on positions of rows."""
        right = np.array([CLASSES.index(label) for label in self.truth])
        return lambda rows: ece(probabilities[rows], right[rows])


def sets() -> list[Asked]:
    """Those that are there."""
    found = []
    if folder := public_data("twitter_fin_sentiment"):
        rows = read(folder / "valid.csv")
        truth = [OF_TWEETS[row["label_name"]] for row in rows]
        texts = [row["text"] for row in rows]
        found.append(Asked("Twitter", "weighted F1", texts, truth, Bar(0.60, 0.73)))
    if folder := public_data("financial_phrasebank"):
        rows = read(folder / "sentences_allagree.csv")
        truth, texts = [row["label"] for row in rows], [row["text"] for row in rows]
        found.append(Asked("PhraseBank, all agree", "accuracy", texts, truth, Bar(0.72, 0.85)))
    return found


def train(preset: str) -> tuple[Path, float]:
    """By the command, as a user would; the folder and the seconds it took."""
    folder = MODELS / f"out_of_the_box_{preset}"
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "services.cli", "finance-sentiment", "train"]
    options = ["--data", str(TRAIN), "--output", str(folder), "--preset", preset]
    began = time.monotonic()
    subprocess.run([*command, *options], check=True, cwd=ROOT)
    return folder, time.monotonic() - began


def answers(labeler: Labeler, texts: list[str]) -> tuple[list[str], npt.NDArray[np.float64]]:
    """What the served model says, and its probabilities in the order of `CLASSES`."""
    labels = [one for i in range(0, len(texts), 512) for one in labeler.label(texts[i : i + 512])]
    best = [label.sentiment or UNLABELLED for label in labels]
    chances = [[label.p_negative, label.p_neutral, label.p_positive] for label in labels]
    return best, np.array(chances, dtype=np.float64)


@dataclass(frozen=True)
class Answers:
    """What a system says of a set; `seconds` it was trained, `held` to the bar or not."""

    system: str
    best: list[str]
    probabilities: npt.NDArray[np.float64]
    seconds: float | None
    held: bool
    note: str = ""


def judge(board: Board, asked: Asked, said: Answers) -> None:
    """Two lines of the table."""
    rows, bar = len(asked.truth), asked.bar if said.held else None
    name = f"{asked.name}: {asked.metric}"
    score, calibration = asked.score(said.best), asked.calibration(said.probabilities)
    board.add(said.system, name, rows, score, bar=bar, seconds=said.seconds, note=said.note)
    board.add(said.system, f"{asked.name}: ECE", rows, calibration, note=said.note)


def main() -> None:
    """Train, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="accurate", choices=["fast", "accurate"])
    parser.add_argument("--model", type=Path, help="an artefact of `train`, instead of training")
    asked = parser.parse_args()
    judging = sets()
    if not judging:
        return
    folder, seconds = (asked.model, None) if asked.model else train(asked.preset)
    labeler = Labeler.load(folder, threads=THREADS)
    known = [row for row in read(TRAIN) if row["sentiment"]]
    texts, labels = [row["text"] for row in known], [row["sentiment"] for row in known]
    board = Board(f"out_of_the_box_{asked.preset}")
    for one in judging:
        rival = frozen(texts, labels, one.texts)
        said = Answers("frozen + LR", rival.best, rival.probabilities, rival.seconds, held=False)
        judge(board, one, said)
        best, probabilities = answers(labeler, one.texts)
        note = f"{best.count(UNLABELLED)} unlabelled"
        judge(board, one, Answers(asked.preset, best, probabilities, seconds, True, note))
    board.done()


if __name__ == "__main__":
    main()
