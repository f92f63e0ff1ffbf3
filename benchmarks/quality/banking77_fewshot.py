"""BANKING77 with 10 and 5 examples a class: the mean of three draws.

The draws are fixed by their numbers and were made before the first run. `labelled only` sees
nothing but the examples and the names of their labels; `+ unlabelled` also reads the other training
texts, without their labels, as a team with few labels and a full inbox would (self-training, with
the frozen and the tuned model of the examples as teachers).
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.common import public_data
from benchmarks.quality.common import Bar, Board, frozen, labelled, read, serve
from core.training.classifier import Extra
from core.training.presets import FEW_SHOT, SELF_TRAINING

DRAWS = (1, 2, 3)
NAMES = Extra(label_names=True)
BARS = {10: Bar(0.865, 0.90), 5: Bar(0.81, 0.85)}


def draw(intents: list[str], shots: int, number: int) -> list[int]:
    """Positions of `shots` rows of each intent."""
    rng = np.random.default_rng(1000 + number)
    of = np.array(intents)
    return [
        int(row)
        for intent in sorted(set(intents))
        for row in rng.choice(np.flatnonzero(of == intent), shots, replace=False)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=int, nargs="*", default=[10, 5])
    parser.add_argument("--draws", type=int, nargs="*", default=list(DRAWS))
    parser.add_argument("--labelled-only", action="store_true")
    asked = parser.parse_args()
    folder = public_data("banking77")
    if folder is None:
        return
    train, test = read(folder / "train.csv"), read(folder / "test.csv")
    texts = [r.text for r in labelled([row["text"] for row in test])]
    truth = np.array([row["intent"] for row in test])
    board = Board("banking77_fewshot")
    for shots in asked.shots:
        right: dict[str, list[np.ndarray]] = {}
        seconds: dict[str, list[float]] = {}

        def note(
            system: str,
            best: list[str],
            took: float,
            right: dict[str, list[np.ndarray]] = right,
            seconds: dict[str, list[float]] = seconds,
            shots: int = shots,
        ) -> None:
            right.setdefault(system, []).append((np.array(best) == truth).astype(float))
            seconds.setdefault(system, []).append(took)
            print(f"{shots}-shot {system}: {right[system][-1].mean():.4f}", flush=True)

        for number in asked.draws:
            picked = draw([r["intent"] for r in train], shots, number)
            some = [train[i] for i in picked]
            others = sorted(set(range(len(train))) - set(picked))
            rows = labelled([r["text"] for r in some], intent=[r["intent"] for r in some])
            rival = frozen([r["text"] for r in some], [r["intent"] for r in some], texts)
            note("frozen + LR", rival.best, rival.seconds)
            name = f"banking77_{shots}shot_{number}"
            tuned = serve(name, rows, ["intent"], preset="accurate", config=FEW_SHOT, extra=NAMES)
            note("labelled only", tuned.predict(texts).heads["intent"].best_labels, tuned.seconds)
            if asked.labelled_only:
                continue
            pool = labelled([train[i]["text"] for i in others])
            frozen_one = serve(f"{name}_frozen", rows, ["intent"], preset="fast", extra=NAMES)
            extra = Extra(
                teachers=(tuned.folder, frozen_one.folder),
                unlabelled=tuple(r.text for r in pool),
                label_names=True,
            )
            student = serve(
                f"{name}_self",
                rows,
                ["intent"],
                preset="accurate",
                config=SELF_TRAINING,
                extra=extra,
            )
            said = student.predict(texts).heads["intent"].best_labels
            seconds_of_all = tuned.seconds + frozen_one.seconds + student.seconds
            note("+ unlabelled", said, seconds_of_all)
        for system, draws in right.items():
            mean = np.mean(draws, axis=0)
            board.add(
                f"{shots}-shot {system}",
                "accuracy",
                len(truth),
                partial(_mean_of, mean),
                bar=None if system == "frozen + LR" else BARS[shots],
                seconds=float(np.mean(seconds[system])),
                note="draws " + " ".join(f"{d.mean():.4f}" for d in draws),
            )
    board.done()


def _mean_of(values: npt.NDArray[np.float64], rows: npt.NDArray[np.intp]) -> float:
    return float(values[rows].mean())


if __name__ == "__main__":
    main()
