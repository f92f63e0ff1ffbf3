"""What do five examples teach a running bot, and what does that cost it?

BANKING77, official parts. Seven intents of 77, drawn anew in each of five draws, are held out of
the training; with --oos seven more become questions that no intent answers. Then five training
rows of each of the seven are taught to the running model, and all test rows are asked: before,
after, and (with --retrain) of a model that was trained on the taught rows too. A question of a
held-out intent that is answered with another is wrong. 500 questions of CLINC150 that are out of
its scope, on anything but banking, are asked as well: an answer to one of those is wrong too, and
is told apart.

Beside it stands what one gets without a bar: a plain nearest-neighbour bot over the same vectors,
where the nearest of all rows and examples decides always.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, public_data, save, table
from core.data.records import OUT_OF_SCOPE
from services.customer_service.bounds import beta_quantile
from services.customer_service.examples import Example, keyed
from services.customer_service.prototypes import Prototypes, prototypes_of, understand_all
from services.customer_service.train import train
from services.customer_service.understanding import IntentModel

MODELS = ROOT / "var" / "bench" / "teaching"
TAUGHT, HELD_OUT, DRAWS, OFF_TOPIC = 5, 7, 5, 500
Rows = list[tuple[str, str]]


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["intent"]) for row in csv.DictReader(file)]


def write(rows: Sequence[tuple[str, str]], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "intent"), *rows])
    return path


def off_topic() -> list[str]:
    """Questions on anything but banking, as many as there are up to 500."""
    folder = public_data("clinc150")
    if folder is None:
        return []
    with (folder / "data_full.csv").open(encoding="utf-8", newline="") as file:
        rows = [row["text"] for row in csv.DictReader(file) if row["split"] == "oos_test"]
    return rows[:OFF_TOPIC]


class Vectors:
    """Vectors in memory, in the place of the database."""

    def __init__(self) -> None:
        self.known: dict[str, np.ndarray] = {}

    def vectors(self, encoder_id: str, digests: Sequence[str]) -> dict[str, np.ndarray]:
        return {d: self.known[d] for d in digests if d in self.known}

    def put_vectors(self, encoder_id: str, vectors: Mapping[str, np.ndarray]) -> None:
        self.known.update(vectors)


def taught(rows: Rows, model: IntentModel) -> Prototypes:
    now = datetime.now(UTC)
    examples = [
        Example(text, intent, key, "taught", now)
        for said, intent in rows
        for key, text in keyed([said]).items()
    ]
    return prototypes_of(examples, 1, Vectors(), model)


def judge(model: IntentModel, examples: Prototypes, rows: Rows, new: set[str]) -> dict[str, float]:
    """Of new and old questions: best intent right, answered, answered right; and wrong answers."""
    readings = [u.reading for u in understand_all(model, examples, [text for text, _ in rows])]
    truth = np.array([intent for _, intent in rows])
    best = np.array([r.ranked[0].intent for r in readings])
    sure = np.array([r.sure for r in readings])
    fresh = np.isin(truth, sorted(new))
    said = {
        f"{name} {figure}": float(of[which].mean())
        for name, which in (("new", fresh), ("old", ~fresh))
        for figure, of in (
            ("accuracy", best == truth), ("answered", sure),
            ("answered right", sure & (best == truth)),
        )
    }  # fmt: skip
    wrong = int((sure & (best != truth)).sum())
    return said | {"wrong": wrong, "answers": int(sure.sum())}


def plain_neighbours(model: IntentModel, examples: Prototypes, rows: Rows, new: set[str]) -> float:
    """Accuracy on new questions of the nearest of all training rows and examples."""
    assert model.nearness is not None
    mine = [text for text, intent in rows if intent in new]
    truth = [intent for _, intent in rows if intent in new]
    vectors = model.searcher.encode([model.as_read(text) for text in mine]).embeddings
    to_examples, to_rows = vectors @ examples.vectors.T, vectors @ model.nearness.embeddings.T
    taken = to_examples.max(axis=1) > to_rows.max(axis=1)
    named = np.array(examples.intents)[to_examples.argmax(axis=1)]
    return float((taken & (named == np.array(truth))).mean())


def draw(number: int, training: Rows, test: Rows, oos: bool, retrain: bool) -> dict[str, object]:
    rng = np.random.default_rng(number)
    intents = sorted({intent for _, intent in training})
    new = set(rng.choice(intents, HELD_OUT, replace=False).tolist())
    old = [row for row in training if row[1] not in new]
    if oos:  # seven other intents' questions, known to be out of scope and never tested
        outside = set(rng.choice(sorted(set(intents) - new), HELD_OUT, replace=False).tolist())
        old = [(text, OUT_OF_SCOPE if intent in outside else intent) for text, intent in old]
        test = [row for row in test if row[1] not in outside]
    five: Rows = []
    for intent in sorted(new):
        mine = [row for row in training if row[1] == intent]
        five += [mine[at] for at in rng.choice(len(mine), TAUGHT, replace=False)]
    folder = MODELS / f"{number}{'_oos' if oos else ''}"
    if not (folder / "model").is_dir():
        train(write(old, folder / "train.csv"), folder / "model")
    model = IntentModel.load(folder / "model")
    said: dict[str, object] = {"draw": number, "new": sorted(new)}
    bar = model.example_bar
    said["bar"] = None if bar is None else [bar.cosine, bar.chance]
    began = time.perf_counter()
    examples = taught(five, model)
    said["seconds_to_teach"] = time.perf_counter() - began
    said["before"] = judge(model, Prototypes(), test, new)
    said["after"] = judge(model, examples, test, new)
    for name, held in (("before", Prototypes()), ("after", examples)):
        read_off = understand_all(model, held, off_topic())
        said[f"off topic answered {name}"] = sum(u.reading.sure for u in read_off)
    said["plain"] = plain_neighbours(model, examples, test, new)
    if retrain:
        if not (folder / "again").is_dir():
            train(write([*old, *five], folder / "again.csv"), folder / "again")
        again = IntentModel.load(folder / "again")
        said["retrained"] = judge(again, Prototypes(), test, new)
        said["retrained, examples kept"] = judge(again, taught(five, again), test, new)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--oos", action="store_true", help="seven more intents serve as `oos` rows")
    parser.add_argument("--retrain", action="store_true", help="also train on the taught rows")
    asked = parser.parse_args()
    folder = public_data("banking77")
    if folder is None:
        return
    training, test = read(folder / "train.csv"), read(folder / "test.csv")
    draws = []
    for number in range(asked.draws):
        draws.append(draw(number, training, test, asked.oos, asked.retrain))
        print(draws[-1], flush=True)
    stages = [name for name in ("before", "after", "retrained", "retrained, examples kept")
              if name in draws[0]]  # fmt: skip
    lines = [line(name, [d[name] for d in draws]) for name in stages]  # type: ignore[misc]
    table(list(lines[0]), [list(map(str, entry.values())) for entry in lines])
    plain = float(np.mean([d["plain"] for d in draws]))
    print(f"plain nearest neighbour, no bar: accuracy on new questions {plain:.3f}")
    name = f"teaching{'_oos' if asked.oos else ''}"
    save(name, {"lines": lines, "plain": plain, "draws": draws})


def line(name: str, of: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """One stage over all draws: means, and the wrong answers of all together."""
    wrong, answers = sum(d["wrong"] for d in of), sum(d["answers"] for d in of)
    keys = [key for key in of[0] if key not in ("wrong", "answers")]
    means = {key: round(float(np.mean([d[key] for d in of])), 3) for key in keys}
    rate = wrong / answers if answers else 0.0
    upper = beta_quantile(0.95, wrong + 1, answers - wrong) if answers > wrong else 1.0
    return {"stage": name, **means, "wrong ÷ answered": round(rate, 4), "at most": round(upper, 4)}


if __name__ == "__main__":
    main()
